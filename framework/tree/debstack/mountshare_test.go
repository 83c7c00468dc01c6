package debstack

import (
	"os/exec"
	"path/filepath"
	"testing"

	. "github.com/onsi/gomega"
)

// What mount.local-share does when it may mount is seen by nova and cinder in a
// cloud; what it must not pretend to do shows without a mount.
func TestTheStandInForNFSRefusesWhatItIsNot(t *testing.T) {
	script, err := filepath.Abs("tree/tools/mount.local-share")
	NewWithT(t).Expect(err).NotTo(HaveOccurred())
	dir := t.TempDir()
	share := "127.0.0.1:" + dir
	for name, test := range map[string]struct {
		args []string
		code int
		says string
	}{
		"no arguments":        {nil, 1, "usage:"},
		"another host":        {[]string{"10.0.0.1:" + dir, dir}, 32, "10.0.0.1:" + dir + " is not on this node"},
		"no such directory":   {[]string{share + "/missing", dir}, 32, "there is no directory " + dir + "/missing"},
		"an option":           {[]string{share, dir, "-o", "vers=4,sec=krb5"}, 1, "the option sec=krb5 is not known"},
		"a flag":              {[]string{share, dir, "-x"}, 1, "unknown option -x"},
		"mounting for a test": {[]string{share, dir, "-fnsv", "-o", "rw,vers=4,minorversion=1"}, 0, ""},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			command := exec.CommandContext(t.Context(), script, test.args...)
			output, _ := command.CombinedOutput() // the exit code says it
			g.Expect(command.ProcessState.ExitCode()).To(Equal(test.code), string(output))
			g.Expect(string(output)).To(ContainSubstring(test.says))
		})
	}
}
