package plugins

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	. "github.com/onsi/gomega"
)

func contextDone(t *testing.T) (context.Context, context.CancelFunc) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	return ctx, cancel
}

// Each case is a plugin script after "source grenaderc; source functions".
func TestFunctions(t *testing.T) {
	for _, one := range []struct {
		name, body string
		env        []string
		code       int
		output     []string // all must appear
		never      []string
	}{
		{
			name:   "the target tree's functions win over the base's, which source only once",
			body:   `source $BASE_DEVSTACK_DIR/functions; shopt -s extdebug; declare -F die`,
			output: []string{"new/devstack/functions"},
		}, {
			name:   "grenaderc decides some variables whatever the environment says",
			body:   `echo $SERVICE_TIMEOUT $DATA_DIR $LOGFILE $SAVE_DIR $TARGET_RELEASE_DIR $UPGRADE_PROJECTS. | sed "s#$STACK_ROOT#R#g"`,
			env:    []string{"SERVICE_TIMEOUT=3", "DATA_DIR=/x", "LOGFILE=/x", "SAVE_DIR=/x", "UPGRADE_PROJECTS=nova"},
			output: []string{"120 R/data R/logs/grenade.sh.log R/save R/new .\n"},
		}, {
			name:   "the environment decides others",
			body:   `echo $BASE_RELEASE_DIR $BASE_RUN_SMOKE $TARGET_RUN_SMOKE $FORCE_ONLINE_MIGRATIONS | sed "s#$STACK_ROOT#R#g"`,
			env:    []string{"BASE_RELEASE=zed", "RUN_SMOKE=False", "TARGET_RUN_SMOKE=True"},
			output: []string{"R/zed False True True\n"},
		}, {
			name:   "only the harness moves SAVE_DIR",
			body:   `echo $SAVE_DIR`,
			env:    []string{"GRENADE_SAVE_DIR=/elsewhere/save"},
			output: []string{"/elsewhere/save\n"},
		}, {
			name:   "shell options are left as they were",
			body:   `before=$-$BASHOPTS; set -x; source $GRENADE_DIR/grenaderc; source $GRENADE_DIR/functions; after=$-; set +x; [[ $after == *x* ]] && echo traced; [[ $-$BASHOPTS == "$before" ]] && echo unchanged`,
			output: []string{"traced\n", "unchanged\n"},
		}, {
			name:   "strict scripts can source them",
			body:   `set -euo pipefail; source $GRENADE_DIR/grenaderc; source $GRENADE_DIR/functions; source_quiet $TOP_DIR/openrc admin; echo $OS_USERNAME`,
			output: []string{"admin\n"},
		}, {
			name:   "a failing script says where and keeps its exit code",
			body:   "set -e\nfunction inner {\n  (exit 42)\n}\nfunction outer {\n  inner\n}\nouter\n",
			code:   42,
			output: []string{"Call stack:\n", " inner ", "9 outer ", "11 main ", "Exit code: 42\n"},
		}, {
			name:   "die is shown with its stack, too",
			body:   "function inner {\n  die $LINENO gone wrong\n}\ninner\n",
			code:   1,
			output: []string{"gone wrong", "7 main ", "Exit code: 1\n"},
		}, {
			name:  "a script that succeeds says nothing",
			body:  "set -e\nfalse || true\n",
			never: []string{"Call stack", "Exit code"},
		}, {
			name: "a failure runs the tree's worlddump",
			body: `mkdir -p $TARGET_DEVSTACK_DIR/tools; printf '#!/bin/sh\necho dumped "$@"\n' >$TARGET_DEVSTACK_DIR/tools/worlddump.py
chmod +x $TARGET_DEVSTACK_DIR/tools/worlddump.py; worlddump early; exit 3`,
			code: 3, output: []string{"dumped -n early -d ", "dumped -d "},
		}, {
			name:   "a missing tree is one clear error",
			body:   `TARGET_DEVSTACK_DIR=/missing; source $GRENADE_DIR/functions; echo went on`,
			code:   1,
			output: []string{"ERROR: the target tree has no /missing/functions\n"},
			never:  []string{"went on"},
		}, {
			name:   "source_quiet hides commands and passes arguments on",
			body:   `set -x; source_quiet $TOP_DIR/openrc "a b"; set +x; echo "[$OS_USERNAME]"`,
			output: []string{"[a b]\n"}, never: []string{"export OS_USERNAME"},
		}, {
			name: "upgrade_project runs what the plugin has for the step from base",
			body: `mkdir -p from-zed within-zed
echo 'configure_p_upgrade() { echo from zed; }' >from-zed/upgrade-p
echo 'configure_p_upgrade() { echo within zed; }' >within-zed/upgrade-p
set -e
upgrade_project p $PWD stable/zed stable/2025.1; upgrade_project p $PWD stable/zed stable/zed; upgrade_project p $PWD stable/zed; upgrade_project other $PWD stable/zed stable/2025.1; echo end`,
			output: []string{"from zed\n", "within zed\n", "Warning: other has no from-zed/upgrade-other", "end\n"},
		}, {
			name: "upgrade_project takes every step of a skip-level upgrade, in the order of the releases",
			body: `for release in zed 2023.1 2023.2 2024.2 2025.1 2025.2 xena master epoxy 2023.3; do
mkdir -p from-$release within-$release
echo ":; configure_p_upgrade() { printf ' from %s' $release; }" >from-$release/upgrade-p
echo ":; configure_p_upgrade() { printf ' within %s' $release; }" >within-$release/upgrade-p
done
function echo { :; } # what upgrade_project says
steps() { printf '%s:' "$*"; upgrade_project p $PWD "$@"; printf '\n'; }
set -eu
steps stable/zed stable/2025.1
steps unmaintained/zed stable/2024.1
steps unmaintained/xena unmaintained/zed
steps stable/2025.1 master
steps unmaintained/zed stable/zed
steps stable/2025.1 stable/zed
steps stable/2024.1 stable/2024.2
steps master master
steps bugfix/1 stable/2025.1`,
			output: []string{
				"stable/zed stable/2025.1: from zed from 2023.1 from 2023.2 from 2024.2\n",
				"unmaintained/zed stable/2024.1: from zed from 2023.1 from 2023.2\n",
				"unmaintained/xena unmaintained/zed: from xena\n",
				"stable/2025.1 master: from 2025.1 from 2025.2\n",
				"unmaintained/zed stable/zed: within zed\n",
				"stable/2025.1 stable/zed: from 2025.1\n",
				"stable/2024.1 stable/2024.2:\n",
				"master master: within master\n",
				"bugfix/1 stable/2025.1: from master\n",
			},
		}, {
			name: "a step of upgrade_project that defines nothing fails, and does not repeat the one before",
			body: `mkdir -p from-zed from-2023.1
echo 'configure_p_upgrade() { echo step from zed; _up_step=x project=y dir=z; }' >from-zed/upgrade-p
echo ':' >from-2023.1/upgrade-p
set -e
upgrade_project p $PWD stable/zed stable/2023.2
echo went on`,
			code: 127, output: []string{"step from zed\nUpgrading p: from-2023.1\n"}, never: []string{"went on"},
		}, {
			name: "a step that fails in upgrade_project fails the script",
			body: `mkdir -p from-zed; echo 'configure_p_upgrade() { false; echo went on; }' >from-zed/upgrade-p
set -e
upgrade_project p $PWD stable/zed stable/2025.1
echo went on`,
			code: 1, never: []string{"went on"},
		}, {
			name: "a file of upgrade_project that fails to load fails the script",
			body: `mkdir -p from-zed; echo 'configure_p_upgrade() { echo went on; }; false' >from-zed/upgrade-p
set -e
upgrade_project p $PWD stable/zed stable/2025.1`,
			code: 1, never: []string{"went on"},
		}, {
			name:   "localrc_path prefers local.conf",
			body:   `localrc_path base; touch $TARGET_DEVSTACK_DIR/local.conf; localrc_path target; localrc_path other`,
			code:   1,
			output: []string{"old/devstack/localrc\n", "new/devstack/local.conf\n", "'other' is neither base nor target"},
		}, {
			name:   "enable_grenade_plugin fills DevStack's tables",
			body:   `enable_grenade_plugin heat https://h; enable_grenade_plugin x file:///x stable/zed; echo $GRENADE_PLUGINS ${GITREPO[heat]} ${GITBRANCH[heat]} ${GITBRANCH[x]} ${GITDIR[heat]#$STACK_ROOT}`,
			output: []string{",heat,x https://h stable/2025.1 stable/zed /plugins/heat\n"},
		}, {
			name:   "logs that are missing are named",
			body:   `mkdir -p $SCREEN_LOGDIR; touch $SCREEN_LOGDIR/screen-a.log; ensure_logs_exist a && echo a is there; ensure_logs_exist a b c`,
			code:   1,
			output: []string{"a is there\n", "screen-b.log", "screen-c.log"},
		}, {
			name:   "FSSH, echo_summary and tree functions are there",
			body:   `[[ $FSSH == ssh* ]] && echo_summary two words && is_service_enabled nothing || get_release_name_from_branch stable/2025.1`,
			output: []string{"two words", "\n2025.1\n"},
		}, {
			name: "ping_check_public waits, gives up and can expect silence",
			body: `mkdir -p bin; printf '#!/bin/sh\necho ping "$@" >>%s/pings; [ -e %s/up ]\n' $PWD $PWD >bin/ping; printf '#!/bin/sh\necho cli "$@"\n' >bin/openstack; chmod +x bin/*; PATH=$PWD/bin:$PATH
(ping_check_public 10.0.0.1 1 False && echo silent)
touch up
(ping_check_public 10.0.0.1 1 && echo answers)
(ping_check_public 10.0.0.1 1 False; echo went on)
rm up
ping_check_public 10.0.0.1 1`,
			code: 1, output: []string{"silent\n", "answers\n", "10.0.0.1 still answers", "cli console log show", "10.0.0.1 answers no ping"}, never: []string{"went on"},
		}, {
			name: "save_data dumps the registered databases that exist, and says when a dump fails",
			body: `mkdir -p bin; printf '#!/bin/sh\nprintf "keystone\\nnova\\nglance\\n"\n' >bin/mysql
printf '#!/bin/sh\nfor d; do :; done; [ "$d" != nova ] || { echo half; exit 2; }; echo "$MYSQL_PWD $*"\n' >bin/mysqldump; chmod +x bin/*; PATH=$PWD/bin:$PATH
register_db_to_save keystone absent
save_data zed $BASE_DEVSTACK_DIR; cat $SAVE_DIR/keystone.sql.zed; ls $SAVE_DIR
register_db_to_save nova
(save_data zed $BASE_DEVSTACK_DIR); echo code $?; ls $SAVE_DIR/nova.sql.zed`,
			code: 2, output: []string{"secret --skip-lock-tables --single-transaction --user=root keystone\n", "cannot dump the database nova", "code 2\n"}, never: []string{"absent.sql"},
		}, {
			name: "upgrade_service runs another project's upgrade.sh",
			body: `printf '#!/bin/sh\necho upgraded in $TOP_DIR' >upgrade.sh; chmod +x upgrade.sh; PLUGIN_DIR[p]=$PWD; upgrade_service p; upgrade_service unknown`,
			code: 1, output: []string{"upgraded in ", "new/devstack", "no plugin has registered unknown"},
		},
	} {
		t.Run(one.name, func(t *testing.T) {
			g := NewWithT(t)
			w := newWorld(t)
			output, code := w.bash(t, "cd $STACK_ROOT\n"+one.body, one.env...)
			g.Expect(code).To(Equal(one.code), output)
			for _, want := range one.output {
				g.Expect(output).To(ContainSubstring(want))
			}
			for _, never := range one.never {
				g.Expect(output).NotTo(ContainSubstring(never))
			}
		})
	}
}

