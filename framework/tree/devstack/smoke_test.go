package devstack_test

import (
	"os"
	osexec "os/exec"
	"path/filepath"
	"testing"

	. "github.com/onsi/gomega"

	"grenade/framework/config"
	"grenade/framework/node/nodetest"
	"grenade/framework/report"
)

// aStream writes, as Tempest's runner does, of one test that passes, one that fails, one that is skipped and one that never ended.
const aStream = `
import datetime, subunit, sys
out = subunit.StreamResultToBytes(sys.stdout.buffer)
at = datetime.datetime(2026, 1, 1, tzinfo=datetime.timezone.utc)
def run(name, status, **more):
    out.status(test_id=name, test_status="inprogress", timestamp=at)
    if status:
        out.status(test_id=name, test_status=status, timestamp=at + datetime.timedelta(seconds=1.5), **more)
out.status(test_id="tempest.Listed.test_only", test_status="exists")
run("tempest.api.Servers.test_list[id-7,smoke]", "success")
run("tempest.api.Servers.test_boot[id-8,smoke]", "fail", file_name="traceback", file_bytes=b"Traceback: no \x1b[0m <host>", mime_type="text/plain;charset=utf8")
run("setUpClass (tempest.api.Volumes)", "skip", file_name="reason", file_bytes=b"no volumes", mime_type="text/plain;charset=utf8")
run("tempest.api.Images.test_hangs", None)
`

// TestTempestsResults has the small trees' Tempest, which is a file with a stream, converted by the libraries of a root that has them.
func TestTempestsResults(t *testing.T) {
	root := os.Getenv(nodetest.RootVariable)
	if root == "" {
		t.Skipf("needs a root file system with Tempest's libraries: %s is not set", nodetest.RootVariable)
	}
	g := NewWithT(t)
	s := onStage(t, tiny(t), "stable/2025.1", "stable/2025.2")
	s.begin(t)
	tempest := filepath.Join(s.config.StackRoot, "old", "tempest")
	results, log := filepath.Join(s.config.SaveDir, "results.xml"), filepath.Join(t.TempDir(), "log")

	err := s.Smoke(t.Context(), config.Base, results, log, func(string) {})
	g.Expect(err).To(MatchError(ContainSubstring("there is no " + tempest)))

	// The stack user cannot enter the root.
	libraries := filepath.Join(tempest, "libraries")
	g.Expect(os.MkdirAll(libraries, 0o755)).To(Succeed())
	copied, err := osexec.CommandContext(t.Context(), "bash", "-c", `shopt -s nullglob; cd "$1/usr/lib/python3/dist-packages" &&
		cp -r {subunit,python_subunit,testtools,iso8601,extras,fixtures,pbr,six}* "$2"`, "bash", root, libraries).CombinedOutput()
	g.Expect(err).NotTo(HaveOccurred(), string(copied))
	for path, text := range map[string]string{
		".tox/tempest/bin/stestr": "#!/bin/bash\ncat stream\nexit 1\n",
		".tox/tempest/bin/python": "#!/bin/bash\nPYTHONPATH=" + libraries + " exec python3 \"$@\"\n",
		"bin/tox":                 "#!/bin/bash\necho tox $* $UPPER_CONSTRAINTS_FILE\nexit 1\n",
	} {
		path = filepath.Join(tempest, path)
		g.Expect(os.MkdirAll(filepath.Dir(path), 0o755)).To(Succeed())
		g.Expect(os.WriteFile(path, []byte(text), 0o755)).To(Succeed())
	}
	write := osexec.CommandContext(t.Context(), filepath.Join(tempest, ".tox/tempest/bin/python"), "-c", aStream)
	stream, err := write.Output()
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(os.WriteFile(filepath.Join(tempest, "stream"), stream, 0o644)).To(Succeed())
	g.Expect(os.Chmod(tempest, 0o777)).To(Succeed())

	g.Expect(s.Smoke(t.Context(), config.Base, results, log, func(string) {})).To(MatchError(ContainSubstring("exit code 1")))
	said, err := os.ReadFile(log)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(string(said)).To(MatchRegexp(`tox -e smoke -- --concurrency=\d+ of-the-tree\n`))
	tests, err := report.ReadTests(results)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(tests).To(HaveLen(4))
	byName := map[string]report.Test{}
	for _, test := range tests {
		byName[test.Class+"|"+test.Name] = test
	}
	g.Expect(byName["tempest.api.Servers|test_list[id-7,smoke]"].Outcome).To(Equal(report.Passed))
	g.Expect(byName["tempest.api.Servers|test_list[id-7,smoke]"].Duration.Seconds()).To(Equal(1.5))
	g.Expect(byName["tempest.api.Servers|test_boot[id-8,smoke]"].Outcome).To(Equal(report.Failed))
	g.Expect(byName["tempest.api.Servers|test_boot[id-8,smoke]"].Message).To(ContainSubstring("Traceback: no [0m <host>"))
	g.Expect(byName["tempest.api.Images|test_hangs"].Outcome).To(Equal(report.Failed))
	for name, test := range byName {
		if test.Outcome == report.NotChecked {
			g.Expect(name).To(ContainSubstring("Volumes"))
			g.Expect(test.Message).To(Equal("no volumes"))
		}
	}
}
