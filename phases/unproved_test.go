package phases

import (
	"context"
	"os"
	"strings"
	"testing"

	. "github.com/onsi/gomega"

	"grenade/framework/config"
	"grenade/framework/node"
	"grenade/framework/probe"
	"grenade/framework/report"
	"grenade/framework/tree"
)

// seenCloud is a cloud that says of its only service what it is told to say.
type seenCloud struct {
	localCloud
	service tree.Service
	code    tree.Code
	looked  int
	strays  string
}

func (c *seenCloud) Look(context.Context) error {
	c.looked++
	return nil
}
func (c *seenCloud) Service(string, config.Side) (tree.Service, bool) { return c.service, true }
func (c *seenCloud) Code(context.Context, tree.Service, []probe.Process) ([]tree.Code, error) {
	return []tree.Code{c.code}, nil
}
func (c *seenCloud) Packages(context.Context, config.Side) (map[string]string, error) {
	return map[string]string{"a": "new"}, nil
}
func (c *seenCloud) Root(config.Side) string { return "/" }
func (c *seenCloud) Node() node.Node         { return oneProcess{strays: c.strays} }

// oneProcess is a node in which the unit a has one process; those that are asked for by
// their numbers are strays.
type oneProcess struct {
	localNode
	strays string
}

func (n oneProcess) Output(_ context.Context, command node.Command) ([]byte, error) {
	if strings.Contains(string(command.Stdin), "asked=(") {
		return []byte(n.strays), nil
	}
	return []byte("unit\ta\nprocess\ta\t7\t1000\t/usr/bin/python3\t/\tpython3 a\n"), nil
}

// upgraded is what comes of the upgrade of a project whose upgrade.sh does something, or fails.
func upgraded(t *testing.T, cloud *seenCloud, script string) report.Row {
	t.Helper()
	g := NewWithT(t)
	run := ordered(t, "a")
	cloud.localCloud = localCloud{root: run.Config.StackRoot}
	run.use(cloud, nil)
	run.evidence["a"] = &ProjectEvidence{Before: []ProcessEvidence{{Process: probe.Process{Unit: "a", PID: 3, StartTime: 5}}}}
	g.Expect(os.WriteFile(run.Config.StackRoot+"/a/upgrade.sh", []byte("#!/bin/bash\n"+script+"\n"), 0o755)).To(Succeed())
	phase, _ := PhaseByID(UpgradePhase)
	return run.Do(t.Context(), Row{Phase: phase, Project: "a"})
}

const work = "touch done"

func TestWhatNobodyCanProveIsNotChecked(t *testing.T) {
	g := NewWithT(t)
	cloud := &seenCloud{service: tree.Service{Name: "a", Unproved: "systemd cannot be asked"}}
	row := upgraded(t, cloud, work)
	g.Expect(row.Outcome).To(Equal(report.NotChecked))
	g.Expect(row.Reason).To(Equal("upgrade.sh did not fail, and what came of it is not proved: systemd cannot be asked"))
	g.Expect(cloud.looked).To(Equal(1), "what runs is looked for after the script")
	g.Expect(upgraded(t, cloud, "false").Outcome).To(Equal(report.Failed), "a script that fails has failed, whatever can be proved")
}

func TestCodeThatCannotBeToldIsNotChecked(t *testing.T) {
	g := NewWithT(t)
	cloud := &seenCloud{service: tree.Service{Name: "a", Units: []string{"a"}, Packages: []string{"a"}}, code: tree.Code{Package: "a", Unknown: "a.py is no script of Python"}}
	row := upgraded(t, cloud, work)
	g.Expect(row.Outcome).To(Equal(report.NotChecked), "%+v", row.Failure)
	g.Expect(row.Reason).To(HavePrefix("which code runs cannot be told: a: pid 7"))
	g.Expect(row.Reason).To(HaveSuffix("a.py is no script of Python"))

	cloud.code = tree.Code{Package: "a", Version: "new"}
	g.Expect(upgraded(t, cloud, work).Outcome).To(Equal(report.Passed))
	cloud.code = tree.Code{Package: "a", Version: "old"}
	row = upgraded(t, cloud, work)
	g.Expect(row.Outcome).To(Equal(report.Failed))
	g.Expect(row.Failure.Message).To(ContainSubstring("its package is not the target's new"))
}

// Who reads that the target's code does not run wants to know at once that nobody has upgraded it.
func TestAScriptThatDidNothingIsToldWithWhatCameOfIt(t *testing.T) {
	g := NewWithT(t)
	cloud := &seenCloud{service: tree.Service{Name: "a", Units: []string{"a"}, Packages: []string{"a"}}, code: tree.Code{Package: "a", Version: "old"}}
	row := upgraded(t, cloud, ":")
	g.Expect(row.Outcome).To(Equal(report.Failed))
	g.Expect(row.Failure.Message).To(And(ContainSubstring("upgrade.sh did nothing"), ContainSubstring(", and "), ContainSubstring("its package is not the target's new")))

	cloud.service.Unproved = "systemd cannot be asked"
	row = upgraded(t, cloud, ":")
	g.Expect(row.Outcome).To(Equal(report.NotChecked))
	g.Expect(row.Reason).To(ContainSubstring("upgrade.sh did nothing"))
}

