"""
A contender at work: a process that reads questions line by line and answers
each with one number, watched from outside.
"""

import contextlib
import os
import select
import subprocess
import time

import servers
from servers import BenchError

SAMPLE_SECONDS = 0.1        # between two looks at the memory
TICK = 1 / os.sysconf("SC_CLK_TCK")


class Caller:
    """`pid` is what is watched: for psql's sake it need not be the child."""

    def __init__(self, process, log, question):
        self.pid = process.pid
        self._process = process
        self._log = log
        self._question = question
        self._peak = 0

    def tell(self, text):
        try:
            self._process.stdin.write(f"{text}\n".encode())
        except BrokenPipeError:
            self._give_up()

    def ask(self, text):
        self.tell(text)
        while not select.select([self._process.stdout], [], [], SAMPLE_SECONDS)[0]:
            self._sample_memory()
        line = self._process.stdout.readline()
        if not line:
            self._give_up()
        return int(line)

    def call(self, n):
        """Makes n calls and gives the seconds they took."""
        started = time.perf_counter()
        answers = self.ask(self._question.format(n=n))
        elapsed = time.perf_counter() - started
        if answers != n:
            raise BenchError(f"{n} calls gave {answers} answers")
        return elapsed

    def peak_memory(self):
        """
        Bytes of anonymous memory.  The kernel keeps no peak of it, so: the
        largest sample, or the peak of everything less the file and shared pages
        there are now, which only grow.  Neither can be more than the truth.
        """
        self._sample_memory()
        now = memory(self.pid)
        return max(self._peak, now["VmHWM"] - now["RssFile"] - now["RssShmem"])

    def _sample_memory(self):
        self._peak = max(self._peak, memory(self.pid)["RssAnon"])

    def _give_up(self):
        self._process.wait()
        raise BenchError(servers.tail(self._log))


@contextlib.contextmanager
def program(argv, log, environment):
    """The floor: a number is the whole question."""
    with servers.child(argv, log, environment, stdin=subprocess.PIPE,
                       stdout=subprocess.PIPE) as process:
        yield Caller(process, log, "{n}")


@contextlib.contextmanager
def session(argv, log, connect="", question=""):
    """A backend behind psql; `connect` must print nothing."""
    with servers.child(argv, log, stdin=subprocess.PIPE,
                       stdout=subprocess.PIPE) as process:
        caller = Caller(process, log, question)
        caller.tell(connect)
        caller.pid = caller.ask("SELECT pg_backend_pid();")
        yield caller


def memory(pid):
    """What /proc/PID/status counts in kilobytes, as bytes."""
    return {name: int(value.removesuffix(" kB")) * 1024
            for name, value in status(pid).items() if value.endswith(" kB")}


def count_waits(pid):
    """How often its main thread has slept so far."""
    return int(status(pid)["voluntary_ctxt_switches"])


def status(pid):
    with open(f"/proc/{pid}/status") as lines:
        return {name: value.strip()
                for name, value in (line.split(":", 1) for line in lines)}


def cpu_seconds(pid):
    """User and system time of all its threads."""
    with open(f"/proc/{pid}/stat") as stat:
        fields = stat.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * TICK
