package plugins

import (
	"context"
	"os"
	osexec "os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	. "github.com/onsi/gomega"

	"grenade/framework/exec"
)

const sources = "#!/usr/bin/env bash\nset -o errexit\nsource $GRENADE_DIR/grenaderc\nsource $GRENADE_DIR/functions\nsource $TOP_DIR/openrc admin admin\nset -o xtrace\n"

// runTraced runs a plugin's script as a run does, and returns its trace file,
// what it printed, and its exit code.
func (w *world) runTraced(t *testing.T, script string, args ...string) (trace, output string, code int) {
	t.Helper()
	g := NewWithT(t)
	trace = filepath.Join(w.save, "traces/verify/p")
	command, err := ScriptCommand(ScriptInput{Path: script, Args: args, Trace: trace, Environ: w.environ()})
	g.Expect(err).NotTo(HaveOccurred())
	command.Log, command.Timeout = filepath.Join(w.root, "script.log"), 20*time.Second
	g.Expect(os.RemoveAll(command.Log)).To(Succeed())
	result, err := exec.Run(t.Context(), command) // the code is what counts
	g.Expect(result.ExitCode).NotTo(Equal(-1), "%v", err)
	content, err := os.ReadFile(command.Log)
	g.Expect(err).NotTo(HaveOccurred())
	return trace, string(content), result.ExitCode
}

