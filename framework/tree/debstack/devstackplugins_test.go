package debstack

import (
	"regexp"
	"strings"
	"testing"

	. "github.com/onsi/gomega"
)

const enableNotes = "enable_plugin notes https://git.example.org/notes\n"

// notesPlugin is a DevStack plugin as they are: it reads variables that nobody sets, lets pipes fail, and keeps what one
// phase sets for the next. Its service is a project of which the tree knows the packages.
func (n fakeNode) notesPlugin() {
	n.write("stack/old/devstack/projects/notes", `# projects/notes: a fixture.
# requires: keystone
# services: notes
# packages: notes-common
# wsgi: notes.wsgi:application notes-wsgi
# config: notes
# state: notes
`)
	n.write("stack/old/notes/devstack/override-defaults", "NOTES_COLOUR=${NOTES_COLOUR:-blue}\n")
	n.write("stack/old/notes/devstack/settings", `define_plugin notes
NOTES_CONF=$DEST/notes.conf
if [[ ${USE_VENV} = True ]]; then die $LINENO "nobody asked for it"; fi
NOTES_BIN_DIR=$(get_python_exec_prefix)
enable_service api-of-notes notes-engine
`)
	n.write("stack/old/notes/devstack/plugin.sh", `XTRACE=$(set +o | grep xtrace)
set +o xtrace
function install_notes {
    RECLONE=True git_clone $NOTES_REPO $DEST/notes master
    setup_develop $DEST/notes
}
[[ $1 != unstack ]] || no-such-program
echo "$1 $2: $NOTES_COLOUR after ${notes_phase:-nothing}" >>$DEST/phases
notes_phase=$2
false | true
if [[ "$1" == "stack" && "$2" == "install" ]]; then
    stack_install_service notes
elif [[ "$1" == "stack" && "$2" == "post-config" ]]; then
    rm -f $NOTES_CONF
    iniset $NOTES_CONF DEFAULT colour $NOTES_COLOUR
    setup_systemd_logging $NOTES_CONF
elif [[ "$1" == "stack" && "$2" == "extra" ]]; then
    run_process notes-engine "$NOTES_BIN_DIR/notes-engine --config-file $NOTES_CONF"
    run_process notes-other "$NOTES_BIN_DIR/notes-other"
elif [[ "$1" == "unstack" ]]; then
    false
    stop_process notes-engine
    false
fi
$XTRACE
`)
}

// seconds are what no test can know of a step's line.
var seconds = regexp.MustCompile(`[0-9]+[.][0-9]`)

const done = ": done in n s, n s after the start\n"

func TestStackShRunsPluginsInDevStacksPhases(t *testing.T) {
	g := NewWithT(t)
	node := newFakeNode(t, enableNotes+`[[post-config|$NOTES_CONF]]
[DEFAULT]
size = 3
[[test-config|$NOTES_CONF]]
[test]
well = yes
`)
	node.notesPlugin()
	node.write("etc/notes/left-by-the-package", "")
	said, err := node.run("./stack.sh")
	g.Expect(err).NotTo(HaveOccurred(), said)
	g.Expect(seconds.ReplaceAllString(said, "n")).To(Equal(`plugin notes: override-defaults 
plugin notes: settings 
plugins: stack pre-install: done in n s, n s after the start
packages and config: done in n s, n s after the start
plugins: stack install: done in n s, n s after the start
local.conf: post-config, before plugins: done in n s, n s after the start
memcached: start: done in n s, n s after the start
plugins: stack post-config: done in n s, n s after the start
local.conf: post-config: done in n s, n s after the start
plugins: stack extra: done in n s, n s after the start
plugins: stack test-config: done in n s, n s after the start
the cloud is up after n s: 
`))
	g.Expect(node.read("stack/old/phases")).To(Equal(`stack pre-install: blue after nothing
stack install: blue after pre-install
stack post-config: blue after install
stack extra: blue after post-config
stack test-config: blue after extra
`))
	g.Expect(node.read("stack/old/notes.conf")).To(Equal("[DEFAULT]\nsize = 3\nuse_stderr = True\ncolour = blue\n\n[test]\nwell = yes\n"))
	g.Expect(node.dir + "/etc/notes").To(BeADirectory())
	g.Expect(node.dir+"/etc/notes/left-by-the-package").NotTo(BeAnExistingFile(), "on DevStack the plugin writes all there is")
	g.Expect(node.read("etc/systemd/system/devstack@notes-engine.service")).To(
		ContainSubstring("ExecStart=/usr/bin/notes-engine --config-file " + node.dest + "/notes.conf\n"))
	g.Expect(node.read("etc/systemd/system/devstack@notes-other.service")).To(BeEmpty(), "it is not enabled")
	g.Expect(node.dir + "/running/devstack@notes-engine").To(BeAnExistingFile())

	said, err = node.run("./clean.sh")
	g.Expect(err).NotTo(HaveOccurred(), said)
	g.Expect(node.dir + "/running/devstack@notes-engine").NotTo(BeAnExistingFile())
	g.Expect(node.read("stack/old/phases")).To(HaveSuffix("unstack : blue after nothing\nclean : blue after nothing\n"))
}

