"""Loads the installed client once, so that each call finds it loaded; and sees to it that nobody can tell.

What a module does while it is imported happens here, once, and not in the caller's process. So it must be nothing that a
caller could have influenced or would have noticed:
- which environment variables imports look at is recorded: a caller in whose environment one of them differs is Unlike;
- a module that looks at the current directory or at HOME is known here, and done again for each call;
- a command's module that says anything while it is imported (a warning, a log line), or changes how the process works, is
  left to the calls;
- a file that changes after it was loaded ends this server, and another is started.
"""
import builtins
import gc
import glob
import importlib
import importlib.metadata
import json
import locale
import logging
import os
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
import warnings

from resident.caller import Unlike

# Entry points that the client loads when it needs them: commands, ways to authenticate, output formats.
GROUPS = ("openstack.", "keystoneauth1.plugin", "cliff.formatter.")
# Whoever imports these looks at the environment or the directory on behalf of someone else.
HELPERS = ("os", "posixpath", "genericpath", "collections", "_collections_abc", "appdirs", "platformdirs", "pkg_resources", "importlib", "resident")
# The module that says where clouds.yaml may be: its constants are made again for each call.
RENEWED = "openstack.config.loader"
# What they have seen while being imported makes no difference to a command.
INDIFFERENT = {
    "stevedore._cache",  # where to keep what this server keeps in memory
    "sysconfig", "distutils.sysconfig",  # where a user would install modules; Unlike sees them
    "wsgiref.handlers",  # a copy of the environment, for a server of HTTP
    "multiprocessing.process",  # where to start processes, which no command does
}


class CannotServe(Exception):
    """Why there can be no server here; every call runs the installed command."""


class ChangedMeanwhile(Exception):
    """The installation changed while it was being loaded. Another try will do."""


class Observer:
    """Records who looks at the environment and at the current directory, while in use as a context."""

    def __init__(self):
        self.readers = {}  # of a variable: names of modules
        self.directory_readers = set()

    def __enter__(self):
        observer = self

        class Observed(type(os.environ)):
            def __getitem__(self, name):
                observer.readers.setdefault(name, set()).add(reader())
                return super().__getitem__(name)

            def __contains__(self, name):
                observer.readers.setdefault(name, set()).add(reader())
                return super().__contains__(name)

            def __iter__(self):
                observer.readers.setdefault("*", set()).add(reader())
                return super().__iter__()

        def getcwd():
            observer.directory_readers.add(reader())
            return self.getcwd()

        self.environment_class, os.environ.__class__ = os.environ.__class__, Observed
        self.getcwd, os.getcwd = os.getcwd, getcwd
        return self

    def __exit__(self, *_exception):
        os.environ.__class__ = self.environment_class
        os.getcwd = self.getcwd

    def decisive(self):
        """The variables whose value a caller must share with this server. Raises CannotServe."""
        unknown = self.directory_readers - INDIFFERENT - {RENEWED}
        if unknown:
            raise CannotServe(f"the current directory matters to the import of {', '.join(sorted(unknown))}")
        decisive = {name for name, readers in self.readers.items() if readers - INDIFFERENT - {RENEWED}}
        if "*" in decisive:
            raise CannotServe(f"the whole environment matters to the import of {', '.join(sorted(self.readers['*']))}")
        # Of the locale's, Unlike allows only values that are all the same here.
        return {name for name in decisive if name != "LANG" and not name.startswith("LC_")}


def reader():
    """The module on whose behalf the environment is being read."""
    frame = sys._getframe(2)
    while frame is not None:
        name = frame.f_globals.get("__name__", "")
        if name.partition(".")[0] not in HELPERS:
            return name
        frame = frame.f_back
    return "this server"


class Silence:
    """Catches what is written to stdout and stderr, by whatever means, while in use as a context."""

    def __enter__(self):
        flush()
        self.caught = os.memfd_create("caught")
        self.saved = [os.dup(1), os.dup(2)]
        os.dup2(self.caught, 1)
        os.dup2(self.caught, 2)
        return self

    def __exit__(self, *_exception):
        flush()
        for number, saved in zip((1, 2), self.saved):
            os.dup2(saved, number)
            os.close(saved)
        os.close(self.caught)

    def amount(self):
        flush()
        return os.fstat(self.caught).st_size

    def said(self):
        return os.pread(self.caught, min(self.amount(), 500), 0).decode(errors="replace").strip()


def flush():
    sys.stdout.flush()
    sys.stderr.flush()


class Preload:
    """The loaded client. script is the installed command."""

    def __init__(self, script, also_watched=()):
        """Raises CannotServe and ChangedMeanwhile. Changes sys.path, sys.argv and os.environ of this process."""
        began = time.time_ns()
        self.script = script
        self.code = compiled(script)
        # As they are when Python is started for the script; names and paths are made from them during import.
        sys.path[0] = os.path.dirname(os.path.realpath(script))
        sys.argv[:] = [script]
        for name in list(os.environ):
            if name not in ("LANG", "PATH"):
                del os.environ[name]
        before = open_descriptors()
        with Observer() as observer:
            load_shell()
            load_commands()
        if threading.active_count() > 1:
            raise CannotServe("the import has started a thread, which no fork would have")
        if open_descriptors() != before:
            raise CannotServe("the import has left a file open, which would be taken for a caller's")
        self.decisive = {name: os.environ.get(name) for name in observer.decisive()}
        self.renewal = code_of(RENEWED)
        self.watched = watch([script, *also_watched])
        if any(mark and mark[1] >= began for mark in self.watched.values()):
            raise ChangedMeanwhile()
        # What is there now stays; the collector of a call need not look at it, nor make copies of its pages.
        gc.collect()
        gc.freeze()

    def check_environment(self, environment):
        for name, value in self.decisive.items():
            if environment.get(name) != value:
                raise Unlike(f"variable {name}")

    def changed(self):
        """The first file that is no longer what was loaded."""
        return next((path for path, mark in self.watched.items() if mark_of(path) != mark), None)

    def renew(self):
        """Does again what an import has made of the environment and the current directory."""
        if self.renewal is None:
            return
        module = sys.modules[RENEWED]
        again = {name: getattr(module, name) for name in ("__name__", "__package__", "__file__", "__spec__", "__loader__")}
        exec(self.renewal, again)
        for name, value in again.items():
            if name.isupper():
                setattr(module, name, value)


