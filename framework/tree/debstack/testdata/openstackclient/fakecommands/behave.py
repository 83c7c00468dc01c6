"""Behaves in every way in which a command may end, or use what it was given."""
import atexit
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
import warnings


def copy(_arguments):
    shutil.copyfileobj(sys.stdin.buffer, sys.stdout.buffer)
    return 0


def position(_arguments):
    print(sys.stdin.buffer.tell(), sys.stdin.readline())
    return 0


def returns(arguments):
    return eval(arguments[0])


def leaves_open(arguments):
    file = open(arguments[0], "w")
    file.myself = [file]
    file.write("written at the end")
    return 0


def at_exit(_arguments):
    atexit.register(print, "at exit")
    threading.Thread(target=lambda: (time.sleep(0.2), print("from a thread"))).start()
    return 3


def raises(arguments):
    raise KeyboardInterrupt if arguments else ValueError("ünexpected \udcff")


def dies(arguments):
    print("printed before")
    sys.stdout.flush()
    os.kill(os.getpid(), int(arguments[0]))
    time.sleep(60)


def exits_at_once(arguments):
    sys.stdout.write("lost")
    os._exit(int(arguments[0]))


def much(_arguments):
    for number in range(100000):
        print(number)
    return 0


def descriptor(arguments):
    with open(arguments[0]) as file:
        print(file.read())
    return 0


def warns(_arguments):
    warnings.warn("a warning")
    return 0


def waits(arguments):
    """Says so in a file, and waits for a signal; a process of its own does, too."""
    child = subprocess.Popen(["/bin/sleep", "60"])
    with open(arguments[0] + ".new", "w") as file:
        print(os.getpid(), child.pid, file=file)
    os.rename(arguments[0] + ".new", arguments[0])
    try:
        while True:
            time.sleep(60)
    except KeyboardInterrupt:
        child.send_signal(signal.SIGTERM)
        print("interrupted")
        return 130


def run(arguments, _loader):
    return globals()[arguments[0]](arguments[1:])
