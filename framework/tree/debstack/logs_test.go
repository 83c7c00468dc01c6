package debstack

import (
	osexec "os/exec"
	"testing"

	. "github.com/onsi/gomega"
)

// Neutron is not selected in each run: what is not there is told, and no failure.
func TestTheNetworkIsShownAsFarAsThereIsOne(t *testing.T) {
	g := NewWithT(t)
	show := osexec.CommandContext(t.Context(), "sh", "-c", networkState)
	show.Env = []string{"PATH=" + t.TempDir()}
	said, err := show.CombinedOutput()
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(string(said)).To(And(
		HavePrefix("== ip -oneline link\n"), ContainSubstring("\n== ovs-vsctl show\n"),
		ContainSubstring("\n== ovs-ofctl -O OpenFlow13 dump-flows br-int\n"), HaveSuffix("exit code 127\n"),
	))
}
