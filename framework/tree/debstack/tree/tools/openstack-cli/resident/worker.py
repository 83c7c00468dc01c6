"""In the forked process: becomes what a new process of the caller's would be, and runs the command in it.

Up to the word "runs" to the caller nothing has happened that anybody could see, and any difficulty means that the caller runs the
command itself. From then on this is the command: it ends as Python ends, with the exit code or the signal of the command.
"""
import atexit
import builtins
import ctypes
import fcntl
import gc
import locale
import os
import resource
import signal
import socket
import sys
import threading
import time
import types

from resident.caller import Caller, Unlike, check_descriptors

PR_SET_PDEATHSIG, PR_SET_DUMPABLE = 1, 4  # linux/prctl.h
# What Python ignores from its start on.
IGNORED_BY_PYTHON = {signal.SIGPIPE, signal.SIGXFSZ}
libc = ctypes.CDLL(None, use_errno=True)


class Worker:
    """One call: the connection to the caller, its number of arguments, its descriptors by the numbers they had there."""

    def __init__(self, connection, argument_count, descriptors, preload, surroundings):
        self.connection = connection
        self.argument_count = argument_count
        self.descriptors = descriptors
        self.preload = preload
        self.surroundings = surroundings
        self.server = os.getppid()
        self.log = 2

    def become_caller(self):
        """Ends the process when the caller has to run the command itself."""
        try:
            os.setsid()
            caller = Caller(self.connection, self.argument_count)
            check_descriptors(self.descriptors)
            self.surroundings.compare(caller.surroundings)
            self.preload.check_environment(caller.environment)
            self.take_over(caller)
            return
        except Unlike as unlike:
            reason = str(unlike)
        except (OSError, ValueError, KeyError) as error:
            reason = type(error).__name__
            if isinstance(error, OSError):
                reason += f": {error.strerror}"
        try:
            self.say(f"refused: {reason}")
            self.connection.send(b"no")
        finally:
            os._exit(0)

    def say(self, text):
        """Writes a line to the server's log."""
        os.write(self.log, f"{text}\n".encode(errors="replace"))

    def take_over(self, caller):
        os.fchdir(caller.directory)
        os.close(caller.directory)
        self.place_descriptors()
        for number, limits in caller.limits.items():
            if resource.getrlimit(number) != limits:
                resource.setrlimit(number, limits)
        os.setpriority(os.PRIO_PROCESS, 0, caller.nice)
        os.sched_setaffinity(0, caller.processors)
        os.umask(caller.umask)
        become_user(caller.uid, caller.gid, caller.groups)
        # After the change of user, which undoes both.
        prctl(PR_SET_DUMPABLE, 1)
        prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != self.server:
            os._exit(1)
        with open("/proc/self/comm", "w") as file:
            file.write(os.path.basename(self.preload.script))
        take_over_signals(caller.ignored, caller.blocked)
        os.environ.clear()
        os.environ.update(caller.environment)
        locale.setlocale(locale.LC_CTYPE, "")
        time.tzset()
        renew_streams()
        self.preload.renew()
        sys.argv[1:] = caller.arguments
        self.say(f"process {caller.pid} of user {caller.uid}: served")
        os.close(self.log)
        # The caller may have gone meanwhile; then this raises, and nothing has happened.
        self.connection.send(b"runs")
        self.connection.close()

    def place_descriptors(self):
        """Gives the caller's descriptors the numbers that they had there, and closes everything but them, the connection and the
        log."""
        above = max(self.descriptors) + 1
        lifted = {number: fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, above)
                  for number, descriptor in self.descriptors.items()}
        connection = fcntl.fcntl(self.connection.fileno(), fcntl.F_DUPFD_CLOEXEC, above)
        self.connection.close()
        self.connection = socket.socket(fileno=connection)
        self.log = fcntl.fcntl(self.log, fcntl.F_DUPFD_CLOEXEC, above)
        kept = {connection, self.log, *lifted.values()}
        for number in map(int, os.listdir("/proc/self/fd")):
            if number not in kept:
                close_if_open(number)
        for number, descriptor in lifted.items():
            os.dup2(descriptor, number)
            os.close(descriptor)

    def run(self):
        """Runs the installed script as the main module. Does not return."""
        main = types.ModuleType("__main__")
        main.__file__ = self.preload.script
        main.__cached__ = None
        main.__builtins__ = builtins
        # The one that it replaces has to live on: what is running here is part of it.
        self.replaced, sys.modules["__main__"] = sys.modules["__main__"], main
        if "__annotations__" in vars(self.replaced):
            main.__annotations__ = {}
        sys.excepthook = self.show
        try:
            exec(self.preload.code, vars(main))
        except SystemExit as end:
            end_quickly(end.code)
            raise
        end_quickly(0)
        sys.exit(0)

    def show(self, kind, value, trace):
        """Shows an exception as it would be shown if the script were all that runs: without the frames around it."""
        inner = trace
        while inner is not None and inner.tb_frame.f_code.co_filename != self.preload.script:
            inner = inner.tb_next
        sys.__excepthook__(kind, value.with_traceback(inner or trace), inner or trace)


def close_if_open(number):
    try:
        os.close(number)
    except OSError:
        pass  # the one by which the directory was read


def become_user(uid, gid, groups):
    """Raises PermissionError when that takes a privilege that the server lacks."""
    if sorted(os.getgroups()) != sorted(groups):
        os.setgroups(groups)
    if os.getresgid() != (gid, gid, gid):
        os.setresgid(gid, gid, gid)
    if os.getresuid() != (uid, uid, uid):
        os.setresuid(uid, uid, uid)


def prctl(option, value):
    if libc.prctl(option, ctypes.c_ulong(value), 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl")


def take_over_signals(ignored, blocked):
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
        if number in ignored or number in IGNORED_BY_PYTHON:
            signal.signal(number, signal.SIG_IGN)
        elif number == signal.SIGINT:
            signal.signal(number, signal.default_int_handler)
        else:
            signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, blocked & signal.valid_signals())


def renew_streams():
    """Makes sys.stdin, stdout and stderr as Python's start does (Python/pylifecycle.c, create_stdio) for what the descriptors are
    now. The objects stay the same ones: some modules keep them."""
    for number, stream in enumerate((sys.stdin, sys.stdout, sys.stderr)):
        name, mode, encoding, errors = stream.name, stream.mode, stream.encoding, stream.errors
        buffer = open(number, mode + "b", buffering=-1, closefd=False)
        buffer.raw.name = name
        stream.__init__(buffer, encoding=encoding, errors=errors, newline="\n", line_buffering=number == 2)
        stream.mode = mode


def end_quickly(code):
    """Ends the process as Python does, but for one thing: taking all modules apart, one by one, which takes longer than most
    commands. Returns when it would be different, such as when what is left in a buffer cannot be written."""
    if not isinstance(code, (int, type(None))):
        return
    try:
        threading._shutdown()
        atexit._run_exitfuncs()
        # Objects that nobody holds any more may have something to write.
        gc.collect()
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
    except BaseException:
        return
    os._exit((code or 0) & 0xFF)