func TestNoOp(t *testing.T) {
	for name, one := range map[string]struct {
		script string
		files  map[string]string // beside the script
		args   []string
		idle   bool
		why    string
		code   int
	}{
		"a verify that is a colon": {
			script: sources + "function verify {\n    # currently no good way\n    :\n}\ncase $1 in\n\"verify\")\n    verify $2\n;;\nesac\n",
			args:   []string{"verify", "pre-upgrade"}, idle: true, why: "the last at resources.sh:9",
		},
		"a phase that the script does not know": {
			script: sources + "case $1 in create) touch x ;; esac\n", args: []string{"verify"}, idle: true,
		},
		"nothing but variables and talk": {
			script: sources + `RUN_DIR=$(cd $(dirname "$0") && pwd)
local_name=x; declare -A m; m[a]=1; m[b]+=2; export Y=$(resource_get p k); read -r z <<<"$Y"
[[ -n $Y ]] || echo "nothing saved" >&2
if [ -z "$Y" ]; then printf 'still -> nothing\n' >/dev/null; fi
for i in 1 2; do ((i == 1)) && continue; let i=i+1; done
trap 'echo bye' INT; shopt -s nullglob; true; eval ": $Y"
is_service_enabled nova || exit 0
`, idle: true,
		},
		"no command at all":                              {script: "#!/bin/bash\n# nothing yet\n", idle: true, why: "ran no command"},
		"only functions":                                 {script: "f() { touch x; }\n", idle: true, why: "ran no command"},
		"no shebang":                                     {script: strings.TrimPrefix(sources, "#!/usr/bin/env bash\n") + ":\n", idle: true},
		"a shebang with options":                         {script: "#!/bin/bash -eu\n:\n", idle: true},
		"a program":                                      {script: sources + "ls\n", why: "ran ls"},
		"a program in $(…)":                              {script: sources + "x=$(id -u)\n", why: "ran id"},
		"a program in a subshell":                        {script: sources + "(cd /; uname)\n", why: "ran uname"},
		"a program in the background":                    {script: sources + "uname & wait\n", why: "ran "},
		"a program in a function":                        {script: sources + "verify() {\n  uname\n}\nverify\n", why: ":8 ran uname"},
		"a program named like an own function elsewhere": {script: sources + "uname -a\nverify() { :; }\nverify\n", why: "ran uname"},
		"exec":                     {script: sources + "exec uname\n", why: "ran exec"},
		"command":                  {script: sources + "command uname\n", why: "ran command"},
		"sudo":                     {script: sources + "sudo true || true\n", why: "ran sudo"},
		"saving something":         {script: sources + "resource_save p k v\n", why: "ran resource_save"},
		"a function of the tree":   {script: sources + "stop_p() { :; }\nerr 1 x\n", why: "ran err"},
		"writing a file with echo": {script: sources + "echo x >file\n", why: "ran echo"},
		"echo with a quoted arrow": {script: sources + "echo 'a > b' \"c > d\" 2>&1\n", idle: true},
		"a multi-line argument":    {script: sources + "x=$'a\\nb'\n: \"$x\"\n[[ $x == *'\n'* ]]\n", idle: true},
		"a sibling that does nothing": {
			script: sources + "source $(dirname $0)/common.sh\n", files: map[string]string{"common.sh": "Z=1\n"}, idle: true,
		},
		"a sibling that does something": {
			script: sources + "cd $(dirname $0); source ./common.sh\n", files: map[string]string{"common.sh": "\nuname\n"}, why: "common.sh:2 ran uname",
		},
		"a file of the checkout that does something": {
			script: sources + "source $(dirname $0)/../plugin.sh stack install\n", files: map[string]string{"../plugin.sh": "uname\n"}, why: "plugin.sh:1 ran uname",
		},
		"upgrade_project without a file": {
			script: sources + "upgrade_project p $(dirname $0) stable/zed stable/2025.1\n", idle: true,
		},
		"upgrade_project with a file": {
			script: sources + "upgrade_project p $(dirname $0) stable/zed stable/2025.1\n",
			files:  map[string]string{"from-zed/upgrade-p": "configure_p_upgrade() { uname; }\n"}, why: "upgrade-p:1 ran uname",
		},
		"set +x before the end, then only talk": {script: sources + ":\nset +o xtrace\n# done\necho \"SUCCESS: End $0\"\n", idle: true},
		"set +x, then something":                {script: sources + "set +x\nuname\n", why: "cannot tell: "},
		"set +x in a function":                  {script: sources + "f() {\n  set +ex\n}\nf\nuname\n", why: "cannot tell: "},
		"set +x and something that shows":       {script: sources + "set +x\nset -x\nuname\n", why: "ran uname"},
		"PS4 of its own":                        {script: sources + "PS4='+ '\nuname\n", why: "cannot tell: "},
		"the trace sent elsewhere":              {script: sources + "BASH_XTRACEFD=2\nuname\n", why: "cannot tell: "},
		"no longer traced":                      {script: sources + "unset BASH_XTRACEFD\nuname\n", why: "cannot tell: "},
		"sh":                                    {script: "#!/bin/sh\n:\n", why: "cannot tell: it is no bash script"},
		"python":                                {script: "#!/usr/bin/python3\npass\n", why: "cannot tell: it is no bash script"},
		"a failure":                             {script: sources + "false\n", idle: true, code: 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := NewWithT(t)
			w := newWorld(t)
			dir := w.plugin(t, "p", "")
			for name, text := range one.files {
				w.write(t, filepath.Join(dir, name), text, 0o644)
			}
			script := w.write(t, filepath.Join(dir, "resources.sh"), one.script, 0o755)
			trace, output, code := w.runTraced(t, script, one.args...)
			g.Expect(code).To(Equal(one.code), output)

			idle, why, err := NoOp(trace, dir)

			g.Expect(err).NotTo(HaveOccurred())
			content, err := os.ReadFile(trace)
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(idle).To(Equal(one.idle), "%s\n%s", why, content[max(0, len(content)-1500):])
			g.Expect(why).To(ContainSubstring(one.why))
		})
	}
}

func TestATraceThatTheTreeEndedProvesNothing(t *testing.T) {
	for question, idle := range map[string]bool{
		"{ local -; set +o xtrace; true; }": true, // back on when it returns
		"{ set +o xtrace; true; }":          false,
	} {
		g := NewWithT(t)
		w := newWorld(t)
		w.write(t, filepath.Join(w.target, "functions"), stubFunctions+"function trueorfalse "+question+"\n", 0o644)
		dir := w.plugin(t, "p", "")
		script := w.write(t, filepath.Join(dir, "resources.sh"), sources+"trueorfalse False X\nuname\n", 0o755)
		if idle {
			w.write(t, script, sources+"trueorfalse False X\n", 0o755)
		}
		trace, output, code := w.runTraced(t, script)
		g.Expect(code).To(Equal(0), output)
		got, why, err := NoOp(trace, dir)
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(got).To(Equal(idle), why)
		if !idle {
			g.Expect(why).To(ContainSubstring("switched the trace off for good"))
		}
	}
}