// Plugins make accounts in post-config, and change the configs of services that must not have started yet.
func TestKeystoneIsUpAndNothingElseWhenPluginsConfigure(t *testing.T) {
	g := NewWithT(t)
	node := newFakeNode(t, "enable_service key placement-api\n"+enableNotes)
	node.write("etc/keystone/keystone-uwsgi.ini", "processes = 8\n")
	node.write("etc/placement/placement-api-uwsgi.ini", "processes = 8\n")
	node.write("stack/old/devstack/tools/accounts.py", "import sys\nfor line in sys.stdin: print(line, end='')\n")
	node.write("stack/old/notes/devstack/plugin.sh", `if [[ $2 == post-config || $2 == extra ]]; then
    { echo "$2 with $(cd $NODE/running; echo *)"; create_service_user notes admin; } >>$DEST/phases
fi
`)
	said, err := node.run("./stack.sh")
	g.Expect(err).NotTo(HaveOccurred(), said)
	const account = "user notes d Default \n"
	g.Expect(node.read("stack/old/phases")).To(Equal("post-config with keystone memcached openstack-cli\n" + account +
		"extra with keystone memcached openstack-cli placement-api\n" + account))
	g.Expect(said).To(MatchRegexp(`(?s)keystone: start until it answers: done .*\n.*all accounts and endpoints: done .*\n.*plugins: stack post-config: done .*\n.*placement: start: done .*\n.*plugins: stack extra: done `))
	g.Expect(strings.Count(said, "keystone: start")).To(Equal(1))
}

func TestStackShWithoutPluginsDoesNothingForThem(t *testing.T) {
	g := NewWithT(t)
	node := newFakeNode(t, "")
	said, err := node.run("./stack.sh")
	g.Expect(err).NotTo(HaveOccurred(), said)
	g.Expect(seconds.ReplaceAllString(said, "n")).To(Equal("packages and config" + done + "memcached: start" + done + "the cloud is up after n s: \n"))
	g.Expect(node.calls()).NotTo(ContainSubstring("devstack@"))
}

func TestWhatAPluginCannotDoHereEndsStackSh(t *testing.T) {
	for name, test := range map[string]struct {
		localConf string
		change    func(fakeNode)
		want      string
	}{
		"a service that nobody brings": {
			"enable_service h-eng\n", func(fakeNode) {},
			"ENABLED_SERVICES has h-eng, which no enabled plugin brings; debstack knows mysql rabbit key",
		},
		"a service that another plugin would bring": {
			enableNotes + "enable_service h-eng\n", fakeNode.notesPlugin, "ENABLED_SERVICES has h-eng, which no enabled plugin brings",
		},
		"a plugin that was not fetched": {
			enableNotes, func(fakeNode) {},
			"plugin notes (https://git.example.org/notes) has no devstack directory in NODE/stack/old/notes: what enable_plugin names",
		},
		"a phase that fails": {
			enableNotes, func(n fakeNode) {
				n.write("stack/old/notes/devstack/plugin.sh", "echo in $2 of $nothing\n[[ $2 != install ]] || no_such_function --now\n")
			},
			"FAILED (127): the last lines of NODE/stack/old/logs/plugins--stack-install.log:\n" +
				"plugin notes: plugin.sh stack install\nin install of\ndebstack has no function no_such_function",
		},
		"code that no package is known for": {
			enableNotes, func(n fakeNode) {
				n.write("missing", "python3-elsewhere\n")
				n.write("stack/old/notes/devstack/plugin.sh", "if [[ $2 == install ]]; then setup_develop $DEST/elsewhere; fi\n")
			},
			"does not know those of NODE/stack/old/elsewhere: projects/elsewhere would name them",
		},
		"a package that the root has not": {
			enableNotes, func(n fakeNode) {
				n.notesPlugin()
				n.write("missing", "notes-common\n")
			},
			"package notes-common is not in the root of this release",
		},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			node := newFakeNode(t, test.localConf)
			test.change(node)
			said, err := node.run("./stack.sh")
			g.Expect(err).To(HaveOccurred(), said)
			g.Expect(said).To(ContainSubstring(test.want))
			g.Expect(said).NotTo(ContainSubstring("the cloud is up"))
		})
	}
}

func TestACloudThatIsThereIsStartedAgainWithWhatItsPluginsHaveMade(t *testing.T) {
	g := NewWithT(t)
	node := newFakeNode(t, enableNotes)
	node.notesPlugin()
	said, err := node.run("./stack.sh", "--again")
	g.Expect(err).To(HaveOccurred())
	g.Expect(said).To(ContainSubstring("plugin notes has no function start_notes, so it cannot be started again"))

	node.write("etc/notes/ours", "")
	node.write("stack/old/notes/devstack/override-defaults", `NOTES_COLOUR=red
start_notes() { false | run_process notes-engine "$NOTES_BIN_DIR/notes-engine $nothing"; }
`)
	said, err = node.run("./stack.sh", "--again")
	g.Expect(err).NotTo(HaveOccurred(), said)
	g.Expect(seconds.ReplaceAllString(said, "n")).To(ContainSubstring("\nmemcached: start" + done + "plugins: start" + done + "the cloud is up"))
	g.Expect(node.read("stack/old/phases")).To(HaveSuffix("again : red after nothing\n"))
	g.Expect(node.dir + "/etc/notes/ours").To(BeAnExistingFile())
	g.Expect(node.dir + "/running/devstack@notes-engine").To(BeAnExistingFile())
}
