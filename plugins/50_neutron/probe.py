"""A probe plays the guest at one of neutron's ports, in a cloud without nova.

    probe.py plug PORT MAC INSTANCE ANSWER   makes it, as nova plugs in a guest
    probe.py lease PORT                      asks for an address by DHCP, sets it up, prints what was leased
    probe.py unplug PORT                     removes all of it; what is gone already is no error

It is a network namespace with one end of a veth pair in it; the other end is in
br-int and bears the port's id, by which neutron's agent knows it. A small server
in the namespace answers HTTP at ports 80 and 8080 with the text ANSWER, so that
whoever asks can tell the probe from a router that answers in its place.

Runs as root in the cloud's node, from a file or from standard input, with nothing
but Python's standard library. Exit code 1 and one line on stderr when it fails.
"""

import ctypes
import json
import os
import random
import socket
import struct
import subprocess
import sys
import time

BRIDGE = "br-int"

# How long neutron's dnsmasq may take to answer, in seconds: as long as resources.sh
# waits for agents. A port may be ACTIVE before the DHCP agent has told dnsmasq of it,
# and the agent works off one network after the other: behind another network's
# start, a new port was 38 s old before dnsmasq knew it, on a machine of two slow
# processors. It is asked again after 1, 2, 4, 4, … seconds (RFC 2131, section 4.1,
# is more patient).
DHCP_PATIENCE = 120

DISCOVER, OFFER, REQUEST, ACK, NAK = 1, 2, 3, 5, 6

SERVER = r"""
import socketserver, sys, threading

class Answer(socketserver.StreamRequestHandler):
    timeout = 10

    def handle(self):
        while self.rfile.readline().strip():
            pass
        body = sys.argv[1].encode()
        self.wfile.write(b"HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))

class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True

for port in (80, 8080):
    threading.Thread(target=Server(("", port), Answer).serve_forever).start()
"""


class Failure(Exception):
    """What is told to whoever called."""


def run(*command):
    """Runs a program and returns its output; its failure is ours."""
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode != 0:
        raise Failure("%s: exit code %d: %s" % (" ".join(command), done.returncode, done.stderr.strip()))
    return done.stdout


class Probe:
    """Everything is named after the port, so it is found again with nothing else."""

    def __init__(self, port):
        self.port = port
        self.namespace = "probe-" + port
        self.path = "/run/netns/" + self.namespace
        self.unit = self.namespace + ".service"
        # The name that nova gives it. The kernel allows 15 characters.
        self.outside = "tap" + port[:11]

    def plug(self, mac, instance, answer):
        run("ip", "netns", "add", self.namespace)
        run("ip", "link", "add", self.outside, "type", "veth", "peer", "name", "eth0", "address", mac, "netns", self.namespace)
        # The node itself is not to talk at this end.
        if os.path.exists("/proc/sys/net/ipv6"):
            write("/proc/sys/net/ipv6/conf/%s/disable_ipv6" % self.outside, "1")
        # The userspace datapath takes packets as they are: without this they
        # would bear no checksum.
        run("ethtool", "--offload", self.outside, "tx", "off")
        inside = ("nsenter", "--net=" + self.path)
        run(*inside, "ethtool", "--offload", "eth0", "tx", "off")
        run("ip", "-n", self.namespace, "link", "set", "lo", "up")
        run("ip", "-n", self.namespace, "link", "set", "eth0", "up")
        run("ip", "link", "set", self.outside, "up")
        # In systemd's hands the server outlives whoever called.
        run("systemd-run", "--quiet", "--collect", "--unit=" + self.unit, "--description=answers for port " + self.port,
            *inside, sys.executable, "-c", SERVER, answer)
        # Last: from here on neutron's agent looks at it.
        run("ovs-vsctl", "--timeout=30", "add-port", BRIDGE, self.outside, "--", "set", "Interface", self.outside,
            "external_ids:iface-id=" + self.port, "external_ids:iface-status=active",
            "external_ids:attached-mac=" + mac, "external_ids:vm-uuid=" + instance)

    def unplug(self):
        if run("systemctl", "show", "--property=LoadState", "--value", self.unit).strip() != "not-found":
            run("systemctl", "stop", self.unit)
        run("ovs-vsctl", "--timeout=30", "--if-exists", "del-port", BRIDGE, self.outside)
        if os.path.exists("/sys/class/net/" + self.outside):
            run("ip", "link", "delete", self.outside)
        if os.path.exists(self.path):
            run("ip", "netns", "delete", self.namespace)

    def enter(self):
        """Moves this process, and the programs that it starts, into the namespace."""
        if not os.path.exists(self.path):
            raise Failure("there is no network namespace " + self.namespace)
        libc = ctypes.CDLL(None, use_errno=True)
        with open(self.path) as namespace:
            if libc.setns(namespace.fileno(), 0x40000000) != 0:  # CLONE_NEWNET
                raise Failure("enter the network namespace %s: %s" % (self.namespace, os.strerror(ctypes.get_errno())))

    def lease(self):
        self.enter()
        # An answer comes before there is a route to its sender.
        for interface in ("all", "eth0"):
            write("/proc/sys/net/ipv4/conf/%s/rp_filter" % interface, "0")
        mac = bytes.fromhex(json.loads(run("ip", "-json", "link", "show", "eth0"))[0]["address"].replace(":", ""))
        leased = terms(negotiate(mac, Wire()))
        run("ip", "link", "set", "eth0", "mtu", str(leased["mtu"]))
        run("ip", "address", "replace", "%s/%d" % (leased["address"], leased["prefix"]), "dev", "eth0")
        for route in leased["routes"]:
            run("ip", "route", "replace", *route.split(), "dev", "eth0", "onlink")
        return leased