func TestATraceThatNobodyBeganProvesNothing(t *testing.T) {
	g := NewWithT(t)
	w := newWorld(t)
	script := w.write(t, filepath.Join(w.root, "p/resources.sh"), "#!/bin/bash\ntouch x\n", 0o755)
	trace := filepath.Join(w.save, "traces/p")
	_, err := ScriptCommand(ScriptInput{Path: script, Trace: trace, Environ: w.environ()})
	g.Expect(err).NotTo(HaveOccurred())
	idle, why, err := NoOp(trace, filepath.Dir(script)) // it never ran
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(idle).To(BeFalse())
	g.Expect(why).To(Equal("cannot tell: bash recorded nothing"))

	_, _, err = NoOp(filepath.Join(w.save, "traces/missing"), filepath.Dir(script))
	g.Expect(err).To(HaveOccurred())
}

func TestInTreePluginsAreIdleOnlyWhereTheyHaveNothing(t *testing.T) {
	g := NewWithT(t)
	w := newWorld(t)
	w.write(t, filepath.Join(w.base, "openrc"), "export OS_AUTH_URL=http://127.0.0.1:1 OS_USERNAME=$1 OS_PROJECT_NAME=$2 OS_PASSWORD=x OS_USER_DOMAIN_ID=default OS_PROJECT_DOMAIN_ID=default OS_REGION_NAME=R\n", 0o644)
	found, err := Scan(w.grenade, "", nil, nil)
	g.Expect(err).NotTo(HaveOccurred())
	for _, plugin := range found {
		for phase, idle := range map[string]bool{"early_create": true, "force_destroy": true, "create": false, "verify": false, "verify_noapi": false, "destroy": false} {
			if plugin.Project == "neutron" && phase == "early_create" {
				idle = false // the network for the guests of others
			}
			trace, output, code := w.runTraced(t, plugin.Script("resources.sh"), phase, "pre-upgrade")
			got, why, err := NoOp(trace, plugin.Dir)
			g.Expect(err).NotTo(HaveOccurred())
			if (plugin.Project == "glance" || plugin.Project == "swift") && phase == "verify_noapi" {
				// Nothing was created: so there is no file to look at.
				g.Expect(got).To(BeTrue(), why)
				continue
			}
			g.Expect(got).To(Equal(idle), "%s %s: %s\n%s", plugin.Project, phase, why, output)
			if idle {
				g.Expect(code).To(BeZero(), output)
			} else {
				g.Expect(code).NotTo(BeZero(), "%s %s: there is no cloud: %s", plugin.Project, phase, output)
			}
		}
	}
}

func TestLastCommandIsWhereAScriptFailed(t *testing.T) {
	g := NewWithT(t)
	w := newWorld(t)
	dir := w.plugin(t, "p", "")
	script := w.write(t, filepath.Join(dir, "upgrade.sh"), sources+"f() {\n  : ok\n  die $LINENO no\n}\nf\n", 0o755)
	trace, _, code := w.runTraced(t, script)
	g.Expect(code).To(Equal(1))
	g.Expect(LastCommand(trace, dir)).To(Equal(script + ":9"))
}

func TestTracedScriptsRunAsUntracedOnes(t *testing.T) {
	g := NewWithT(t)
	w := newWorld(t)
	dir := w.plugin(t, "p", "")
	script := w.write(t, filepath.Join(dir, "resources.sh"), `#!/bin/bash -e
echo "$0|$*|${BASH_SOURCE[0]}|$#|$(pwd)"
tr '\0' ' ' </proc/$$/cmdline; echo
env | grep -E '^(BASH_ENV|SHELLOPTS|BASH_XTRACEFD|PS4|GRENADE_TRACE)' || echo clean environment
set -o pipefail
bash -c 'echo child $-; set -x; echo traced'
echo three >&3; echo six >&6
`, 0o755)
	_, output, code := w.runTraced(t, script, "verify", "a  b")
	g.Expect(code).To(Equal(0), output)
	g.Expect(lines(output)).To(Equal([]string{
		script + "|verify a  b|" + script + "|2|" + w.base,
		"/bin/bash -e " + script + " verify a  b ",
		"clean environment",
		"child hBc", "+ echo traced", "traced", // to its own stderr, and without our options
		"three", "six",
	}))
}