// Behind a web server it is the units' processes that count; where the API is may not be known at all.
func TestWhoServesAnAPIBehindAWebServer(t *testing.T) {
	g := NewWithT(t)
	run := ordered(t, "a")
	cloud := &seenCloud{service: tree.Service{Name: "a", Units: []string{"a"}, Packages: []string{"a"}}, code: tree.Code{Package: "a", Version: "new"}}
	cloud.localCloud = localCloud{root: run.Config.StackRoot}
	run.use(cloud, nil)
	phase, _ := PhaseByID(VerifyTarget)
	verified := func() report.Row {
		return run.settle(t.Context(), Row{Phase: phase, Project: "a"})
	}
	row := verified()
	g.Expect(row.Outcome).To(Equal(report.NotChecked), "%+v", row.Failure)
	g.Expect(row.Reason).To(Equal("its processes run the target release's code; where its API answers is not known"))
	cloud.code.Version = "old"
	row = verified()
	g.Expect(row.Outcome).To(Equal(report.Failed))
	g.Expect(row.Failure.Message).To(ContainSubstring("is not served by the target release"))
	cloud.service.Unproved = "systemd cannot be asked"
	g.Expect(verified().Reason).To(Equal("who serves its API is not known: systemd cannot be asked"))
}

// A plugin need not stop its service; but a shutdown.sh that is there must.
func TestWhatRunsOnAfterShutdown(t *testing.T) {
	for _, test := range []struct {
		name, script string
		outcome      report.Outcome
		said         string
	}{
		{name: "no shutdown.sh", outcome: report.NotChecked, said: "its plugin has no shutdown.sh, and nobody has stopped it: it runs on until its upgrade: a: pid 7"},
		{name: "one that stops nothing", script: work, outcome: report.Failed, said: "a still runs after its shutdown"},
		{name: "one that does nothing", script: ":", outcome: report.Failed, said: "a still runs after its shutdown"},
	} {
		t.Run(test.name, func(t *testing.T) {
			g := NewWithT(t)
			run := ordered(t, "a")
			run.use(&seenCloud{localCloud: localCloud{root: run.Config.StackRoot}, service: tree.Service{Name: "a", Units: []string{"a"}}}, nil)
			if test.script != "" {
				g.Expect(os.WriteFile(run.Config.StackRoot+"/a/shutdown.sh", []byte("#!/bin/bash\n"+test.script+"\n"), 0o755)).To(Succeed())
			}
			phase, _ := PhaseByID(Shutdown)
			row := run.settle(t.Context(), Row{Phase: phase, Project: "a"})
			g.Expect(row.Outcome).To(Equal(test.outcome))
			said := row.Reason
			if row.Failure != nil {
				said = row.Failure.Message
			}
			g.Expect(said).To(ContainSubstring(test.said))
		})
	}
}

// Whoever stops nothing must not have stopped the data plane either.
func TestALostDataPlaneIsRedWithoutAShutdownToo(t *testing.T) {
	g := NewWithT(t)
	run := ordered(t, "a")
	run.use(&seenCloud{localCloud: localCloud{root: run.Config.StackRoot}, service: tree.Service{Name: "a", Units: []string{"a"}}}, nil)
	run.evidence["a"] = &ProjectEvidence{Helpers: []probe.Process{{Unit: "a", PID: 9, StartTime: 1, Exe: "/usr/sbin/dnsmasq"}}}
	phase, _ := PhaseByID(Shutdown)
	row := run.settle(t.Context(), Row{Phase: phase, Project: "a"})
	g.Expect(row.Outcome).To(Equal(report.Failed), row.Reason)
	g.Expect(row.Failure.Message).To(ContainSubstring("took programs of the data plane with it"))
}

// It may have run on until the upgrade, and have left its unit.
func TestAnOldProcessOutsideItsUnitIsNoUpgrade(t *testing.T) {
	g := NewWithT(t)
	run := ordered(t, "a")
	run.use(&seenCloud{
		localCloud: localCloud{root: run.Config.StackRoot}, service: tree.Service{Name: "a", Units: []string{"a"}, Packages: []string{"a"}},
		code: tree.Code{Package: "a", Version: "new"}, strays: "process\t\t3\t5\t/usr/bin/python3\t/\tpython3 old\n",
	}, nil)
	run.evidence["a"] = &ProjectEvidence{Before: []ProcessEvidence{{Process: probe.Process{Unit: "a", PID: 3, StartTime: 5}}}}
	g.Expect(os.WriteFile(run.Config.StackRoot+"/a/upgrade.sh", []byte("#!/bin/bash\n"+work+"\n"), 0o755)).To(Succeed())
	phase, _ := PhaseByID(UpgradePhase)
	row := run.Do(t.Context(), Row{Phase: phase, Project: "a"})
	g.Expect(row.Outcome).To(Equal(report.Failed))
	g.Expect(row.Failure.Message).To(ContainSubstring("pid 3, started at tick 5"))
	g.Expect(row.Failure.Message).To(ContainSubstring("it ran before the upgrade, and does outside its unit"))
}