def write(path, text):
    with open(path, "w") as file:
        file.write(text)


class Wire:
    """DHCP's side of eth0: what is sent has no address yet, so both ways are broadcasts."""

    def __init__(self):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"eth0")
        self.socket.bind(("", 68))

    def send(self, packet):
        self.socket.sendto(packet, ("255.255.255.255", 67))

    def receive(self, seconds):
        """Returns a packet, or None when time is up."""
        self.socket.settimeout(max(seconds, 0.01))
        try:
            return self.socket.recv(4096)
        except TimeoutError:
            return None


def negotiate(mac, wire, patience=DHCP_PATIENCE):
    """RFC 2131, section 3.1: discover, offer, request, acknowledgement. Returns the last."""
    transaction = random.getrandbits(32)
    offer = exchange(wire, transaction, message(DISCOVER, transaction, mac, {}), "an offer", (OFFER,), patience)
    wanted = {50: socket.inet_aton(offer["address"]), 54: offer[54]}
    answer = exchange(wire, transaction, message(REQUEST, transaction, mac, wanted), "an acknowledgement", (ACK, NAK), patience)
    if answer[53] == bytes([NAK]):
        raise Failure("the DHCP server %s offered %s and then refused it: %s"
                      % (socket.inet_ntoa(offer[54]), offer["address"], answer.get(56, b"").decode(errors="replace")))
    return answer


def exchange(wire, transaction, packet, wanted, kinds, patience):
    end = time.monotonic() + patience
    pause = 1
    while True:
        wire.send(packet)
        again = min(time.monotonic() + pause, end)
        while time.monotonic() < again:
            received = wire.receive(again - time.monotonic())
            answer = parse(received, transaction) if received else None
            if answer and answer.get(53) in [bytes([kind]) for kind in kinds]:
                return answer
        if time.monotonic() >= end:
            raise Failure("no DHCP server gave %s within %d s" % (wanted, patience))
        pause = min(pause * 2, 4)


def message(kind, transaction, mac, options):
    """The form of RFC 2131, section 2; options as in RFC 2132."""
    head = struct.pack("!BBBBIHH16x16s64x128x", 1, 1, 6, 0, transaction, 0, 0x8000, mac)
    options = {53: bytes([kind]), **options, 55: bytes([1, 121, 3, 6, 15, 26, 28])}
    body = b"".join(bytes([code, len(value)]) + value for code, value in options.items())
    return (head + b"\x63\x82\x53\x63" + body + b"\xff").ljust(300, b"\0")  # RFC 1542, section 2.1: no shorter


def parse(packet, transaction):
    """Returns the address that is offered and the options; None for somebody else's packet."""
    if len(packet) < 240 or packet[0] != 2 or struct.unpack("!I", packet[4:8])[0] != transaction or packet[236:240] != b"\x63\x82\x53\x63":
        return None
    found = {"address": socket.inet_ntoa(packet[16:20])}
    at = 240
    while at < len(packet) and packet[at] != 255:
        if packet[at] == 0:  # padding
            at += 1
            continue
        if at + 1 >= len(packet):
            return None
        code, length = packet[at], packet[at + 1]
        found[code] = found.get(code, b"") + packet[at + 2:at + 2 + length]  # RFC 3396: parts are joined
        at += 2 + length
    return found


def terms(answer):
    """What was leased, in words."""
    if 1 not in answer:
        raise Failure("the DHCP server leased %s without a netmask" % answer["address"])
    routes = classless(answer[121]) if 121 in answer else []
    if not routes and 3 in answer:  # RFC 3442: it counts only where there are no classless routes
        routes = ["0.0.0.0/0 via " + socket.inet_ntoa(answer[3][:4])]
    return {
        "address": answer["address"],
        "prefix": bin(struct.unpack("!I", answer[1])[0]).count("1"),
        "server": socket.inet_ntoa(answer[54]),
        "seconds": struct.unpack("!I", answer[51])[0],
        "mtu": struct.unpack("!H", answer[26])[0] if 26 in answer else 1500,
        "routes": routes,
        "dns": [socket.inet_ntoa(answer[6][i:i + 4]) for i in range(0, len(answer.get(6, b"")), 4)],
        "domain": answer.get(15, b"").decode(errors="replace").rstrip("\0"),
    }


def classless(data):
    """RFC 3442: the prefix's length, as many bytes of it as matter, the gateway."""
    routes = []
    while data:
        length, size = data[0], (data[0] + 7) // 8
        network, gateway, data = data[1:1 + size].ljust(4, b"\0"), data[1 + size:5 + size], data[5 + size:]
        if len(gateway) != 4:
            raise Failure("the DHCP server's routes (option 121) break off")
        routes.append("%s/%d via %s" % (socket.inet_ntoa(network), length, socket.inet_ntoa(gateway)))
    return sorted(routes)


def main(command="", port="", *rest):
    probe = Probe(port)
    if command == "plug" and len(rest) == 3:
        probe.plug(*rest)
    elif command == "lease" and port and not rest:
        print(json.dumps(probe.lease(), sort_keys=True))
    elif command == "unplug" and port and not rest:
        probe.unplug()
    else:
        raise Failure("usage:" + __doc__.partition("\n")[2].partition("\n\nIt is")[0])


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except (Failure, OSError, ValueError) as failure:
        sys.exit("probe.py: %s" % failure)
