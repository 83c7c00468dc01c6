package debstack

import (
	"regexp"
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
    git_clone $NOTES_REPO $DEST/notes master
    setup_develop $DEST/notes
}
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
    stop_process notes-engine
fi
$XTRACE
`)
}

// seconds are what no test can know of a step's line.
var seconds = regexp.MustCompile(`(?m)^ +[0-9.]+ s( +[0-9.]+ s)?`)

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
	g.Expect(seconds.ReplaceAllString(said, "")).To(Equal(`plugin notes: override-defaults 
plugin notes: settings 
  plugins: stack pre-install
  packages and config
  plugins: stack install
  local.conf: post-config, before plugins
  memcached: start
  plugins: stack post-config
  local.conf: post-config
  plugins: stack extra
  plugins: stack test-config
           the cloud is up: 
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

func TestStackShWithoutPluginsDoesNothingForThem(t *testing.T) {
	g := NewWithT(t)
	node := newFakeNode(t, "")
	said, err := node.run("./stack.sh")
	g.Expect(err).NotTo(HaveOccurred(), said)
	g.Expect(seconds.ReplaceAllString(said, "")).To(Equal("  packages and config\n  memcached: start\n           the cloud is up: \n"))
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

func TestACloudThatIsThereIsNotStartedAgainWithoutItsPlugins(t *testing.T) {
	g := NewWithT(t)
	node := newFakeNode(t, enableNotes)
	node.notesPlugin()
	said, err := node.run("./stack.sh", "--again")
	g.Expect(err).To(HaveOccurred())
	g.Expect(said).To(ContainSubstring("--again cannot start what plugins have started: notes"))
	g.Expect(node.read("stack/old/phases")).To(BeEmpty())
}