func TestLocalrcMaySetPluginDirAndTheEnvironmentWinsOverLocalrc(t *testing.T) {
	g := NewWithT(t)
	w := newWorld(t)
	w.write(t, filepath.Join(w.grenade, "localrc"), "PLUGIN_DIR=/zuul/src\nFORCE_ONLINE_MIGRATIONS=rc\nBASE_RUN_SMOKE=rc\nSERVICE_TIMEOUT=1\nMY_SETTING=rc\n", 0o644)
	w.write(t, filepath.Join(w.grenade, "environment"), "BASE_RUN_SMOKE=env\n", 0o644)
	w.write(t, filepath.Join(w.grenade, "pluginrc"), "enable_grenade_plugin heat https://h\n", 0o644)
	output, code := w.bash(t, `PLUGIN_DIR[p]=x; echo $FORCE_ONLINE_MIGRATIONS $BASE_RUN_SMOKE $SERVICE_TIMEOUT $MY_SETTING ${PLUGIN_DIR[p]} ${GITDIR[heat]}`)
	g.Expect(code).To(Equal(0), output)
	g.Expect(output).To(Equal("rc env 120 rc x /zuul/src/heat\n"))
}

// fakeSystemctl answers "systemctl show" from files named after units:
// "<LoadState> <ActiveState>", and removes ".once" files when they are read.
const fakeSystemctl = `#!/bin/bash
for unit; do
    [[ $unit != -* && $unit != show ]] || continue
    state="not-found inactive"
    if [[ -e $STACK_ROOT/units/$unit.once ]]; then state=$(<$STACK_ROOT/units/$unit.once); rm $STACK_ROOT/units/$unit.once
    elif [[ -e $STACK_ROOT/units/$unit ]]; then state=$(<$STACK_ROOT/units/$unit); fi
    printf 'LoadState=%s\nActiveState=%s\n\n' $state
done
`

