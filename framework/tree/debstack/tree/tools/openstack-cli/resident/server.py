"""Listens for callers and forks a worker for each; ends the worker whose caller is gone; tells the caller how its worker ended.

One thread, which waits for all of them at once. A connection carries, in this order: the caller's request; "runs" or "no" from
the worker; numbers of signals from the caller; "exit N" or "signal N" from the server.
"""
import os
import select
import signal
import socket
import sys

from resident.caller import Surroundings
from resident.worker import Worker

PROTOCOL = "1"
# The kernel passes at most 253 descriptors in one message (unix(7), SCM_RIGHTS).
MOST_DESCRIPTORS = 253
GONE = select.POLLHUP | select.POLLERR


class Call:
    """A connection, and the worker for it once there is one."""

    def __init__(self, connection):
        self.connection = connection
        self.process = None
        self.pidfd = None

    def send(self, message):
        try:
            self.connection.send(message)
        except OSError:
            pass  # nobody there any more to be told


class Server:
    """A server at the path of a socket, for a Preload."""

    def __init__(self, path, preload):
        self.path = path
        self.preload = preload
        self.surroundings = Surroundings("self")
        self.calls = {}  # by the descriptors of their connections, and of their processes
        # Not epoll: its state would be shared with the workers.
        self.poll = select.poll()
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_NONBLOCK)
        self.listen()

    def listen(self):
        try:
            os.unlink(self.path)
        except FileNotFoundError:
            pass
        # Whoever reaches it may call: a call can do what its caller can.
        before = os.umask(0o111)
        self.listener.bind(self.path)
        os.umask(before)
        self.listener.listen(1024)
        self.poll.register(self.listener, select.POLLIN)

    def serve(self):
        """Returns a worker in each forked process; in the server itself None, when it cannot serve any more and the last call has
        ended."""
        while self.listener is not None or self.calls:
            for descriptor, events in self.poll.poll():
                if self.listener is not None and descriptor == self.listener.fileno():
                    self.accept()
                    continue
                call = self.calls.get(descriptor)
                if call is None:
                    continue  # ended by an event of this very round
                if descriptor == call.pidfd:
                    self.ended(call)
                elif call.process is not None:
                    self.heard(call)
                else:
                    worker = self.requested(call, events)
                    if worker is not None:
                        return worker
        return None

    def accept(self):
        try:
            connection, _ = self.listener.accept()
        except OSError:
            return  # it has gone again
        self.calls[connection.fileno()] = Call(connection)
        self.poll.register(connection, select.POLLIN)

    def requested(self, call, events):
        """Reads the request and forks. Returns the worker in the forked process, None in the server."""
        descriptors = []
        try:
            message, descriptors, _, _ = socket.recv_fds(call.connection, 4096, MOST_DESCRIPTORS, socket.MSG_CMSG_CLOEXEC)
            protocol, count, numbers = message.decode().split()
            numbers = [int(number) for number in numbers.split(",")]
            if protocol != PROTOCOL or len(numbers) != len(descriptors):
                raise ValueError("another protocol")
            changed = self.preload.changed()
            if changed is not None:
                print(f"{changed} has changed: a new server is needed", file=sys.stderr, flush=True)
                self.retire()
                raise ValueError("the client has changed")
            count = int(count)
        except (OSError, ValueError):
            for descriptor in descriptors:
                os.close(descriptor)
            if not events & GONE:
                call.send(b"no")
            self.forget(call)
            return None
        process = os.fork()
        if process == 0:
            self.let_go_of_others(call)
            return Worker(call.connection, count, dict(zip(numbers, descriptors)), self.preload, self.surroundings)
        for descriptor in descriptors:
            os.close(descriptor)
        call.process, call.pidfd = process, os.pidfd_open(process)
        self.calls[call.pidfd] = call
        self.poll.register(call.pidfd, select.POLLIN)
        return None

    def let_go_of_others(self, call):
        """In a forked process: no other call ends later because this one holds its connection."""
        if self.listener is not None:
            self.listener.close()
        for descriptor, other in self.calls.items():
            if descriptor == other.pidfd:
                os.close(descriptor)
            elif other is not call:
                other.connection.close()

    def heard(self, call):
        """The caller passes a signal on, or is gone: then nobody waits for the command any more."""
        try:
            message = call.connection.recv(64)
        except OSError:
            message = b""
        if message:
            if message.isdigit() and int(message) in signal.valid_signals():
                os.kill(call.process, int(message))
            return
        self.poll.unregister(call.connection)
        # Not reaped yet, so the number is its own. The group is there as soon as the worker has made it.
        os.kill(call.process, signal.SIGKILL)
        try:
            os.killpg(call.process, signal.SIGKILL)
        except ProcessLookupError:
            pass

    def ended(self, call):
        _, status = os.waitpid(call.process, 0)
        code = os.waitstatus_to_exitcode(status)
        call.send(b"exit %d" % code if code >= 0 else b"signal %d" % -code)
        self.poll.unregister(call.pidfd)
        del self.calls[call.pidfd]
        os.close(call.pidfd)
        self.forget(call)

    def forget(self, call):
        try:
            self.poll.unregister(call.connection)
        except KeyError:
            pass  # its end was noticed earlier
        del self.calls[call.connection.fileno()]
        call.connection.close()

    def retire(self):
        """From now on callers find nobody here; those that are being served are served to their end."""
        self.poll.unregister(self.listener)
        os.unlink(self.path)
        self.listener.close()
        self.listener = None
