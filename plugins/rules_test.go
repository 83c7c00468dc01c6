package plugins

import (
	"path/filepath"
	"strings"
	"testing"

	. "github.com/onsi/gomega"
)

// What nova-status prints: a table with a row of several lines for each check.
const fakeStatus = `#!/bin/bash
[[ "$*" == "upgrade check" ]] || exit 99
cat <<'END'
Deprecated: something that is said before
+--------------------------------------------------+
| Upgrade Check Results                            |
+--------------------------------------------------+
| Check: Cells v2                                  |
| Result: Success                                  |
| Details: None                                    |
+--------------------------------------------------+
| Check: Older than N-1 computes                   |
| Result: Failure                                  |
| Details: Current Nova version does not support   |
|   computes older than Caracal.                   |
+--------------------------------------------------+
END
exit ${STATUS_CODE:-2}
`

func TestUpgradeStatusIsCounted(t *testing.T) {
	for _, one := range []struct {
		name, body string
		env        []string
		code       int
		output     []string
	}{
		{
			name: "a finding fails", body: "check_upgrade_status ./fake-status", code: 1,
			output: []string{"Cells v2: success\n", "Older than N-1 computes: Failure: Current Nova version does not support computes older than Caracal."},
		}, {
			name:   "a finding that is declared does not",
			body:   "expect_finding 'Older than N-1 computes' 'we skip'; check_upgrade_status ./fake-status && echo passed",
			output: []string{"Failure, expected, because we skip: Current Nova", "passed\n"},
		}, {
			name: "a declaration holds once", code: 1,
			body:   "expect_finding 'Older than N-1 computes' 'we skip'; check_upgrade_status ./fake-status && echo passed; check_upgrade_status ./fake-status",
			output: []string{"passed\n", "Older than N-1 computes: Failure: "},
		}, {
			name: "what is declared and succeeds fails", code: 1,
			body:   "expect_finding 'Cells v2' 'why not'; check_upgrade_status ./fake-status",
			output: []string{"Cells v2 was expected (why not), but is no finding"},
		}, {
			name:   "a check that the release does not know may be declared",
			body:   "expect_finding 'Older than N-1 computes' 'we skip'; expect_finding New 'only there'; check_upgrade_status ./fake-status && echo passed",
			output: []string{"passed\n"},
		}, {
			name: "an exit code that says more than the table fails", code: 1, env: []string{"STATUS_CODE=255"},
			body:   "expect_finding 'Older than N-1 computes' 'we skip'; check_upgrade_status ./fake-status",
			output: []string{"means exit code 2, it was 255"},
		}, {
			name: "no table fails", code: 1, body: "check_upgrade_status /bin/echo", output: []string{"exit code 0 and no table of checks: upgrade check"},
		}, {
			name: "a declaration without a reason fails", code: 1, body: "expect_finding x ''", output: []string{"why?"},
		},
	} {
		t.Run(one.name, func(t *testing.T) {
			g := NewWithT(t)
			w := newWorld(t)
			w.write(t, filepath.Join(w.root, "fake-status"), fakeStatus, 0o755)
			output, code := w.bash(t, "set -e; source $GRENADE_DIR/inc/rules\n"+one.body, one.env...)
			g.Expect(code).To(Equal(one.code), output)
			for _, want := range one.output {
				g.Expect(output).To(ContainSubstring(want))
			}
		})
	}
}

// What nova-manage prints. The first run migrates what it can, and says that there may be more.
const fakeManage = `#!/bin/bash
[[ "$*" == "db online_data_migrations" ]] || exit 99
[[ -e again ]] && found=0 migrated=0 code=0 || found=2 migrated=2 code=${FIRST_CODE:-1}
touch again
cat <<END
Running batches of 50 until complete
+------------------------------+--------------+-----------+
|          Migration           | Total Needed | Completed |
+------------------------------+--------------+-----------+
|    fill_virtual_interfaces   |      $found       |     $migrated     |
| populate_instance_compute_id |      1       |     0     |
+------------------------------+--------------+-----------+
END
exit $code
`

