package node

import (
	"testing"

	. "github.com/onsi/gomega"
)

func TestSudoPassesNamesNotValues(t *testing.T) {
	g := NewWithT(t)
	args := sudo("root", []string{"PATH=/opt/bin:/bin", "OS_PASSWORD=secret", "HOME=/x"}, "GRENADE_SCRIPT=1")
	g.Expect(args).To(Equal([]string{"sudo", "-n", "-u", "root", "--preserve-env=OS_PASSWORD,HOME,GRENADE_SCRIPT", "--", "env", "PATH=/opt/bin:/bin"}))
}
