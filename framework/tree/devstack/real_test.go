package devstack_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	. "github.com/onsi/gomega"

	"grenade/framework/config"
)

// gitBaseVariable names a GIT_BASE that has the real openstack/devstack.
const gitBaseVariable = "GRENADE_TEST_GIT_BASE"

// TestRealDevStack has DevStack's own trees read what this package writes: as much of a run as there is before stack.sh.
func TestRealDevStack(t *testing.T) {
	gitBase := os.Getenv(gitBaseVariable)
	if gitBase == "" {
		t.Skipf("needs a repository of DevStack: %s names no GIT_BASE", gitBaseVariable)
	}
	for _, pair := range [][2]string{{"unmaintained/zed", "unmaintained/2023.1"}, {"stable/2025.1", "stable/2026.1"}, {"stable/2025.2", "master"}} {
		t.Run(strings.Join(pair[:], " to "), func(t *testing.T) {
			g := NewWithT(t)
			s := onStage(t, gitBase, pair[0], pair[1])
			s.begin(t, "enable_service h-eng", "[[post-config|$NOVA_CONF]]\n[workarounds]\nx = 1")
			g.Expect(*s.notes).To(ContainElement(ContainSubstring("asked for as " + pair[1])))

			// What stack.sh would run, as its own stackrc says.
			g.Expect(s.Enabled()).To(ContainElements("key", "g-api", "n-api", "n-cpu", "placement-api", "c-api", "s-proxy", "h-eng", "mysql", "rabbit"))

			g.Expect(s.Access().SQL).NotTo(BeEmpty(), "its database is MySQL, and can be saved")
			options, err := os.ReadFile(filepath.Join(s.config.SaveDir, "mysql.cnf"))
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(string(options)).To(MatchRegexp(`^\[client\]\nuser="root"\npassword="\w{26}"\nhost="127.0.0.1"\n$`))

			for _, side := range []config.Side{config.Base, config.Target} {
				dir := s.TreeDir(side)
				said := s.inNode(t, "cd "+dir+` && export TOP_DIR=$PWD && exec 3>&1 1>&2 && source ./functions && source ./stackrc &&
					for name in key nova glance neutron h-eng heat; do is_service_enabled $name && echo $name >&3; done
					echo $DEST $DATA_DIR $STACK_USER $CELLSV2_SETUP $SWIFT_REPLICAS ${#ADMIN_PASSWORD} >&3
					source ./openrc admin demo && echo $OS_USERNAME $OS_PROJECT_NAME $OS_AUTH_URL ${#OS_PASSWORD} >&3
					source ./lib/tls && source ./lib/apache && source ./lib/keystone && echo $KEYSTONE_CONF_DIR >&3
					get_meta_section local.conf post-config '$NOVA_CONF' >&3`)
				g.Expect(said).To(HavePrefix("key\nnova\nglance\nneutron\nh-eng\n"), string(side))
				g.Expect(said).To(ContainSubstring(strings.TrimSuffix(dir, "/devstack") + " " + s.config.StackRoot + "/data nobody singleconductor 1 26\n"))
				g.Expect(said).To(MatchRegexp(`admin demo http://\S+ 26`))
				g.Expect(said).To(ContainSubstring("/etc/keystone\n"))
				g.Expect(said).To(HaveSuffix("[workarounds]\nx = 1"))
			}
		})
	}
}
