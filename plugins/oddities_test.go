package plugins

import (
	"path/filepath"
	"testing"

	. "github.com/onsi/gomega"
)

func TestOdditiesNamesScriptsThatNobodyRuns(t *testing.T) {
	g := NewWithT(t)
	w := newWorld(t)
	dir := w.plugin(t, "heat", "register_project_for_upgrade heat\n")
	for _, name := range []string{"resource.sh", "shutdhown.sh", "resources.sh", "common.sh", "upgrade-helper"} {
		w.write(t, filepath.Join(dir, name), "", 0o755)
	}
	found, err := Scan(w.grenade, "", []string{dir}, nil)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(remarks(Oddities(found))).To(ConsistOf(
		dir+"/resource.sh is never run: did its author mean resources.sh?",
		dir+"/shutdhown.sh is never run: did its author mean shutdown.sh?",
	))
}

func TestOdditiesNamesStepsThatNoUpgradeReads(t *testing.T) {
	g := NewWithT(t)
	w := newWorld(t)
	dir := w.plugin(t, "heat", "register_project_for_upgrade heat\n")
	w.write(t, filepath.Join(dir, "upgrade.sh"), "# upgrade_project comment\nupgrade_project heat $RUN_DIR $BASE_DEVSTACK_BRANCH $TARGET_DEVSTACK_BRANCH\n", 0o755)
	good := "function configure_heat_upgrade {\n    :\n}\n"
	for _, name := range []string{
		"from-zed/upgrade-heat", "from-2025.1/upgrade-heat", "within-master/upgrade-heat", "from-juno/upgrade-heat", "within-2024.2/upgrade-heat",
		"from-epoxy/upgrade-heat", "from-2022.2/upgrade-heat", "within-stable-zed/upgrade-heat", "from-zedd/upgrade-heat", "from-somewhere/upgrade-heat",
		"from-2025.3/upgrade-heat", "from_zed/upgrade-heat", "form-zed/upgrade-heat", "From-zed/upgrade-heat", "witin-zed/upgrade-heat", "files-zed/upgrade-heat",
		"from-yoga/upgrade-heta", "from-yoga/upgrade-comment",
	} {
		w.write(t, filepath.Join(dir, name), good, 0o644)
	}
	w.write(t, filepath.Join(dir, "from-xena/upgrade-heat"), "configure_heta_upgrade() { :; }\n", 0o644)
	w.write(t, filepath.Join(dir, "from-wallaby/notes"), "", 0o644)
	w.write(t, filepath.Join(dir, "form-data/x"), "", 0o644)
	found, err := Scan(w.grenade, "", []string{dir}, nil)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(remarks(Oddities(found))).To(ConsistOf(
		dir+"/from-epoxy can never match: epoxy is no release of a branch; did its author mean from-2025.1?",
		dir+"/from-2022.2 can never match: 2022.2 is no release of a branch; did its author mean from-zed?",
		dir+"/within-stable-zed can never match: stable-zed is no release of a branch; did its author mean within-zed?",
		dir+"/from-zedd can never match: zedd is no release of a branch; did its author mean from-zed?",
		dir+"/from-somewhere can never match: somewhere is no release of a branch",
		dir+"/from-2025.3 can never match: 2025.3 is no release of a branch; did its author mean from-2025.1?",
		dir+"/from_zed is never read: did its author mean from-zed?",
		dir+"/form-zed is never read: did its author mean from-zed?",
		dir+"/From-zed is never read: did its author mean from-zed?",
		dir+"/witin-zed is never read: did its author mean within-zed?",
		dir+"/from-yoga/upgrade-heta is never read: upgrade.sh does not call upgrade_project heta",
		dir+"/from-yoga/upgrade-comment is never read: upgrade.sh does not call upgrade_project comment",
		dir+"/from-xena/upgrade-heat does not define configure_heat_upgrade, which upgrade_project calls",
		dir+"/from-wallaby holds no upgrade-<project>, so nothing in it is ever read",
	))
}

// Who computes the name may call any.
func TestOdditiesBelievesAnUpgradeScriptThatComputesNames(t *testing.T) {
	g := NewWithT(t)
	w := newWorld(t)
	dir := w.plugin(t, "heat", "register_project_for_upgrade heat\n")
	w.write(t, filepath.Join(dir, "upgrade.sh"), "for p in heat x; do upgrade_project $p . a b; done\n", 0o755)
	w.write(t, filepath.Join(dir, "from-zed/upgrade-x"), "configure_x_upgrade() { :; }\n", 0o644)
	found, err := Scan(w.grenade, "", []string{dir}, nil)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(Oddities(found)).To(BeEmpty())
}

// remarks are the oddities as a report has them.
func remarks(found []Oddity) []string {
	said := make([]string, len(found))
	for i, oddity := range found {
		said[i] = oddity.String()
	}
	return said
}
