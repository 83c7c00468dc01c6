package debstack

import (
	"os"
	"testing"
	"testing/fstest"

	. "github.com/onsi/gomega"

	"grenade/framework/tree"
)

func TestProjectsOfPluginsAreKnownAndInRootsOnlyWithTheirPlugins(t *testing.T) {
	g := NewWithT(t)
	shell := Tree{files: fstest.MapFS{
		"lib/keystone": {Data: []byte("# packages: keystone\n")},
		"projects/notes": {Data: []byte(`# projects/notes: a fixture.
# requires: keystone
# services: notes notes-api
# packages: notes-common
# units: devstack@notes-api
# wsgi: notes.wsgi:application notes-wsgi
`)},
	}}
	services, err := shell.Services()
	g.Expect(err).NotTo(HaveOccurred())
	notes, known := services.Find("notes")
	g.Expect(known).To(BeTrue())
	g.Expect(notes.FromPlugin).To(BeTrue())
	g.Expect(notes.Tree("2025.1", map[string]Unit{"notes-api": {}}).Units).To(Equal([]string{"devstack@notes-api"}))
	closure, err := services.Closure("notes")
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(closure).To(HaveLen(2))
	g.Expect(closure[0].Name).To(Equal("keystone"))

	g.Expect(services.installed(nil).Packages("2025.1")).To(Equal([]string{"keystone"}))
	g.Expect(services.installed([]tree.Checkout{{Name: "notes"}, {Name: "heat"}}).Packages("2025.1")).To(Equal([]string{"keystone", "notes-common"}))
}

func TestMistakesInProjectsAreReportedWithThoseInLibs(t *testing.T) {
	g := NewWithT(t)
	_, err := Tree{files: fstest.MapFS{
		"lib/notes":      {Data: []byte("# port: x\n")},
		"projects/notes": {Data: []byte("# what it is\n# wsgi: notes-wsgi\n# renamed: notes.conf a b\n# requires: heat\n")},
	}}.Services()
	g.Expect(err).To(MatchError(And(ContainSubstring(`lib/notes:1: port "x"`),
		ContainSubstring(`projects/notes:2: "notes-wsgi" is not "<module>:<name> <script>"`),
		ContainSubstring(`projects/notes:3: "notes.conf a b" is not "<file> <section>/<option> <section>/<option>"`),
		ContainSubstring("projects/notes: the tree has a lib/notes, too"),
		ContainSubstring("projects/notes: requires heat, but the tree has no lib/heat"))))
}

// What no plugin of the run needs must not change the root that everybody's cloud starts from, nor the time that it takes.
func TestTheDefaultCloudsRootsHoldNoProjects(t *testing.T) {
	g := NewWithT(t)
	shell, err := NewTree()
	g.Expect(err).NotTo(HaveOccurred())
	services, err := shell.Services()
	g.Expect(err).NotTo(HaveOccurred())
	listed, err := os.ReadDir("tree/projects")
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(listed).NotTo(BeEmpty())
	var all []tree.Checkout
	for _, file := range listed {
		project, known := services.Find(file.Name())
		g.Expect(known).To(BeTrue(), file.Name())
		g.Expect(project.Units).NotTo(BeEmpty(), file.Name())
		g.Expect(services.installed(nil)).NotTo(ContainElement(project))
		all = append(all, tree.Checkout{Name: file.Name()})
	}
	g.Expect(services.installed(nil)).To(HaveLen(len(services) - len(listed)))
	g.Expect(services.installed(all)).To(HaveLen(len(services)))
}

func TestAPluginThatCannotBeBesideAServiceIsRefusedBeforeAnythingIsBuilt(t *testing.T) {
	g := NewWithT(t)
	notes, mistakes := parseHeader("projects/notes", "# not-with: horizon: it has the port\n# leaves: user notes: it forgets it\n")
	g.Expect(mistakes).To(BeEmpty())
	g.Expect(notes.Leaves).To(Equal([]tree.Leftover{{Kind: "user", Name: "notes", Reason: "it forgets it"}}))
	notes.FromPlugin = true
	services, enabled := Services{{Name: "horizon"}, notes}, []tree.Checkout{{Name: "notes"}}
	g.Expect(services.checkTogether([]string{"horizon"}, nil)).To(Succeed())
	g.Expect(services.checkTogether([]string{"keystone", "notes"}, enabled)).To(Succeed())
	err := services.checkTogether([]string{"horizon"}, enabled)
	g.Expect(err).To(MatchError(ErrSetting))
	g.Expect(err).To(MatchError(ContainSubstring("the plugin notes cannot be in one cloud with horizon: it has the port; leave one of them out")))
}

// A selection of the project alone brings what its service needs.
func TestWhatAPluginsProjectRequiresIsKnownBeforeThereIsACloud(t *testing.T) {
	g := NewWithT(t)
	g.Expect(Requires([]string{"designate"})).To(Equal([]string{"keystone", "designate"}))
	g.Expect(Requires([]string{"barbican"})).To(ContainElements("keystone", "nova", "barbican"))
	g.Expect(Requires([]string{"heat"})).To(Equal([]string{"heat"}))
}
