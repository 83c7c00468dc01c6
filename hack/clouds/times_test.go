package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/gomega"
)

const summary = `2026-11-29 17:00:00.000 | begin
2026-11-29 17:00:02.500 | Caching downloaded images
2026-11-29 17:00:03.000 | Running resource phase: early_create
2026-11-29 17:00:03.500 | Running resource phase: create
2026-11-29 17:00:06.000 | Running resource phase: verify pre-upgrade
2026-11-29 17:00:07.000 | Saving current state information
2026-11-29 17:00:07.100 | Dumping old databases
2026-11-29 17:00:08.000 | Shutting down all services on base devstack...
a line without a date
2026-11-29 17:00:11.000 | Running resource phase: verify_noapi pre-upgrade
2026-11-29 17:00:11.500 | Preparing the target devstack environment
2026-11-29 17:00:14.000 | Upgrading keystone...
2026-11-29 17:00:20.000 | Upgrading glance...
2026-11-29 17:00:25.000 | Running resource phase: verify post-upgrade
2026-11-29 17:00:26.000 | Dumping new databases
2026-11-29 17:00:27.000 | Running resource phase: destroy
2026-11-29 17:00:29.250 | Grenade has completed the pre-programmed upgrade scripts.
2026-11-29 17:00:29.300 | grenade.sh completed in 29 seconds.
2026-11-29 17:00:29.500 | end
`

func TestGrenadeShsSummaryIsReadPhaseByPhase(t *testing.T) {
	g := NewWithT(t)
	seen, err := readSummary(strings.NewReader(summary))
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(seen).To(Equal(times{Whole: 29250 * time.Millisecond, Phases: map[string]time.Duration{
		further: 3 * time.Second, early: 500 * time.Millisecond, create: 2500 * time.Millisecond, verify: time.Second, save: time.Second,
		shutdown: 3 * time.Second, noAPI: 500 * time.Millisecond, prepare: 2500 * time.Millisecond, upgrade: 11 * time.Second,
		verified: time.Second, saved: time.Second, destroy: 2250 * time.Millisecond,
	}}))
}

func TestAGrenadeShThatBrokeOffHasNoTimes(t *testing.T) {
	broken, _, _ := strings.Cut(summary, "2026-11-29 17:00:29.250")
	_, err := readSummary(strings.NewReader(broken))
	NewWithT(t).Expect(err).To(MatchError(ContainSubstring("did not come to its end")))
}

func TestTheTreesWorkIsRead(t *testing.T) {
	g := NewWithT(t)
	seen, err := readMilliseconds(strings.NewReader("create 1500\ndestroy 500"))
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(seen).To(Equal(times{Whole: 2 * time.Second, Phases: map[string]time.Duration{create: 1500 * time.Millisecond, destroy: 500 * time.Millisecond}}))
	_, err = readMilliseconds(strings.NewReader("create 1500\n"))
	g.Expect(err).To(MatchError(ContainSubstring("did not come to its end")))
	_, err = readMilliseconds(strings.NewReader("create x\n"))
	g.Expect(err).To(MatchError(ContainSubstring(`"create x"`)))
}

func TestARunsRowsAreAddedUpByPhase(t *testing.T) {
	g := NewWithT(t)
	dir := t.TempDir()
	g.Expect(os.WriteFile(filepath.Join(dir, "report.json"), []byte(`{"rows": [
		{"phase": "verify_base", "project": "glance", "started": "2026-11-29T17:00:00Z", "duration_ns": 1000000000},
		{"phase": "create", "project": "keystone", "started": "2026-11-29T17:00:02Z", "duration_ns": 1000000000},
		{"phase": "create", "project": "glance", "started": "2026-11-29T17:00:03Z", "duration_ns": 1500000000},
		{"phase": "upgrade", "project": "cloud", "started": "2026-11-29T17:00:05Z", "duration_ns": 500000000},
		{"phase": "upgrade", "project": "glance", "started": "2026-11-29T17:00:06Z", "duration_ns": 4000000000},
		{"phase": "destroy", "project": "glance"}],
	"timings": [
		{"kind": "script", "name": "resources.sh", "phase": "create", "project": "keystone", "started": "2026-11-29T17:00:02Z", "duration_ns": 400000000},
		{"kind": "api", "name": "native check", "phase": "create", "project": "keystone", "started": "2026-11-29T17:00:02.2Z", "duration_ns": 700000000},
		{"kind": "api", "name": "native check", "phase": "create", "project": "glance", "started": "2026-11-29T17:00:03Z", "duration_ns": 1500000000},
		{"kind": "stack.sh", "name": "keystone: start", "started": "2026-11-29T16:59:00Z", "duration_ns": 1500000000},
		{"kind": "script", "name": "upgrade.sh", "phase": "upgrade", "project": "glance", "started": "2026-11-29T17:00:06Z", "duration_ns": 4000000000}]}`), 0o600)).To(Succeed())
	seen, err := readReport(dir)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(seen).To(Equal(times{Whole: 10 * time.Second, Phases: map[string]time.Duration{
		create: 2500 * time.Millisecond, prepare: 500 * time.Millisecond, upgrade: 4 * time.Second, further: 3 * time.Second,
	}, Native: map[string]time.Duration{create: 2 * time.Second}}))
}
