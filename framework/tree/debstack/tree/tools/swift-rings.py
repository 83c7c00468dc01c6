#!/usr/bin/python3
"""swift-rings.py DIRECTORY POWER DEVICE NAME:PORT…: new rings of 2^POWER partitions, each with one device of this host.

Writes NAME.builder and NAME.ring.gz. It gives swift-ring-builder the commands that an operator would (create, add,
rebalance), all in one process: starting Python and loading swift costs ten times what the three do.
"""
import os
import sys

from swift.cli import ringbuilder


def run(*command):
    """One command of swift-ring-builder. Its exit code 1 means "done, with a warning" (its help says so)."""
    try:
        ringbuilder.main(["swift-ring-builder", *command])
    except SystemExit as end:
        if end.code not in (None, 0, 1):
            sys.exit(f"swift-ring-builder {' '.join(command)}: exit code {end.code}")


def main(directory, power, device, *rings):
    for ring in rings:
        name, port = ring.split(":")
        builder = os.path.join(directory, name + ".builder")
        for old in (builder, os.path.join(directory, name + ".ring.gz")):
            if os.path.exists(old):
                os.remove(old)
        # One replica; no hours that a partition must stay where it is.
        run(builder, "create", power, "1", "0")
        run(builder, "add", f"r1z1-127.0.0.1:{port}/{device}", "1")
        run(builder, "rebalance")
        if not os.path.exists(os.path.join(directory, name + ".ring.gz")):
            sys.exit(f"swift-ring-builder wrote no {name}.ring.gz into {directory}")


if __name__ == "__main__":
    if len(sys.argv) < 5:
        sys.exit(__doc__)
    main(*sys.argv[1:])
