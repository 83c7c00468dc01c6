package plugins

import (
	"os"
	"path/filepath"
	"testing"

	. "github.com/onsi/gomega"

	"grenade/framework/config"
)

// projectsOf writes a directory of plugins like upstream's projects/.
func (w *world) projectsOf(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(w.root, "upstream", "projects")
	w.write(t, filepath.Join(dir, "20_second", "settings"), "register_project_for_upgrade second\n", 0o644)
	w.write(t, filepath.Join(dir, "10_first", "settings"), "register_project_for_upgrade first\nregister_db_to_save first\n", 0o644)
	w.write(t, filepath.Join(dir, "README"), "no plugin\n", 0o644)
	return dir
}

func TestPluginsOfADirectoryTakeThePlaceOfTheInTreeOnes(t *testing.T) {
	g := NewWithT(t)
	w := newWorld(t)
	projects := w.projectsOf(t)
	heat := w.plugin(t, "heat", "register_project_for_upgrade heat\n")
	found, err := Scan(w.grenade, projects, []string{heat}, nil)
	g.Expect(err).NotTo(HaveOccurred())
	var names []string
	for _, plugin := range found {
		names = append(names, plugin.Project)
	}
	g.Expect(names).To(Equal([]string{"first", "second", "heat"}))
	settings, err := LoadSettings(t.Context(), here{}, SettingsInput{
		Plugins: found, External: []string{heat}, GrenadeDir: w.grenade, ProjectsDir: projects, SaveDir: w.save, TopDir: w.target,
		Environ: w.environ(), Log: filepath.Join(w.root, "settings.log"),
	})
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(settings.Order).To(Equal([]string{"first", "second", "heat"}))
	g.Expect(settings.PluginDir["first"]).To(Equal(filepath.Join(projects, "10_first")), "in place, by its real path")
	g.Expect(settings.Databases).To(HaveKeyWithValue("first", []string{"first"}))
}

func TestADirectoryWithoutPluginsIsAMistake(t *testing.T) {
	g := NewWithT(t)
	w := newWorld(t)
	for _, dir := range []string{w.root + "/nowhere", w.save} {
		_, err := Scan(w.grenade, dir, nil, nil)
		g.Expect(config.IsMistake(err)).To(BeTrue())
		g.Expect(err).To(MatchError(ContainSubstring("GRENADE_PROJECTS: ")))
	}
}

// GRENADE_DIR is written again when a run goes on: not through a link, into somebody's own directory.
func TestTheUsersDirectoryOfPluginsIsNotWrittenTo(t *testing.T) {
	g := NewWithT(t)
	w := newWorld(t)
	projects := w.projectsOf(t)
	for range 2 {
		g.Expect(Materialise(w.grenade)).To(Succeed())
		g.Expect(UseProjects(w.grenade, projects)).To(Succeed())
		g.Expect(filepath.Join(w.grenade, "projects", "10_first", "settings")).To(BeARegularFile())
	}
	entries, err := os.ReadDir(projects)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(entries).To(HaveLen(3))
	// And back.
	g.Expect(Materialise(w.grenade)).To(Succeed())
	g.Expect(filepath.Join(w.grenade, "projects", "10_keystone", "settings")).To(BeARegularFile())
	g.Expect(filepath.Join(w.grenade, "projects", "10_first")).NotTo(BeADirectory())
}