// Bash is what reads the trace's file: what another interpreter starts must not.
func TestScriptsThatBashDoesNotReadRunAsUpstreamRunsThem(t *testing.T) {
	g := NewWithT(t)
	w := newWorld(t)
	script := w.write(t, filepath.Join(w.root, "p/resources.sh"), `#!/bin/sh -e
echo "$0|$*|$#|$(pwd)"
tr '\0' ' ' </proc/$$/cmdline; echo
env | grep -E '^(BASH_ENV|GRENADE_TRACE)' || echo clean environment
bash -c 'echo three >&3; echo six >&6'
`, 0o755)
	_, output, code := w.runTraced(t, script, "verify", "a  b")
	g.Expect(code).To(Equal(0), output)
	g.Expect(lines(output)).To(Equal([]string{
		script + "|verify a  b|2|" + w.base, "/bin/sh -e " + script + " verify a  b ", "clean environment", "three", "six",
	}))
}

func TestScriptsWithoutShebangRunAsBashRunsThem(t *testing.T) {
	g := NewWithT(t)
	w := newWorld(t)
	script := w.write(t, filepath.Join(w.root, "p/shutdown.sh"), "[[ -n $BASH_VERSION ]] && echo \"bash $0 $1\"\n", 0o755)
	_, output, code := w.runTraced(t, script, "x")
	g.Expect(code).To(Equal(0))
	g.Expect(output).To(Equal("bash " + script + " x\n"))
}

func TestAShellAroundTheScriptIsNotTraced(t *testing.T) {
	g := NewWithT(t)
	w := newWorld(t)
	script := w.write(t, filepath.Join(w.root, "p/resources.sh"), "#!/bin/bash\n:\n", 0o755)
	trace := filepath.Join(w.save, "traces/p")
	command, err := ScriptCommand(ScriptInput{Path: script, Trace: trace, Environ: w.environ()})
	g.Expect(err).NotTo(HaveOccurred())
	command.Args = append([]string{"bash", "-c", `uname >/dev/null; "$@"`, "around"}, command.Args...)
	_, err = exec.Run(t.Context(), command)
	g.Expect(err).NotTo(HaveOccurred())
	idle, why, err := NoOp(trace, filepath.Dir(script))
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(idle).To(BeTrue(), why)
}

func TestAnotherUserWritesTheTrace(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can run a script as another user")
	}
	g := NewWithT(t)
	w := newWorld(t)
	const nobody = 65534
	for dir := w.root; strings.HasPrefix(dir, os.TempDir()+"/"); dir = filepath.Dir(dir) {
		g.Expect(os.Chmod(dir, 0o755)).To(Succeed())
	}
	g.Expect(os.Chown(w.save, nobody, nobody)).To(Succeed()) // 0700, as a run's
	script := w.write(t, filepath.Join(w.root, "p/resources.sh"), "#!/bin/bash\nuname\n", 0o755)
	trace := filepath.Join(w.save, "traces/verify/p")
	command, err := ScriptCommand(ScriptInput{Path: script, Trace: trace, Environ: w.environ()})
	g.Expect(err).NotTo(HaveOccurred())
	run := osexec.CommandContext(context.Background(), command.Args[0], command.Args[1:]...)
	run.Env, run.SysProcAttr = command.Env, &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	output, err := run.CombinedOutput()
	g.Expect(err).NotTo(HaveOccurred(), string(output))

	_, why, err := NoOp(trace, filepath.Dir(script))
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(why).To(ContainSubstring("ran uname"))
	for path, mode := range map[string]os.FileMode{trace: 0o600, filepath.Dir(trace): 0o700 | os.ModeDir, filepath.Join(w.save, "traces"): 0o700 | os.ModeDir} {
		info, err := os.Stat(path)
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(info.Mode()).To(Equal(mode), path)
	}
}

func TestStateOf(t *testing.T) {
	w := newWorld(t)
	for text, want := range map[string]State{
		"": Empty, "\n \n": Empty, "#!/bin/bash\n# soon\n\n": Empty, "#!/bin/bash": Empty, ":": Present, "#!/bin/bash\n  ls\n": Present,
	} {
		g := NewWithT(t)
		g.Expect(StateOf(w.write(t, filepath.Join(w.root, "s.sh"), text, 0o755))).To(Equal(want), "%q", text)
	}
	g := NewWithT(t)
	g.Expect(StateOf(filepath.Join(w.root, "none.sh"))).To(Equal(Missing))
	_, err := StateOf(w.root)
	g.Expect(err).To(HaveOccurred())
}