func TestOnlineMigrationsFinish(t *testing.T) {
	const run = "run_online_migrations ./fake-manage db && echo passed"
	for _, one := range []struct {
		name, body string
		env        []string
		code       int
		output     []string
		runs       int
	}{
		{
			name: "until nothing is left but what is declared", runs: 2,
			body:   "expect_unmigrated populate_instance_compute_id 1 'it has no host'; " + run,
			output: []string{"populate_instance_compute_id leaves 1 rows as they are, because it has no host\npassed\n"},
		}, {
			name: "also when the exit code says that all is done", runs: 2, env: []string{"FIRST_CODE=0"},
			body:   "expect_unmigrated populate_instance_compute_id 1 'it has no host'; " + run,
			output: []string{"passed\n"},
		}, {
			name: "a row that is left and not declared fails", runs: 2, code: 1, body: run,
			output: []string{"populate_instance_compute_id leaves 1 rows as they are, expected: 0"},
		}, {
			name: "more or fewer rows than declared fail", runs: 2, code: 1,
			body:   "expect_unmigrated populate_instance_compute_id 2 'two have no host'; " + run,
			output: []string{"leaves 1 rows as they are, expected: 2"},
		}, {
			name: "a declaration that nothing came of fails", runs: 2, code: 1,
			body:   "expect_unmigrated populate_instance_compute_id 1 'no host'; expect_unmigrated fill_virtual_interfaces 1 'who knows'; " + run,
			output: []string{"fill_virtual_interfaces leaves 0 rows as they are, expected: 1 who knows"},
		}, {
			name: "a migration that the release does not know may be declared", runs: 2,
			body:   "expect_unmigrated populate_instance_compute_id 1 'no host'; expect_unmigrated other 1 'who knows'; " + run,
			output: []string{"passed\n"},
		}, {
			name: "an error fails", runs: 1, code: 1, env: []string{"FIRST_CODE=2"}, body: run, output: []string{"online_data_migrations: exit code 2"},
		}, {
			name: "no table fails", code: 1, body: "run_online_migrations /bin/echo", output: []string{"there is no table of migrations"},
		},
	} {
		t.Run(one.name, func(t *testing.T) {
			g := NewWithT(t)
			w := newWorld(t)
			w.write(t, filepath.Join(w.root, "fake-manage"), fakeManage, 0o755)
			output, code := w.bash(t, "set -e; source $GRENADE_DIR/inc/rules\n"+one.body, one.env...)
			g.Expect(code).To(Equal(one.code), output)
			for _, want := range one.output {
				g.Expect(output).To(ContainSubstring(want))
			}
			g.Expect(strings.Count(output, "Running batches")).To(Equal(one.runs))
		})
	}
}

func TestEverythingReportsForDuty(t *testing.T) {
	for _, one := range []struct {
		name, answer, collection, output string
	}{
		{"all up and heard of since", `{"services": [{"binary": "nova-compute", "host": "n", "state": "up", "updated_at": "2026-01-01T00:00:05.000000"}]}`, "services", "\n"},
		{"down", `{"services": [{"binary": "nova-compute", "host": "n", "state": "down", "updated_at": "2026-01-01T00:00:05.000000"}]}`, "services",
			"nova-compute on n (down, seen 2026-01-01 00:00:05.000000)\n"},
		{"up, but only as it was before", `{"agents": [{"binary": "q", "host": "n", "alive": true, "heartbeat_timestamp": "2026-01-01 00:00:03"}]}`, "agents",
			"q on n (up, seen 2026-01-01 00:00:03)\n"},
		{"never", `{"services": [{"binary": "c", "host": "n", "state": "up", "updated_at": null}]}`, "services", "c on n (up, seen never)\n"},
		{"nothing", `{"agents": []}`, "agents", "nothing is listed\n"},
	} {
		t.Run(one.name, func(t *testing.T) {
			g := NewWithT(t)
			w := newWorld(t)
			output, code := w.bash(t, "set -e; source $GRENADE_DIR/inc/rules\n_silent "+one.collection+" '2026-01-01 00:00:04' <<<'"+one.answer+"'")
			g.Expect(code).To(BeZero(), output)
			g.Expect(output).To(Equal(one.output))
		})
	}
}
