"""What a calling process is like. The kernel is asked, not the process: nothing that it says of itself is believed.

The command will run in a process forked from the server. That is the same as running it in the caller's place only if the
caller lives in the same surroundings as the server (namespaces, root directory, privileges), and if all the rest
(arguments, environment, directory, descriptors, limits, …) can be taken over. Whoever is different is Unlike.
"""
import os
import pwd
import resource
import socket
import struct
import sys

SO_PEERGROUPS = 59  # asm-generic/socket.h; the module socket has no name for it

# What the C library and OpenSSL read by themselves, at moments that a fork of a running process has behind it.
FOREIGN_PREFIXES = ("LD_", "PYTHON", "MALLOC_", "GLIBC_", "OPENSSL_")
# DevStack's, which its functions export: no interpreter reads it (python(1), "ENVIRONMENT VARIABLES").
OF_DEVSTACK = {"PYTHON3_VERSION"}
FOREIGN = {"GCONV_PATH", "LOCPATH", "NLSPATH", "LANGUAGE"}
# Locales that are C's, apart from how characters are written: nothing is translated, numbers and dates look the same.
PLAIN_LOCALES = {"", "C", "POSIX", "C.UTF-8", "C.utf8"}
# The names of limits in /proc/PID/limits. The one of file locks is none any more.
LIMITS = {
    "cpu time": resource.RLIMIT_CPU, "file size": resource.RLIMIT_FSIZE, "data size": resource.RLIMIT_DATA,
    "stack size": resource.RLIMIT_STACK, "core file size": resource.RLIMIT_CORE, "resident set": resource.RLIMIT_RSS,
    "processes": resource.RLIMIT_NPROC, "open files": resource.RLIMIT_NOFILE, "locked memory": resource.RLIMIT_MEMLOCK,
    "address space": resource.RLIMIT_AS, "pending signals": resource.RLIMIT_SIGPENDING,
    "msgqueue size": resource.RLIMIT_MSGQUEUE, "nice priority": resource.RLIMIT_NICE,
    "realtime priority": resource.RLIMIT_RTPRIO, "realtime timeout": resource.RLIMIT_RTTIME,
}
# Those that count what a process already is: a fork of the server is larger than a new process.
SIZE_LIMITS = {"address space", "data size", "cpu time"}
TTY, NICE, POLICY = 7, 19, 41  # fields of /proc/PID/stat, proc(5)


class Unlike(Exception):
    """Why the caller has to run the command itself. Says no value: it is written to the log."""


def read(pid, name):
    with open(f"/proc/{pid}/{name}", "rb") as file:
        return file.read()


def status_of(pid):
    """/proc/PID/status as a dictionary of lists of words."""
    lines = read(pid, "status").decode(errors="replace").splitlines()
    return {name: words.split() for name, _, words in (line.partition(":") for line in lines)}


def stat_of(pid):
    """/proc/PID/stat as a dictionary of the numbers of its fields, from the third on."""
    return dict(enumerate(read(pid, "stat").rpartition(b")")[2].split(), start=3))


def numbers_in(mask):
    """The numbers of the signals in a mask of /proc/PID/status."""
    bits = int(mask, 16)
    return {number for number in range(1, 65) if bits >> (number - 1) & 1}


class Surroundings:
    """What a process and what it forks have in common, and what no process can take over from another."""

    def __init__(self, pid):
        root = os.stat(f"/proc/{pid}/root")
        status = status_of(pid)
        self.facts = {
            "root directory": (root.st_dev, root.st_ino),
            "personality": self.optional(pid, "personality"),
            "security label": self.optional(pid, "attr/current"),
            "scheduling policy": stat_of(pid)[POLICY],
            "no_new_privs": status["NoNewPrivs"],
        }
        for name in os.listdir(f"/proc/{pid}/ns"):
            self.facts[f"namespace {name}"] = os.readlink(f"/proc/{pid}/ns/{name}")

    @staticmethod
    def optional(pid, name):
        try:
            return read(pid, name)
        except OSError:
            return None

    def compare(self, other):
        for name in sorted(self.facts.keys() | other.facts.keys()):
            if self.facts.get(name) != other.facts.get(name):
                raise Unlike(f"another {name}")


class Caller:
    """The process at the other end of a connection, and all that its command is to be given."""

    def __init__(self, connection, argument_count):
        """Raises Unlike. The connection is the caller's only one, and open: its process id is still its own."""
        credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("iII"))
        self.pid, self.uid, self.gid = struct.unpack("iII", credentials)
        if self.pid <= 0:
            raise Unlike("another namespace pid")
        self.groups = peer_groups(connection)
        self.surroundings = Surroundings(self.pid)
        status, stat = status_of(self.pid), stat_of(self.pid)
        check_privileges(self.uid, self.gid, status)
        if stat[TTY] != b"0":
            raise Unlike("a terminal")
        self.nice = int(stat[NICE])
        self.processors = os.sched_getaffinity(self.pid)
        self.umask = int(status["Umask"][0], 8)
        self.ignored = numbers_in(status["SigIgn"][0])
        self.blocked = numbers_in(status["SigBlk"][0])
        self.limits = limits_of(self.pid)
        self.arguments = arguments_of(self.pid, argument_count)
        self.environment = environment_of(self.pid)
        if os.path.isdir(user_site(self.environment.get("HOME", home_of(self.uid)))):
            raise Unlike("Python modules in the user's home")
        # Opened last: whoever catches Unlike has no descriptor to close.
        self.directory = os.open(f"/proc/{self.pid}/cwd", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)


