package plugins

import (
	"os"
	"path/filepath"
	"testing"

	. "github.com/onsi/gomega"

	"grenade/framework/config"
)

func TestRegistrationsAreReadFromTheText(t *testing.T) {
	for line, want := range map[string][]string{
		"register_project_for_upgrade heat":                              {"heat"},
		"\tregister_project_for_upgrade   'heat'  # upgrade heat":        {"heat"},
		`register_project_for_upgrade "heat"`:                            {"heat"},
		"if is_service_enabled x; then register_project_for_upgrade x":   {"x"},
		"if true; then register_project_for_upgrade x; fi":               {"x"},
		"is_service_enabled x && register_project_for_upgrade x":         {"x"},
		"{ register_project_for_upgrade x; }":                            {"x"},
		"register_project_for_upgrade a; register_project_for_upgrade b": {"a", "b"},
		"register_project_for_upgrade a b":                               {"a"},
		"register_project_for_upgrade neutron-fwaas":                     {"neutron-fwaas"},
		"# register_project_for_upgrade heat":                            nil,
		"echo register_project_for_upgrade heat":                         nil,
		"echo 'x; register_project_for_upgrade heat'":                    nil,
		"register_project_for_upgrade $name":                             nil,
		"register_project_for_upgrade ${name}":                           nil,
		`register_project_for_upgrade "$name"`:                           nil,
		"register_project_for_upgrade `name`":                            nil,
		"register_project_for_upgrade":                                   nil,
		"register_project_for_upgrade; heat":                             nil,
		"register_project_for_upgrades heat":                             nil,
		"":                                                               nil,
	} {
		t.Run(line, func(t *testing.T) {
			NewWithT(t).Expect(registrations(line)).To(Equal(want))
		})
	}
}

func TestScanKnowsTheInTreePluginsWithoutGrenadeDir(t *testing.T) {
	g := NewWithT(t)
	found, err := Scan("/nowhere/grenade", "", nil, nil)
	g.Expect(err).NotTo(HaveOccurred())
	var order []string
	for _, plugin := range found {
		order = append(order, plugin.Project)
	}
	g.Expect(order).To(Equal(inTree(t)))
	g.Expect(found).To(ContainElements(
		Plugin{Project: "keystone", Dir: "/nowhere/grenade/projects/10_keystone", SettingsFile: "/nowhere/grenade/projects/10_keystone/settings", Line: 2},
		Plugin{Project: "glance", Dir: "/nowhere/grenade/projects/40_glance", SettingsFile: "/nowhere/grenade/projects/40_glance/settings", Line: 3},
	))
	g.Expect(found[0].Script("upgrade.sh")).To(Equal("/nowhere/grenade/projects/10_keystone/upgrade.sh"))
}

func TestScanPutsExternalPluginsAfterThemInTheirOrder(t *testing.T) {
	g := NewWithT(t)
	w := newWorld(t)
	zaqar := w.plugin(t, "zaqar", "register_project_for_upgrade zaqar\nregister_project_for_upgrade zaqar\n")
	heat := w.plugin(t, "heat", "register_db_to_save heat\nregister_project_for_upgrade heat\nregister_project_for_upgrade heat-dashboard\n")
	empty := filepath.Join(w.root, "plugins/empty")
	g.Expect(os.MkdirAll(empty, 0o755)).To(Succeed())

	found, err := Scan(w.grenade, "", []string{zaqar, empty, "/not/fetched/yet", heat}, nil)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(found[len(inTree(t)):]).To(Equal([]Plugin{
		{Project: "zaqar", Dir: zaqar, SettingsFile: filepath.Join(zaqar, "settings"), Line: 1},
		{Project: "heat", Dir: heat, SettingsFile: filepath.Join(heat, "settings"), Line: 2},
		{Project: "heat-dashboard", Dir: heat, SettingsFile: filepath.Join(heat, "settings"), Line: 3},
	}))
}

func TestScanNamesEveryMistakeAtOnce(t *testing.T) {
	g := NewWithT(t)
	w := newWorld(t)
	one := w.plugin(t, "one", "register_project_for_upgrade cloud\nregister_project_for_upgrade a,b\n")
	two := w.plugin(t, "two", "\n\nregister_project_for_upgrade keystone\n")

	_, err := Scan(w.grenade, "", []string{one, two}, []string{"base", "upgrade", "cloud"})

	mistakes := config.Mistakes(err)
	g.Expect(mistakes).To(HaveLen(3))
	g.Expect(mistakes[0].Error()).To(And(HavePrefix(one+"/settings:1: "), ContainSubstring(`cannot be called "cloud"`)))
	g.Expect(mistakes[1].Error()).To(And(HavePrefix(one+"/settings:2: "), ContainSubstring(`cannot be called "a,b"`)))
	g.Expect(mistakes[2].Error()).To(And(HavePrefix(two+"/settings:3: "),
		ContainSubstring("two plugins register keystone: "+w.grenade+"/projects/10_keystone and "+two)))
}
