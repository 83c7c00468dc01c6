package debstack

import (
	"fmt"
	"os"
	osexec "os/exec"
	"path/filepath"
	"strings"
	"testing"

	. "github.com/onsi/gomega"
)

func TestALocalrcIsExtractedForWhoReadsIt(t *testing.T) {
	g := NewWithT(t)
	node := newFakeNode(t, "A='two words'\n[[post-config|$X]]\n[a]\n")
	said, err := node.script(`extract_localrc_section local.conf localrc .localrc.auto; source .localrc.auto; echo "$A"; stat -c %a .localrc.auto
echo B=1 >localrc; extract_localrc_section local.conf localrc other; ls other 2>/dev/null || echo none
extract_localrc_section missing localrc other; ls other 2>/dev/null || echo none`)
	g.Expect(err).NotTo(HaveOccurred(), said)
	g.Expect(said).To(Equal("two words\n600\nnote: localrc counts, and the localrc of local.conf does not\nnone\nnone\n"))
}

// What upstream's prep-target sources and calls on a target's tree.
func TestTheTargetsTreeIsPreparedByTheNamesThatUpstreamCalls(t *testing.T) {
	g := NewWithT(t)
	node := targetNode(t)
	said, err := node.run("bash", "-ec", `TOP_DIR=$PWD; source functions; GetDistro; source stackrc; install_database_python
source() { builtin source "$@"; [[ $1 != */lib/target ]] || debstack_prepare_target() { echo prepared; }; }
source tools/install_prereqs.sh; source lib/infra; REQUIREMENTS_DIR=$DEST/requirements
git_clone $REQUIREMENTS_REPO $REQUIREMENTS_DIR $REQUIREMENTS_BRANCH
install_infra; source lib/libraries; install_oslo; source lib/dstat; start_dstat; _get_python_version python3; _get_python_version
echo "images: $IMAGE_URLS"`)
	g.Expect(err).NotTo(HaveOccurred(), said)
	g.Expect(said).To(MatchRegexp(`^prepared
requirements are neither cloned nor updated: Debian's packages name what they need
3\.\d+
3\.\d+
images: 
$`))
	// At base there is nothing to prepare.
	said, err = newFakeNode(t, "").script("source tools/install_prereqs.sh; echo done")
	g.Expect(err).NotTo(HaveOccurred(), said)
	g.Expect(said).To(Equal("done\n"))
}

func TestServicesHaveUnitsOfDevStacksNames(t *testing.T) {
	g := NewWithT(t)
	node := newFakeNode(t, "enable_service key g-api mysql unknown\n")
	said, err := node.run("tools/devstack-units.sh")
	g.Expect(err).NotTo(HaveOccurred(), said)
	g.Expect(said).To(Equal("devstack@key.service\ndevstack@g-api.service\ndevstack@mysql.service\n"))
	g.Expect(node.read("etc/systemd/system/devstack@g-api.service")).To(And(ContainSubstring("BindsTo=glance-api.service\n"),
		ContainSubstring("WantedBy=glance-api.service\n"), ContainSubstring("RemainAfterExit=yes\n")))
	to, err := os.Readlink(filepath.Join(node.dir, "etc/systemd/system/glance-api.service.wants/devstack@g-api.service"))
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(strings.TrimPrefix(to, node.dir)).To(Equal("/etc/systemd/system/devstack@g-api.service"))
	g.Expect(filepath.Join(node.dir, "running/devstack@g-api")).To(BeAnExistingFile())
}

// A start leaves what runs as it is: the base's code would run on, and nobody would know.
func TestAServiceThatWasNotStoppedIsNotLeftAtBase(t *testing.T) {
	const placement = "placement-api.service has not been stopped, and runs the base release's code: it is stopped now\n"
	for name, test := range map[string]struct{ running, root, want, calls string }{
		"stopped":     {want: ""},
		"at base":     {running: "17", root: "/", want: placement, calls: "systemctl stop placement-api.service\n"},
		"started now": {running: "17", root: "NODE/stack/new/root", want: ""},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			node := targetNode(t)
			node.write("etc/systemd/system/placement-api.service.d/target.conf", "[Service]\nRootDirectory="+node.dir+"/stack/new/root\n")
			node.write("root-of-processes", strings.ReplaceAll(test.root, "NODE", node.dir)+"\n")
			if test.running != "" {
				node.write("running/placement-api", test.running)
			}
			said, err := node.script("start_units placement-api")
			g.Expect(err).NotTo(HaveOccurred(), said)
			g.Expect(said).To(Equal(test.want))
			g.Expect(node.calls()).To(ContainSubstring("systemctl start placement-api.service\n"))
			if test.calls != "" {
				g.Expect(node.calls()).To(ContainSubstring(test.calls))
			} else {
				g.Expect(node.calls()).NotTo(ContainSubstring("systemctl stop"))
			}
		})
	}
}