def peer_groups(connection):
    # Python reads no more than 1024 bytes; that there are more groups is an error of the kernel's.
    packed = connection.getsockopt(socket.SOL_SOCKET, SO_PEERGROUPS, 1024)
    return list(struct.unpack(f"{len(packed) // 4}I", packed))


def check_privileges(uid, gid, status):
    """An ordinary process: one identity, and with it either all privileges that the server has, or none."""
    if status["Uid"] != [str(uid)] * 4 or status["Gid"] != [str(gid)] * 4:
        raise Unlike("more than one identity")
    own = status_of("self")
    # A process that was put into a container from outside lacks the filter that the container's own processes have. It forbids
    # what no client does; one that only the caller has may be meant to forbid something.
    filters = status["Seccomp"], status.get("Seccomp_filters")
    if status["Seccomp"] != ["0"] and filters != (own["Seccomp"], own.get("Seccomp_filters")):
        raise Unlike("a filter of system calls")
    if int(status["CapInh"][0], 16) or int(status["CapAmb"][0], 16):
        raise Unlike("inherited capabilities")
    if uid != 0 and (int(status["CapPrm"][0], 16) or int(status["CapEff"][0], 16)):
        raise Unlike("capabilities")
    if uid == 0 and any(status[name] != own[name] for name in ("CapPrm", "CapEff", "CapBnd")):
        raise Unlike("other capabilities than the server's")


def limits_of(pid):
    """The soft and the hard limits by their numbers. Read as text: prlimit(2) asks for a privilege that a container may lack."""
    limits = {}
    for line in read(pid, "limits").decode().splitlines()[1:]:
        name = line[len("Max "):26].strip()
        soft, hard = (resource.RLIM_INFINITY if word == "unlimited" else int(word) for word in line[26:].split()[:2])
        if name in LIMITS:
            limits[LIMITS[name]] = soft, hard
        if name in SIZE_LIMITS and soft != resource.RLIM_INFINITY:
            raise Unlike(f"a limit of {name}")
    if len(limits) != len(LIMITS):
        raise Unlike("limits that cannot be read")
    return limits


def arguments_of(pid, count):
    """The last arguments of the process, which are those of its script."""
    words = read(pid, "cmdline").split(b"\0")[:-1]
    if not 0 < count < len(words):
        raise Unlike("arguments that the kernel does not know")
    arguments = [os.fsdecode(word) for word in words[-count:]]
    if "complete" in arguments:
        raise Unlike("completion")
    if "module" in arguments:
        raise Unlike("a question about loaded modules, of which the server has more")
    return arguments


def environment_of(pid):
    """The environment as the caller was started with it, in order."""
    environment = {}
    for entry in read(pid, "environ").split(b"\0")[:-1]:
        name, equals, value = os.fsdecode(entry).partition("=")
        if not equals or not name or name in environment:
            raise Unlike("an environment that is no dictionary")
        if (name.startswith(FOREIGN_PREFIXES) and name not in OF_DEVSTACK) or (name in FOREIGN and value):
            raise Unlike(f"variable {name}")
        environment[name] = value
    check_locale(environment)
    return environment


def check_locale(environment):
    for name, value in environment.items():
        if (name == "LANG" or name.startswith("LC_")) and value not in PLAIN_LOCALES:
            raise Unlike(f"variable {name}")
    # Where characters are C's own, too, Python changes the environment (PEP 538) and is in another mode (PEP 540) from its start on.
    characters = environment.get("LC_ALL") or environment.get("LC_CTYPE") or environment.get("LANG")
    if characters not in ("C.UTF-8", "C.utf8"):
        raise Unlike("a locale for which Python has another mode")


def home_of(uid):
    try:
        return pwd.getpwuid(uid).pw_dir
    except KeyError:
        return "~"  # as os.path.expanduser leaves it


def user_site(home):
    """Where Python looks for modules of the user's own."""
    return f"{home.rstrip('/')}/.local/lib/python{sys.version_info[0]}.{sys.version_info[1]}/site-packages"


def check_descriptors(descriptors):
    """descriptors: by the caller's numbers."""
    for number in (0, 1, 2):
        if number not in descriptors:
            raise Unlike("a closed standard stream")
        if os.isatty(descriptors[number]):
            raise Unlike("a terminal")
