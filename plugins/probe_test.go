package plugins

import (
	"os/exec"
	"testing"

	. "github.com/onsi/gomega"
)

// fakeWire is a DHCP server at the other end of the probe's wire, for what a real
// one does not do on demand.
const fakeWire = `
import sys
sys.dont_write_bytecode = True
sys.path.insert(0, "50_neutron")
import probe, struct

SERVER = bytes([192, 0, 2, 2])

class FakeWire:
    def __init__(self, *answers):
        self.answers = list(answers)  # functions of the packet that was sent
        self.sent = []
        self.waiting = []

    def send(self, packet):
        self.sent.append(packet[242])
        if self.answers:
            self.waiting += self.answers.pop(0)(packet)

    def receive(self, seconds):
        return self.waiting.pop(0) if self.waiting else None

def reply(packet, kind, options, transaction=None):
    body = bytes([53, 1, kind]) + b"".join(bytes([c, len(v)]) + v for c, v in options)
    return struct.pack("!BBBB", 2, 1, 6, 0) + (transaction or packet[4:8]) + bytes(8) + bytes([192, 0, 2, 20]) + bytes(216) \
        + b"\x63\x82\x53\x63" + body + b"\xff"

FULL = [(54, SERVER), (1, bytes([255, 255, 255, 192])), (51, struct.pack("!I", 600)), (3, bytes([192, 0, 2, 1]))]
mac = bytes(6)
`

func python(t *testing.T, script string) (string, error) {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "python3", "-c", fakeWire+script).CombinedOutput()
	return string(out), err
}

func TestProbeLeasesWhatTheServerOffers(t *testing.T) {
	out, err := python(t, `
wire = FakeWire(
    # Somebody else's answer, half a packet, and then ours.
    lambda p: [reply(p, 2, FULL, b"\0\0\0\0"), b"\x02\x01", reply(p, 2, FULL)],
    lambda p: [reply(p, 5, FULL + [(0, b""), (121, bytes([0, 192, 0, 2, 1, 24, 198, 51, 100, 192, 0, 2, 9])), (26, struct.pack("!H", 1450))])])
terms = probe.terms(probe.negotiate(mac, wire))
assert wire.sent == [probe.DISCOVER, probe.REQUEST], wire.sent
assert terms["address"] == "192.0.2.20" and terms["prefix"] == 26 and terms["mtu"] == 1450 and terms["server"] == "192.0.2.2", terms
assert terms["routes"] == ["0.0.0.0/0 via 192.0.2.1", "198.51.100.0/24 via 192.0.2.9"], terms

# Without classless routes the router counts.
wire = FakeWire(lambda p: [reply(p, 2, FULL)], lambda p: [reply(p, 5, FULL)])
assert probe.terms(probe.negotiate(mac, wire))["routes"] == ["0.0.0.0/0 via 192.0.2.1"]
`)
	NewWithT(t).Expect(err).NotTo(HaveOccurred(), out)
}

func TestProbeAsksAgainWhenNobodyAnswers(t *testing.T) {
	out, err := python(t, `
wire = FakeWire(lambda p: [], lambda p: [reply(p, 2, FULL)], lambda p: [reply(p, 5, FULL)])
probe.negotiate(mac, wire)
assert wire.sent == [probe.DISCOVER, probe.DISCOVER, probe.REQUEST], wire.sent
`)
	NewWithT(t).Expect(err).NotTo(HaveOccurred(), out)
}

// A DHCP agent that was busy with another network told dnsmasq of a new port after 38 seconds.
func TestProbeWaitsForADHCPAgentThatIsBusy(t *testing.T) {
	out, err := python(t, `
class Clock:
    now = 0
    def monotonic(self):
        return self.now

clock = probe.time = Clock()

class SlowWire(FakeWire):
    def receive(self, seconds):
        if not self.waiting:
            clock.now += seconds
        return super().receive(seconds)

class Server:
    def pop(self, _):
        return lambda p: [] if clock.now < 90 else [reply(p, 2 if p[242] == probe.DISCOVER else 5, FULL)]

wire = SlowWire()
wire.answers = Server()
probe.negotiate(mac, wire)
assert 90 < clock.now < 95, clock.now
`)
	NewWithT(t).Expect(err).NotTo(HaveOccurred(), out)
}

func TestProbeSaysWhyThereIsNoLease(t *testing.T) {
	out, err := python(t, `
for wire, why in (
    (FakeWire(), "no DHCP server gave an offer within 0 s"),
    (FakeWire(lambda p: [reply(p, 2, FULL)]), "no DHCP server gave an acknowledgement within 0 s"),
    (FakeWire(lambda p: [reply(p, 2, FULL)], lambda p: [reply(p, 6, [(54, SERVER), (56, b"address in use")])]),
     "the DHCP server 192.0.2.2 offered 192.0.2.20 and then refused it: address in use"),
):
    try:
        probe.negotiate(mac, wire, patience=0.3)
        raise AssertionError("no failure")
    except probe.Failure as failure:
        assert str(failure) == why, failure
`)
	NewWithT(t).Expect(err).NotTo(HaveOccurred(), out)
}

func TestInTreeFile(t *testing.T) {
	g := NewWithT(t)
	content, err := InTreeFile("50_neutron/probe.py")
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(string(content)).To(ContainSubstring("def negotiate"))
	_, err = InTreeFile("50_neutron/nothing.py")
	g.Expect(err).To(MatchError(ContainSubstring("nothing.py")))
}
