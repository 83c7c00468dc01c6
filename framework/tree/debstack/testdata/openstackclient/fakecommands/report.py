"""Prints everything about the process that a command, or somebody who runs one, could notice."""
import json
import locale
import logging
import os
import random
import resource
import signal
import subprocess
import sys
import time
import warnings

DURING_IMPORT = os.environ.get("FAKE_SETTING")


def stream(one):
    return [repr(one), one.encoding, one.errors, one.newlines, one.line_buffering, one.write_through, one.closed,
            one.seekable(), one.mode, one.buffer.name, repr(one.buffer.raw)]


def run(arguments, loader):
    environment = list(os.environ.items())
    flags = [name for name in sys.flags.__dir__() if not name.startswith(("_", "n_", "count", "index"))]
    print(json.dumps({
        "arguments": [sys.argv, arguments],
        "environment": environment,
        "of C": sorted(subprocess.run(["/usr/bin/env", "-0"], capture_output=True).stdout.decode(errors="backslashreplace").split("\0")),
        "directory": [os.getcwd(), loader.FILES],
        "identity": [os.getresuid(), os.getresgid(), sorted(os.getgroups())],
        "umask": os.umask(0),
        "limits": {name: resource.getrlimit(getattr(resource, name)) for name in dir(resource) if name.startswith("RLIMIT_")},
        "processors": sorted(os.sched_getaffinity(0)),
        "signals": {int(number): str(signal.getsignal(number)).partition(" at 0x")[0] for number in signal.valid_signals()},
        "blocked": sorted(signal.pthread_sigmask(signal.SIG_BLOCK, [])),
        "streams": [stream(one) for one in (sys.stdin, sys.stdout, sys.stderr)],
        "open": sorted(name for name in os.listdir("/proc/self/fd") if os.path.exists("/proc/self/fd/" + name)),
        "python": [sys.path, sys.executable, [getattr(sys.flags, name) for name in flags], sys.getfilesystemencoding()],
        "main": sorted((name, str(value).partition(" at 0x")[0]) for name, value in vars(sys.modules["__main__"]).items()
                       if name not in ("__loader__", "__builtins__")),
        "locale": [locale.setlocale(locale.LC_ALL), time.tzname, time.timezone, time.strftime("%Z")],
        "logging": [logging.root.level, logging.root.handlers],
        "warnings": [str(one) for one in warnings.filters],
        "dumpable": os.access("/proc/self/environ", os.R_OK),
        "name": open("/proc/self/comm").read(),
    }, indent=1))
    # Not always: somebody else may change it at any time.
    if arguments[:1] == ["priority"]:
        print(os.nice(0))
    # Two calls must not draw the same numbers.
    if arguments[:1] == ["random"]:
        print(random.random(), file=open(arguments[1], "a"))
    return 0
