"""What neutron has made on the node for one port, as one JSON object.

    look.py NETWORK ROUTER PORT FLOATING_ADDRESS

 dhcp, router   interfaces and routes in the namespaces of the network and of the router
 nat            the router's rules for the floating address
 helpers        neutron's own programs in the two namespaces, each with process id and start time
 port           the port's interface in Open vSwitch
 flows          Open vSwitch's rules for it

It asks the kernel and Open vSwitch, never neutron. Where something is not there,
a sentence stands for it. Runs as root in the node, from a file or from standard
input, with nothing but Python's standard library.
"""

import json
import os
import re
import subprocess
import sys

# What agents start and leave running; ip and iptables come and go.
HELPERS = ("dnsmasq", "haproxy", "keepalived", "radvd")


class Failure(Exception):
    """What is told to whoever called."""


def run(*command):
    """Runs a program and returns its output; its failure is ours."""
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode != 0:
        raise Failure("%s: exit code %d: %s" % (" ".join(command), done.returncode, done.stderr.strip()))
    return done.stdout


def path(namespace):
    return "/run/netns/" + namespace


def missing(namespace):
    return None if os.path.exists(path(namespace)) else "there is no network namespace " + namespace


def interfaces(namespace):
    """Name, hardware address and addresses of what is in it, and the routes."""
    gone = missing(namespace)
    if gone:
        return gone
    found = {}
    for link in json.loads(run("ip", "-json", "-n", namespace, "address", "show")):
        if link["ifname"] != "lo":
            addresses = ["%s/%d" % (a["local"], a["prefixlen"]) for a in link["addr_info"] if a.get("scope") == "global"]
            found[link["ifname"]] = [link["address"], link["operstate"]] + sorted(addresses)
    routes = [line.strip() for line in run("ip", "-n", namespace, "route", "show").splitlines()]
    return {"interfaces": found, "routes": sorted(routes)}


def nat(namespace, address):
    gone = missing(namespace)
    if gone:
        return gone
    rules = run("nsenter", "--net=" + path(namespace), "iptables-save", "-t", "nat").splitlines()
    word = re.compile(r"(^|[^0-9.])%s([^0-9.]|$)" % re.escape(address))
    return sorted(rule.strip() for rule in rules if word.search(rule)) or "the router has no rule for " + address


def helpers(namespace):
    """Every process that lives in the namespace and is a helper: name → ids and start times."""
    gone = missing(namespace)
    if gone:
        return gone
    here = os.stat(path(namespace)).st_ino
    found = {}
    for process in filter(str.isdigit, os.listdir("/proc")):
        try:
            if os.stat("/proc/%s/ns/net" % process).st_ino != here:
                continue
            with open("/proc/%s/stat" % process) as file:
                # proc(5): the name stands in parentheses and may hold some; the start time, in clock ticks, is the 22nd field.
                name, rest = file.read().partition("(")[2].rsplit(")", 1)
        except (FileNotFoundError, ProcessLookupError):
            continue  # it has ended
        if name in HELPERS:
            found.setdefault(name, []).append("process %s, started at %s" % (process, rest.split()[19]))
    return {name: sorted(processes) for name, processes in found.items()} or "none of %s runs" % ", ".join(HELPERS)


def interface(port):
    """The interface that bears the port's id."""
    columns = "name,external_ids,ofport,error"
    answer = json.loads(run("ovs-vsctl", "--timeout=30", "--format=json", "--columns=" + columns,
                            "find", "Interface", "external_ids:iface-id=" + port))
    rows = [dict(zip(answer["headings"], row)) for row in answer["data"]]
    if len(rows) != 1:
        return "Open vSwitch has %d interfaces for port %s" % (len(rows), port)
    row = rows[0]
    tag = run("ovs-vsctl", "--timeout=30", "get", "Port", row["name"], "tag").strip()
    # An empty column is the empty set.
    error = row["error"] if isinstance(row["error"], str) else ""
    return {"name": row["name"], "number": row["ofport"], "error": error, "vlan": tag, "external_ids": dict(row["external_ids"][1])}


def flows(port):
    """Rules that name the port's number, as the way in or in the firewall's register, or its hardware address; by table."""
    if isinstance(port, str):
        return port
    number, mac = port["number"], port["external_ids"].get("attached-mac", "no address")
    ours = re.compile(r"in_port=%d\b|reg5=0x%x\b|output:%d\b|%s" % (number, number, number, re.escape(mac)))
    found = {}
    for line in run("ovs-ofctl", "--no-stats", "--no-names", "dump-flows", "br-int").splitlines():
        # The agent stamps each of its starts as a cookie.
        line = re.sub(r"^\s*cookie=0x[0-9a-f]+,\s*", "", line)
        if ours.search(line):
            table, rule = line.strip().split(", ", 1) if line.strip().startswith("table=") else ("table=0", line.strip())
            found.setdefault(table, []).append(rule)
    return {table: sorted(rules) for table, rules in found.items()} or "br-int has no rule for it"


def main(network, router, port, floating):
    at = interface(port)
    return {
        "dhcp": interfaces("qdhcp-" + network),
        "router": interfaces("qrouter-" + router),
        "nat": nat("qrouter-" + router, floating),
        "helpers": {"dhcp": helpers("qdhcp-" + network), "router": helpers("qrouter-" + router)},
        "port": at,
        "flows": flows(at),
    }


if __name__ == "__main__":
    if len(sys.argv) != 5:
        sys.exit("usage: look.py NETWORK ROUTER PORT FLOATING_ADDRESS")
    try:
        print(json.dumps(main(*sys.argv[1:]), sort_keys=True))
    except (Failure, OSError, ValueError) as failure:
        sys.exit("look.py: %s" % failure)
