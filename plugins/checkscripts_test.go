package plugins

import (
	"path/filepath"
	"testing"

	. "github.com/onsi/gomega"

	"grenade/framework/config"
)

func TestCheckScriptsAcceptsTheInTreePlugins(t *testing.T) {
	g := NewWithT(t)
	w := newWorld(t)
	found, err := Scan(w.grenade, "", nil, nil)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(CheckScripts(t.Context(), found)).To(Succeed())
	for _, plugin := range found {
		for _, script := range []string{"upgrade.sh", "shutdown.sh", "resources.sh"} {
			g.Expect(plugin.Script(script)).To(BeAnExistingFile()) // else nothing was checked
		}
	}
}

func TestCheckScriptsReportsAllMistakesTogether(t *testing.T) {
	g := NewWithT(t)
	w := newWorld(t)
	dir := w.plugin(t, "heat", "register_project_for_upgrade heat\nif true; then\n")
	w.write(t, filepath.Join(dir, "upgrade.sh"), "#!/bin/bash\nfi\n", 0o755)
	w.write(t, filepath.Join(dir, "shutdown.sh"), "#!/bin/bash\ntrue\n", 0o644)
	w.write(t, filepath.Join(dir, "snapshot.sh"), "#!/usr/bin/python3\nif (:\n", 0o755)
	w.write(t, filepath.Join(dir, "from-zed/upgrade-heat"), "function configure_heat_upgrade {\n}\n", 0o644)
	w.write(t, filepath.Join(dir, "within-zed/upgrade-heat"), "true\ntrue\r\n", 0o644)
	w.write(t, filepath.Join(dir, "resources.sh"), "exit 1\n", 0o755) // runs fine when parsed
	found, err := Scan(w.grenade, "", []string{dir}, nil)
	g.Expect(err).NotTo(HaveOccurred())

	mistakes := config.Mistakes(CheckScripts(t.Context(), found))

	var said []string
	for _, mistake := range mistakes {
		said = append(said, mistake.Error())
	}
	g.Expect(said).To(ConsistOf(
		And(HavePrefix(dir+"/settings:"), ContainSubstring("syntax error")),
		HavePrefix(dir+"/upgrade.sh:2: syntax error"),
		Equal(dir+"/within-zed/upgrade-heat:2: the line ends in CR LF: save the file with Unix line ends"),
		Equal(dir+"/shutdown.sh: is not executable: chmod +x it"),
		And(HavePrefix(dir+"/from-zed/upgrade-heat:2: "), ContainSubstring("syntax error")),
	), "%q", said)
}

func TestCheckScriptsEndsWithItsContext(t *testing.T) {
	g := NewWithT(t)
	w := newWorld(t)
	dir := w.plugin(t, "heat", "register_project_for_upgrade heat\n")
	found, err := Scan(w.grenade, "", []string{dir}, nil)
	g.Expect(err).NotTo(HaveOccurred())
	ctx, cancel := contextDone(t)
	defer cancel()
	err = CheckScripts(ctx, found)
	g.Expect(err).To(MatchError(ContainSubstring("context canceled")))
	g.Expect(config.IsMistake(err)).To(BeFalse(), "an interrupted check must not blame the script")
}