// upgradeNode is a node with both trees, a cloud of keystone, placement and glance that runs at base, and a target's root with
// their packages; programs that would need a cloud are written down in calls.
func upgradeNode(t *testing.T) fakeNode {
	t.Helper()
	g := NewWithT(t)
	node := newFakeNode(t, "enable_service key placement-api g-api mysql rabbit\nDEBSTACK_RELEASE=zed HOST_IP=127.0.0.1\n")
	base := node.tree
	node.tree = filepath.Join(node.dir, "stack/new/devstack")
	shell, err := NewTree()
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(shell.Write(node.tree, os.Getuid(), os.Getgid())).To(Succeed())
	node.write("stack/new/devstack/local.conf", strings.ReplaceAll(node.read("stack/old/devstack/local.conf"), "stack/old", "stack/new")+`
DEBSTACK_RELEASE=2025.1 DEBSTACK_SIDE=target DEBSTACK_ROOT=$STACK_ROOT/new/root
DEBSTACK_LOWER=$STACK_ROOT/lower DEBSTACK_UPPER=$STACK_ROOT/upper DEBSTACK_WORK=$STACK_ROOT/work
`)
	node.tree = base
	for _, dir := range []string{"lower", "upper", "work"} {
		node.write("stack/"+dir+"/usr/bin/dpkg", "#!/bin/sh\n")
	}
	for service, unit := range map[string]string{"keystone": "keystone", "placement": "placement-api", "glance": "glance-api"} {
		node.write("etc/"+service+"/"+service+".conf", "[DEFAULT]\n")
		node.write("stack/new/root/etc/"+service+"/"+service+".conf", "[DEFAULT]\n")
		node.write("stack/new/root/var/lib/dpkg/info/"+unit+".list", "/usr/lib/systemd/system/"+unit+".service\n")
		node.write("stack/new/root/usr/lib/systemd/system/"+unit+".service", "[Service]\nExecStart=/usr/bin/"+unit+"\n")
		node.write("stack/new/root/var/cache/"+service+"/.keep", "")
		node.write("running/"+unit, "17\n")
	}
	for _, ini := range []string{"keystone/keystone-uwsgi.ini", "placement/placement-api-uwsgi.ini"} {
		node.write("stack/new/root/etc/"+ini, "[uwsgi]\nprocesses = 8\n")
	}
	node.write("stack/new/root/etc/sudoers.d/.keep", "")
	node.write("root-of-processes", "/\n")
	for _, name := range []string{"mysql", "mysqldump", "openstack", "rsync", "killall", "pkill"} {
		answer := "true"
		if name == "openstack" {
			answer = `[[ $* != *'-f shell'* ]] || echo 'id="of-openstack"'`
		}
		node.write("programs/"+name, "#!/bin/bash\necho \""+name+" $*\" >>\"$NODE/calls\"\n"+answer+"\n")
	}
	// The processes are those of the node that is not there, and not this machine's.
	node.write("programs/ps", "#!/bin/bash\ncd \"$NODE/running\" && for unit in [!d]*; do echo \"1 root /usr/bin/$unit --config-file=/etc/$unit.conf\"; done\n")
	node.write("programs/cp", "#!/bin/bash\nwords=()\nfor word; do [[ $word != /etc/* ]] || word=$NODE$word; words+=(\"$word\"); done\nexec /bin/cp \"${words[@]}\"\n")
	return node
}

// TestUpstreamsGrenadeOnOurTrees runs upstream's own grenade.sh, unmodified, with its own three projects, on our trees in a node that is
// not there: every function, variable and file that it uses must be.
func TestUpstreamsGrenadeOnOurTrees(t *testing.T) {
	upstream := os.Getenv("GRENADE_TEST_GRENADE")
	if upstream == "" {
		t.Skip("needs upstream's Grenade: GRENADE_TEST_GRENADE names no checkout")
	}
	g := NewWithT(t)
	node := upgradeNode(t)
	grenade := filepath.Join(node.dir, "grenade")
	copied, err := osexec.CommandContext(t.Context(), "cp", "-a", upstream, grenade).CombinedOutput()
	g.Expect(err).NotTo(HaveOccurred(), string(copied))
	node.write("grenade/localrc", fmt.Sprintf(`STACK_ROOT=%s/stack
BASE_DEVSTACK_BRANCH=stable/zed
TARGET_DEVSTACK_BRANCH=stable/2025.1
BASE_RUN_SMOKE=False
TARGET_RUN_SMOKE=False
ENABLE_TEMPEST=False
GRENADE_USE_EXTERNAL_DEVSTACK=True
PATH=%s/programs:$PATH
`, node.dir, node.dir))
	said, err := node.run("tools/devstack-units.sh")
	g.Expect(err).NotTo(HaveOccurred(), said)
	said, err = node.run("bash", "-c", "cd $NODE/grenade && ./grenade.sh; code=$?; cat $NODE/stack/logs/grenade.sh.log; exit $code")
	g.Expect(err).NotTo(HaveOccurred(), said)

	// Nothing that it calls is missing, but for what belongs to GNU screen and what DevStack has not any more, either.
	var missing []string
	for line := range strings.Lines(said) {
		if strings.Contains(line, "debstack has no function") && !strings.Contains(line, "no function screen ") && !strings.Contains(line, "no function init_service_check ") {
			missing = append(missing, line)
		}
	}
	g.Expect(missing).To(BeEmpty())
	g.Expect(said).To(ContainSubstring("Upgrade projects:  keystone placement glance"))
	for _, unit := range []string{"keystone", "glance-api"} {
		g.Expect(node.calls()).To(MatchRegexp(`(?s)systemctl stop ` + unit + `\.service\n.*systemctl start ` + unit + `\.service\n`))
	}
	g.Expect(said).To(ContainSubstring("placement-api.service has not been stopped, and runs the base release's code: it is stopped now"))
	for _, command := range []string{"keystone-manage db_sync", "placement-manage db sync", "placement-manage db online_data_migrations", "glance-manage db_sync"} {
		g.Expect(node.calls()).To(MatchRegexp(`chroot .*NODE/stack/new/root .* ` + command + `\n`))
	}
	g.Expect(node.calls()).To(ContainSubstring("openstack user delete of-openstack\n"))
}
