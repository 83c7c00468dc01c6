package plugins

import (
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/gomega"

	"grenade/framework/exec"
)

// upstream gives a world whose trees are DevStack's own, the directory projects/ of upstream's Grenade, and a directory
// with programs that stand for those that would change the machine: what they are called with is in calls. The test is
// skipped where nobody gives the two.
func upstream(t *testing.T) (w *world, projects, programs string) {
	t.Helper()
	gitBase, grenade := os.Getenv("GRENADE_TEST_GIT_BASE"), os.Getenv("GRENADE_TEST_GRENADE")
	if gitBase == "" || grenade == "" {
		t.Skip("needs DevStack and Grenade themselves: GRENADE_TEST_GIT_BASE names no GIT_BASE, or GRENADE_TEST_GRENADE no checkout")
	}
	w = newWorld(t)
	current, err := user.Current()
	NewWithT(t).Expect(err).NotTo(HaveOccurred())
	for dir, branch := range map[string]string{w.base: "stable/2025.1", w.target: "stable/2025.2"} {
		NewWithT(t).Expect(os.RemoveAll(dir)).To(Succeed())
		_, err := exec.Output(t.Context(), exec.Command{Args: []string{
			"git", "-c", "safe.directory=*", "clone", "--quiet", "--shared", "--branch", branch, gitBase + "/openstack/devstack", dir,
		}})
		NewWithT(t).Expect(err).NotTo(HaveOccurred())
		w.write(t, filepath.Join(dir, ".localrc.auto"), "DEST="+filepath.Dir(dir)+"\nDATA_DIR="+w.root+"/data\nADMIN_PASSWORD=secret\n"+
			"HOST_IP=127.0.0.1\nMYSQL_PASSWORD=secret\nSTACK_USER="+current.Username+"\nenable_service s-proxy s-object s-container s-account\n", 0o644)
		// It sends signals to whatever is called like a service, on the whole machine.
		NewWithT(t).Expect(os.Remove(filepath.Join(dir, "tools", "worlddump.py"))).To(Succeed())
	}
	programs = filepath.Join(w.root, "programs")
	// What does not exist, is not enabled and is not running.
	w.write(t, filepath.Join(programs, "systemctl"), "#!/bin/bash\necho \"systemctl $*\" >>"+w.root+"/calls\n"+
		"case $1 in show) printf 'LoadState=loaded\\nActiveState=inactive\\n' ;; esac\n", 0o755)
	w.write(t, filepath.Join(programs, "sudo"), "#!/bin/bash\nif [[ $1 == systemctl ]]; then exec \"$@\"; fi\necho \"sudo $*\" >>"+w.root+"/calls\n", 0o755)
	w.write(t, filepath.Join(programs, "openstack"), "#!/bin/bash\necho \"openstack $*\" >>"+w.root+"/calls\n"+
		"if [[ $* == *'-f shell'* ]]; then echo 'id=\"of-openstack\"'; fi\n", 0o755)
	for _, name := range []string{"killall", "pkill", "kill"} {
		w.write(t, filepath.Join(programs, name), "#!/bin/bash\necho \""+name+" $*\" >>"+w.root+"/calls\n", 0o755)
	}
	return w, filepath.Join(grenade, "projects"), programs
}

// upstreamRun runs one of upstream's scripts, unmodified and in place, as a run does.
func (w *world) upstreamRun(t *testing.T, programs, script string, args ...string) {
	t.Helper()
	environ := w.environ()
	environ["PATH"] = programs + ":" + environ["PATH"]
	environ["BASE_DEVSTACK_BRANCH"], environ["TARGET_DEVSTACK_BRANCH"] = "stable/2025.1", "stable/2025.2"
	environ["BASE_RELEASE_DIR"], environ["TARGET_RELEASE_DIR"] = filepath.Dir(w.base), filepath.Dir(w.target)
	command, err := ScriptCommand(ScriptInput{Path: script, Args: args, Environ: environ})
	NewWithT(t).Expect(err).NotTo(HaveOccurred())
	command.Timeout = time.Minute
	w.said(t, command)
}

func TestUpstreamsProjectsAreLoadedInPlaceOfOurs(t *testing.T) {
	g := NewWithT(t)
	w, projects, programs := upstream(t)
	found, err := Scan(w.grenade, projects, nil, []string{"cloud"})
	g.Expect(err).NotTo(HaveOccurred())
	var names []string
	for _, plugin := range found {
		names = append(names, plugin.Project)
		g.Expect(plugin.Dir).To(HavePrefix(projects))
	}
	g.Expect(names).To(Equal([]string{"keystone", "placement", "swift", "glance", "neutron", "nova", "cinder", "horizon"}))
	g.Expect(CheckScripts(t.Context(), found)).To(Succeed())

	environ := w.environ()
	environ["PATH"] = programs + ":" + environ["PATH"]
	settings, err := LoadSettings(t.Context(), here{}, SettingsInput{
		Plugins: found, GrenadeDir: w.grenade, ProjectsDir: projects, SaveDir: w.save, TopDir: w.target, Environ: environ,
		Log: filepath.Join(w.root, "settings.log"), Timeout: time.Minute,
	})
	g.Expect(err).NotTo(HaveOccurred())
	// What DevStack has in ENABLED_SERVICES by itself, and what local.conf adds.
	g.Expect(settings.Order).To(Equal(slices.DeleteFunc(names, func(name string) bool { return settings.Dropped[name] != "" })))
	g.Expect(settings.Order).To(ContainElements("keystone", "placement", "swift", "glance", "neutron", "nova", "cinder"))
	g.Expect(settings.Databases["nova"]).To(ContainElement("nova_cell1"))
	g.Expect(settings.PluginDir["glance"]).To(Equal(filepath.Join(projects, "40_glance")))
}

func TestUpstreamsScriptsRunOnDevStacksTrees(t *testing.T) {
	w, projects, programs := upstream(t)
	calls := func() string {
		text, _ := os.ReadFile(filepath.Join(w.root, "calls"))
		return string(text)
	}
	t.Run("resources", func(t *testing.T) {
		g := NewWithT(t)
		script := filepath.Join(projects, "10_keystone", "resources.sh")
		for _, phase := range []string{"early_create", "create", "verify", "verify_noapi", "destroy"} {
			w.upstreamRun(t, programs, script, phase, "pre-upgrade")
		}
		g.Expect(calls()).To(ContainSubstring("openstack user show of-openstack"))
		g.Expect(calls()).To(HaveSuffix("openstack user delete of-openstack\nopenstack project delete of-openstack\n"))
		id, code := w.bash(t, "resource_get keystone user_id")
		g.Expect(code).To(BeZero())
		g.Expect(id).To(Equal("of-openstack\n"))
	})
	for project, unit := range map[string]string{"10_keystone": "keystone", "40_glance": "g-api", "60_nova": "n-cpu", "70_cinder": "c-vol"} {
		t.Run("shutdown of "+strings.TrimLeft(project, "0123456789_"), func(t *testing.T) {
			w.upstreamRun(t, programs, filepath.Join(projects, project, "shutdown.sh"))
			NewWithT(t).Expect(calls()).To(ContainSubstring("systemctl stop devstack@" + unit + ".service"))
		})
	}
}
