package phases

import (
	"testing"

	. "github.com/onsi/gomega"

	"grenade/framework/probe"
)

func process(pid int, start uint64, root, version string) ProcessEvidence {
	return ProcessEvidence{
		Process: probe.Process{Unit: "glance-api", PID: pid, StartTime: start, Exe: "/usr/bin/python3", Root: root},
		Package: "glance-api", Version: version,
	}
}

func TestWhatIsProofOfAnUpgrade(t *testing.T) {
	const root = "/opt/stack/new/root"
	before := []ProcessEvidence{process(10, 100, "/", "25")}
	target := map[string]string{"glance-api": "30"}
	tests := []struct {
		name    string
		process ProcessEvidence
		reason  string // "" means proof
	}{
		{name: "a new process of the target", process: process(20, 200, root, "30")},
		{name: "a new process with a recycled pid", process: process(10, 200, root, "30")},
		{name: "the process that ran before", process: process(10, 100, root, "30"), reason: "it is the process that ran before the upgrade"},
		{name: "a new process of the base release", process: process(20, 200, "/", "25"), reason: "its root is not the target's"},
		{name: "the right root with the old package", process: process(20, 200, root, "25"), reason: "its package is not the target's 30"},
		{name: "a root without the package", process: process(20, 200, root, ""), reason: "its root does not hold the package glance-api"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			NewWithT(t).Expect(notUpgraded(test.process, before, root, target)).To(Equal(test.reason))
		})
	}
}

// Between equal releases the version proves nothing; pid, start time and root
// still do.
func TestEqualReleasesAreProvedByProcessAndRoot(t *testing.T) {
	g := NewWithT(t)
	before := []ProcessEvidence{process(10, 100, "/", "30")}
	same := map[string]string{"glance-api": "30"}
	g.Expect(notUpgraded(process(11, 150, "/new", "30"), before, "/new", same)).To(BeEmpty())
	g.Expect(notUpgraded(process(11, 150, "/", "30"), before, "/new", same)).NotTo(BeEmpty())
	g.Expect(notUpgraded(process(10, 100, "/", "30"), before, "/new", same)).NotTo(BeEmpty())
}

func TestServicesOutOfScopeMustKeepTheirProcesses(t *testing.T) {
	g := NewWithT(t)
	old, restarted := process(10, 100, "/", "25"), process(12, 300, "/", "25")
	g.Expect(processChanges("keystone", []ProcessEvidence{old}, []ProcessEvidence{old})).To(BeEmpty())
	g.Expect(processChanges("keystone", []ProcessEvidence{old}, []ProcessEvidence{restarted})).To(ConsistOf(
		ContainSubstring("pid 10"), ContainSubstring("pid 12")))
	g.Expect(processChanges("keystone", []ProcessEvidence{old}, nil)).To(ConsistOf(HaveSuffix("is gone")))
}

// neutron's DHCP agent starts a privileged daemon when a port is deleted.
func TestAServiceOutOfScopeMayStartAnotherProcessOfItsOwn(t *testing.T) {
	g := NewWithT(t)
	old, another := process(10, 100, "/", "25"), process(12, 300, "/", "25")
	before := []ProcessEvidence{old}
	g.Expect(processChanges("neutron", before, []ProcessEvidence{old, another})).To(BeEmpty())

	upgraded, elsewhere, foreign := process(13, 300, "/target", "30"), process(14, 300, "/", "26"), process(15, 300, "/", "25")
	foreign.Unit = "another-unit"
	g.Expect(processChanges("neutron", before, []ProcessEvidence{old, upgraded, elsewhere, foreign})).To(ConsistOf(
		ContainSubstring("pid 13"), ContainSubstring("pid 14"), ContainSubstring("pid 15")))
}

// Its L3 agent runs arping for some seconds after an address has got to a router: it is
// there before shutdown, and gone when the upgrade of another project is over.
func TestAProgramThatAServiceOutOfScopeHasRunMayBeOver(t *testing.T) {
	g := NewWithT(t)
	agent, daemon, arping := process(10, 100, "/", "25"), process(11, 200, "/", "25"), process(12, 300, "/", "25")
	arping.Exe = "/usr/bin/arping"
	before := []ProcessEvidence{agent, daemon, arping}
	g.Expect(processChanges("neutron", before, []ProcessEvidence{agent, daemon})).To(BeEmpty())
	g.Expect(processChanges("neutron", before, []ProcessEvidence{agent})).To(ConsistOf(ContainSubstring("pid 11")), "a daemon of the same program is the service")
	g.Expect(processChanges("neutron", before, []ProcessEvidence{daemon})).To(HaveLen(2), "the agent itself is gone")
}
