package debstack

import (
	"os"
	osexec "os/exec"
	"path/filepath"
	"testing"

	. "github.com/onsi/gomega"
)

// A plugin adds parts for services that this cloud need not hold: barbican one for
// Tempest. They ended stack.sh.
func TestPartsOfLocalConfForNobodysFileArePassedOver(t *testing.T) {
	g := NewWithT(t)
	dir := t.TempDir()
	g.Expect(os.WriteFile(filepath.Join(dir, "local.conf"), []byte(`[[local|localrc]]
A=1
[[post-config|$NOT_SET_CONF]]
[x]
a = 1
[[post-config|$MY_CONF]]  # mine
[x]
a = 1
b = 2
b = it's $3
[[post-config|/nowhere/unused]]
[[test-config|$MY_CONF]]
[x]
c = 1
`), 0o600)).To(Succeed())
	merge := osexec.CommandContext(t.Context(), "bash", "-euo", "pipefail", "-c",
		`source tree/functions; MY_CONF=$1/my.conf; merge_config_group "$1/local.conf" post-config; echo "$-"; get_meta_section "$1/local.conf" local localrc`, "-", dir)
	said, err := merge.CombinedOutput()
	g.Expect(err).NotTo(HaveOccurred(), string(said))
	g.Expect(string(said)).To(And(
		HavePrefix("note: local.conf: nobody sets $NOT_SET_CONF, so the part [[post-config|$NOT_SET_CONF]] is passed over\n"),
		MatchRegexp(`\n[a-zA-Z]*u[a-zA-Z]*\nA=1\n$`)))
	merged, err := os.ReadFile(filepath.Join(dir, "my.conf"))
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(string(merged)).To(Equal("[x]\nb = 2\nb = it's $3\na = 1\n"))
}
