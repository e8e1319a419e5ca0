"""Processes that the comparison starts, pins, measures and stops; everything it knows of them comes from /proc."""

import ctypes
import os
import re
import resource
import signal
import socket
import subprocess
import time
from pathlib import Path


class Failure(Exception):
    """The comparison cannot be made; the text says why, for the person who started it."""


class Process:
    """One program started here, pinned to `cpus`, with its output in files. A context manager that stops it."""

    def __init__(self, name, argv, cpus, directory):
        self.name = name
        self.stdout = Path(directory) / f"{name}.stdout"
        self.stderr = Path(directory) / f"{name}.stderr"

        def before_exec():
            os.sched_setaffinity(0, cpus)
            # If this script is killed with no chance to clean up, its children are told to end.
            ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)

        try:
            with open(self.stdout, "wb") as out, open(self.stderr, "wb") as err:
                self.child = subprocess.Popen(
                    [str(a) for a in argv], stdin=subprocess.DEVNULL, stdout=out, stderr=err,
                    cwd=directory, preexec_fn=before_exec, start_new_session=True)
        except OSError as e:
            raise Failure(f"cannot start {name}: {e}") from e

    @property
    def pid(self):
        return self.child.pid

    def check_alive(self):
        """Raises `Failure` with the program's last words if it has ended."""
        code = self.child.poll()
        if code is not None:
            words = (self.stderr.read_text(errors="replace") + self.stdout.read_text(errors="replace")).strip()
            raise Failure(f"{self.name} ended with code {code}: {words[-2000:] or 'no message'}")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        """SIGTERM, five seconds of patience, then SIGKILL, to this process and the workers it had."""
        family = {pid: stat.start for pid, stat in family_of(self.pid).items()}
        if self.child.poll() is None:
            self.child.terminate()
            try:
                self.child.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self.child.kill()
                self.child.wait()
        for pid, start in family.items():
            stat = read_stat(pid)
            # The start time guards against a number that has been given to somebody else meanwhile.
            if pid != self.pid and stat and stat.start == start and stat.state != "Z":
                os.kill(pid, signal.SIGKILL)


class Stat:
    """The fields of /proc/PID/stat that matter here."""

    def __init__(self, text):
        # The command's name may hold spaces and parentheses: fields are counted from the last one.
        fields = text[text.rindex(")") + 1:].split()
        self.state = fields[0]
        self.parent = int(fields[1])
        self.cpu_ticks = int(fields[11]) + int(fields[12])
        self.start = int(fields[19])


def read_stat(pid):
    """`Stat` of a process, or None if there is none of that number."""
    try:
        return Stat(Path(f"/proc/{pid}/stat").read_text())
    except (FileNotFoundError, ProcessLookupError):
        return None


def family_of(pid):
    """The process and all its descendants: pid -> Stat."""
    all_stats = {int(p.name): read_stat(p.name) for p in Path("/proc").iterdir() if p.name.isdigit()}
    family, todo = {}, [pid]
    while todo:
        one = todo.pop()
        if all_stats.get(one):
            family[one] = all_stats[one]
            todo += [p for p, s in all_stats.items() if s and s.parent == one]
    return family


def cpu_seconds(pid):
    """User and system time of the process and its descendants, threads included, and who they are.

    Resolution is a clock tick (10 ms) per process.
    """
    family = family_of(pid)
    return sum(s.cpu_ticks for s in family.values()) / TICKS_PER_SECOND, sorted(family)


def resident_kib(pid):
    """Resident memory in KiB of the process and its descendants, pages they share counted for each."""
    total = 0
    for one in family_of(pid):
        # The page tables themselves: the counters in `status` lag by some dozens of pages per core.
        text = Path(f"/proc/{one}/smaps_rollup").read_text()
        total += int(re.search(r"^Rss:\s+(\d+) kB", text, re.M).group(1))
    return total


def listener_of(port):
    """The pid that listens on this loopback or wildcard port (its eldest, when several share the socket)."""
    inodes = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        for line in Path(table).read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == TCP_LISTEN and int(fields[1].rsplit(":", 1)[1], 16) == port:
                inodes.add(f"socket:[{fields[9]}]")
    owners = set()
    for process in Path("/proc").iterdir():
        if process.name.isdigit():
            try:
                if any(os.readlink(fd) in inodes for fd in (process / "fd").iterdir()):
                    owners.add(int(process.name))
            except OSError:
                continue
    eldest = [pid for pid in owners if read_stat(pid) and read_stat(pid).parent not in owners]
    if len(eldest) != 1:
        raise Failure(f"port {port}: one listening process expected, found {sorted(eldest) or 'none that can be seen'}")
    return eldest[0]


def free_ports(count):
    """So many different free loopback ports. Free at this moment: who takes them later says so when it fails."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return ports


def wait_until(seconds, ready, alive, what):
    """Polls `ready` until it is true; `alive` may raise between. `Failure` after so many seconds."""
    end = time.monotonic() + seconds
    while not ready():
        alive()
        if time.monotonic() > end:
            raise Failure(f"{what}: not ready after {seconds} s")
        time.sleep(0.02)


def raise_file_limit(wanted):
    """Raises this process's limit of open files (children inherit it) as far as it may; returns what it is now."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    limit = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < limit:
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
        soft = limit
    return soft


PR_SET_PDEATHSIG = 1
STOP_SECONDS = 5
TCP_LISTEN = "0A"
TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
