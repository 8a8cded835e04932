"""Readings from /proc: CPU time and peak memory of a process with its children, and what the whole machine did."""

import os
import resource
import time

_TICKS = os.sysconf("SC_CLK_TCK")


def tree(pid: int) -> list[int]:
    """The process and its living descendants."""
    pids = [pid]
    for parent in pids:
        try:
            for task in os.listdir(f"/proc/{parent}/task"):
                with open(f"/proc/{parent}/task/{task}/children", encoding="ascii") as file:
                    pids += map(int, file.read().split())
        except OSError:
            pass
    return pids


def cpu_seconds(pids) -> float:
    """utime + stime of all threads, ended ones too."""
    total = 0
    for pid in pids:
        try:
            with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
                fields = file.read().rpartition(")")[2].split()
            total += int(fields[11]) + int(fields[12])
        except OSError:
            pass
    return total / _TICKS


def forget_peak(pids):
    """Peak memory counts from now on (proc(5), clear_refs)."""
    for pid in pids:
        try:
            with open(f"/proc/{pid}/clear_refs", "w", encoding="ascii") as file:
                file.write("5")
        except OSError:
            pass


def peak_mib(pids) -> float:
    return memory_mib(pids, "VmHWM")


def memory_mib(pids, field: str) -> float:
    """The sum of a field of the processes' status (proc(5)), as VmHWM, VmRSS or RssAnon: pages that they share count for each."""
    total = 0
    for pid in pids:
        try:
            with open(f"/proc/{pid}/status", encoding="utf-8", errors="replace") as file:
                total += sum(int(line.split()[1]) for line in file if line.startswith(f"{field}:"))
        except OSError:
            pass
    return total / 1024


def settle(pid: int, quiet: float = 0.25, at_most: float = 5):
    """Waits until the process uses no CPU: what it does after the last byte belongs to the work, too."""
    deadline = time.monotonic() + at_most
    before, since = cpu_seconds(tree(pid)), time.monotonic()
    while time.monotonic() < deadline and time.monotonic() - since < quiet:
        time.sleep(0.05)
        now = cpu_seconds(tree(pid))
        if now > before:
            before, since = now, time.monotonic()


class Interval:
    """What a server and the machine used between the making of this and `end`."""

    def __init__(self, server: int, ours):
        """`ours` are the ids of all processes of the run, the server among them; this one is added."""
        self._server, self._ours = tree(server), [pid for one in ours for pid in tree(one)]
        forget_peak(self._server)
        self._cpu, self._ours_cpu = cpu_seconds(self._server), self._all_ours()
        self._busy, self._begun = _machine_busy(), time.monotonic()

    def end(self) -> dict:
        elapsed = time.monotonic() - self._begun
        foreign = (_machine_busy() - self._busy) - (self._all_ours() - self._ours_cpu)
        return {"cpu_seconds": cpu_seconds(self._server) - self._cpu, "peak_rss_mib": peak_mib(self._server),
                "foreign_cpu": max(0.0, foreign / (elapsed * os.cpu_count()))}

    def _all_ours(self) -> float:
        loads = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
        return cpu_seconds(self._ours) + sum(used.ru_utime + used.ru_stime for used in loads)


class Quiet:
    """Waits for moments in which the machine has little else to do: `budget` seconds in all."""

    def __init__(self, budget: float, busy_at_most: float = 0.1):
        self._budget, self._most = budget, busy_at_most

    def wait(self):
        while self._budget > 0:
            begun, busy = time.monotonic(), _machine_busy()
            time.sleep(0.5)
            elapsed = time.monotonic() - begun
            self._budget -= elapsed
            if (_machine_busy() - busy) / (elapsed * os.cpu_count()) <= self._most:
                return


def _machine_busy() -> float:
    """CPU-seconds since boot in which the machine was not idle; stolen time is busy time."""
    with open("/proc/stat", encoding="ascii") as file:
        user, nice, system, _idle, _wait, irq, soft, steal = map(int, file.readline().split()[1:9])
    return (user + nice + system + irq + soft + steal) / _TICKS
