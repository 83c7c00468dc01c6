package debstack

import (
	"context"
	"os"
	osexec "os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/gomega"
)

// In a network namespace of its own: what ovs-vswitchd has taken and left down comes up, whenever it did so, and
// nothing else does.
func TestTapsThatTheDatapathLeavesDownComeUp(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root may make a network namespace and taps in it")
	}
	g := NewWithT(t)
	tool, err := filepath.Abs("tree/tools/taps-up.sh")
	g.Expect(err).NotTo(HaveOccurred())
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	said, err := osexec.CommandContext(ctx, "unshare", "--net", "--pid", "--fork", "--kill-child", "bash", "-euc", `
await_up() { until [[ $(ip -oneline link show "$1") == *[\<,]UP[,\>]* ]]; do sleep 0.05; done; }
for name in taptaken tapuntaken other; do ip tuntap add "$name" mode tap; done
ip link set taptaken promisc on
"$0" >/dev/null &
await_up taptaken
ip link set other promisc on
ip link set taptaken down
await_up taptaken
ip tuntap add taplater mode tap
ip link set taplater promisc on
await_up taplater
ip -oneline link
`, tool).CombinedOutput()
	g.Expect(err).NotTo(HaveOccurred(), "%s", said)
	for _, line := range strings.Split(strings.TrimSpace(string(said)), "\n") {
		switch up := strings.Contains(line, ",UP"); {
		case strings.Contains(line, " taptaken: "), strings.Contains(line, " taplater: "):
			g.Expect(up).To(BeTrue(), line)
		default:
			g.Expect(up).To(BeFalse(), line)
		}
	}
	g.Expect(strings.Count(string(said), "\n")).To(BeNumerically(">=", 5), "%s", said)
}