def compiled(script):
    """The code of the installed command, which must be a script for this very interpreter."""
    try:
        with open(script, "rb") as file:
            text = file.read()
        first = text.partition(b"\n")[0]
        interpreter = first.removeprefix(b"#!").strip().decode()
        if not first.startswith(b"#!") or os.path.realpath(interpreter) != os.path.realpath(sys.executable):
            raise CannotServe(f"{script} is no script for {sys.executable}")
        return compile(text, script, "exec", dont_inherit=True)
    except (OSError, SyntaxError, ValueError) as error:
        raise CannotServe(f"{script}: {error}") from error


def load_shell():
    """What every call imports before it looks at its arguments: with Python's own filters of warnings."""
    with Silence() as silence:
        try:
            importlib.import_module("openstackclient.shell")
        except Exception as error:
            raise CannotServe(f"import openstackclient.shell: {error!r}") from error
        if silence.amount():
            raise CannotServe(f"the import of openstackclient.shell says: {silence.said()}")


def load_commands():
    """What a call imports only when it needs it, except for what that call should hear of."""
    points = (point for package in importlib.metadata.distributions() for point in package.entry_points)
    names = sorted({point.module for point in points if point.group.startswith(GROUPS)})
    while noisy := scout(names):
        print("left to the calls, because their import says something:", ", ".join(sorted(noisy)), file=sys.stderr)
        names = [name for name in names if name not in noisy]
    with Silence():
        for name in names:
            importlib.import_module(name)


def scout(names):
    """Those of the modules whose import fails, says something to the most curious caller, or changes settings. Found out in a
    fork."""
    readable, writable = os.pipe()
    process = os.fork()
    if process == 0:
        os.close(readable)
        found = None
        try:
            found = noisy_among(names)
        finally:
            os.write(writable, json.dumps(found).encode()[:65536])  # fits into the pipe, or is no JSON
            os._exit(0)
    os.close(writable)
    with open(readable, "rb") as pipe:
        answer = pipe.read()
    os.waitpid(process, 0)
    try:
        found = json.loads(answer)
    except ValueError:
        found = None
    return names if found is None else found


def noisy_among(names):
    noisy = []
    with Silence() as silence:
        warnings.simplefilter("always")
        logging.basicConfig(level=1, stream=sys.stderr)
        for name in names:
            before = silence.amount(), settings()
            try:
                importlib.import_module(name)
            except BaseException:
                noisy.append(name)
                continue
            if (silence.amount(), settings()) != before:
                noisy.append(name)
    return noisy


def settings():
    """What modules have been seen to change for the whole process while they are imported."""
    loggers = {name: (logger.level, logger.propagate, logger.disabled)
               for name, logger in logging.root.manager.loggerDict.items() if isinstance(logger, logging.Logger)}
    return (
        {name: how for name, how in loggers.items() if how != (logging.NOTSET, True, False)},
        logging.root.level, list(logging.root.handlers), logging.raiseExceptions, list(warnings.filters),
        locale.setlocale(locale.LC_ALL), list(sys.path), list(sys.meta_path), sys.excepthook, sys.displayhook,
        signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGPIPE), signal.getsignal(signal.SIGCHLD),
        socket.socket, socket.getaddrinfo, socket.getdefaulttimeout(), ssl.SSLContext, ssl._create_default_https_context,
        time.sleep, threading.Thread, subprocess.Popen, builtins.open, builtins.print,
    )


def code_of(name):
    module = sys.modules.get(name)
    return module and module.__spec__.loader.get_code(name)


def watch(more):
    """Everything on disk that decides what an import would bring now, with a mark of its state."""
    paths = {os.path.realpath(sys.executable), *more, *sys.path}
    paths.update(module.__file__ for module in list(sys.modules.values()) if getattr(module, "__file__", None))
    for directory in sys.path:
        paths.update(glob.glob(os.path.join(glob.escape(directory), "*-info", "entry_points.txt")))
    # Newer versions of requests read it while being imported.
    certificates = sys.modules.get("requests.certs")
    if certificates:
        paths.add(certificates.where())
    return {path: mark_of(path) for path in sorted(paths)}


def mark_of(path):
    """What changes when the file does. Not the time of its inode: whoever makes all of a directory his own again, as
    upstream's grenade.sh does, changes nothing."""
    try:
        seen = os.stat(path)
    except OSError:
        return None
    return seen.st_mtime_ns, seen.st_size, seen.st_ino, seen.st_dev, seen.st_mode, seen.st_uid, seen.st_gid


def open_descriptors():
    return {name for name in os.listdir("/proc/self/fd") if os.path.lexists(f"/proc/self/fd/{name}")}