func TestServiceChecks(t *testing.T) {
	for _, one := range []struct {
		name   string
		units  map[string]string
		body   string
		code   int
		output []string
		never  []string
	}{
		{
			name:  "units that the tree names: all must run",
			units: map[string]string{"a-api": "loaded active", "a-engine": "loaded inactive"},
			body: `service_units() { echo a-api; echo a-engine; }; SERVICE_TIMEOUT=1
is_service_running a && echo some of it runs; ensure_services_started a`,
			code: 1, output: []string{"some of it runs", "not running after 1 s:", "a (partly)"},
		}, {
			name:  "units that the tree names: none may run",
			units: map[string]string{"a-api": "loaded active", "a-engine": "loaded inactive"},
			body:  `service_units() { echo a-api a-engine; }; SERVICE_TIMEOUT=1; ensure_services_stopped a`,
			code:  1, output: []string{"still running", "a (partly)"},
		}, {
			name:  "a unit on its way up is waited for",
			units: map[string]string{"devstack@a": "loaded active", "devstack@a.once": "loaded activating"},
			body:  `ensure_services_started a && echo up`, output: []string{"Waiting until running: a (partly)", "up\n"},
		}, {
			name:   "a unit that systemd gave up on is not waited for",
			units:  map[string]string{"devstack@a": "loaded failed"},
			body:   `SECONDS=0; (ensure_services_started a); ((SECONDS < 60)) && echo at once; ensure_services_stopped a && echo down`,
			output: []string{"a (failed)", "at once\n", "down\n"},
		}, {
			name:  "a unit on its way down still runs",
			units: map[string]string{"devstack@a": "loaded deactivating"},
			body:  `is_service_running a && echo yes; SERVICE_TIMEOUT=1; ensure_services_stopped a`, code: 1, output: []string{"yes\n", "still running"},
		}, {
			name: "a tree that names a unit which does not exist proves nothing: the process list decides",
			body: `service_units() { echo "devstack@$1"; }; SERVICE_TIMEOUT=1
bash -c 'exec -a grenade-test-daemon sleep 60' & daemon=$!
until ps auxw | grep -q '[g]renade-test-daemon sleep\|[g]renade-test-daemon 60'; do :; done
is_service_running grenade-test-daemon && echo runs
ensure_services_started grenade-test-daemon && echo started
(ensure_services_stopped grenade-test-daemon); echo code $?
kill $daemon; wait $daemon
ensure_services_stopped grenade-test-daemon && echo stopped`,
			output: []string{"runs\n", "started\n", "code 1\n", "stopped\n"},
		}, {
			name: "scripts of the run are no service",
			body: `mkdir -p plugins/grenade-test-svc; printf 'sleep 60 & echo $! >pid; wait\n' >plugins/grenade-test-svc/upgrade.sh
bash plugins/grenade-test-svc/upgrade.sh & until [[ -s pid ]]; do :; done
is_service_running grenade-test-svc || echo no
kill $(<pid); wait`,
			output: []string{"no\n"},
		},
	} {
		t.Run(one.name, func(t *testing.T) {
			g := NewWithT(t)
			w := newWorld(t)
			w.write(t, filepath.Join(w.root, "bin/systemctl"), fakeSystemctl, 0o755)
			for unit, state := range one.units {
				w.write(t, filepath.Join(w.root, "units", unit), state, 0o644)
			}
			output, code := w.bash(t, "cd $STACK_ROOT\n"+one.body, "PATH="+w.root+"/bin:"+os.Getenv("PATH"))
			g.Expect(code).To(Equal(one.code), output)
			for _, want := range one.output {
				g.Expect(output).To(ContainSubstring(want))
			}
			for _, never := range one.never {
				g.Expect(output).NotTo(ContainSubstring(never))
			}
		})
	}
}
