"""What connections cost in memory: those that do nothing, and those that read slowly. A row, as in rows.py."""

import contextlib
import socket

from . import load, meter
from .content import Thing
from .fresh import FreshRow, fresh

IDLE = 10_000
SLOW = 1_000
_PORTS_OF_ONE_ADDRESS = 5_000
_BUFFER = 4096


class Memory(FreshRow):
    """A fresh process: idle with the large blob in its cache; with many connections that say nothing; with many clients that have
    begun to read that blob and read no further. What the kernel keeps for sockets is nobody's RSS."""
    key = "memory"
    title = f"memory: idle, with {IDLE:,} idle connections, with {SLOW:,} slow readers of a large blob"

    def __init__(self, column):
        self.columns = (column("idle_mib", "RssAnon idle, MiB", 1), column("idle_connections_mib", f"RSS with {IDLE:,} idle, MiB", 0, compared=True),
                        column("slow_mib", f"more RSS with {SLOW:,} slow readers, MiB", 1),
                        column("cpu", "server CPU, µs a connection", 1))

    def thing(self, bench) -> Thing:
        return bench.content.large

    def measure(self, bench, rival) -> dict:
        """Each by a process of its own: memory that was used once may stay with it."""
        with fresh(bench, rival) as server:
            load.fetch(server.address, bench.content.by_tag)
            load.fetch(server.address, self.thing(bench))
            meter.settle(server.pid)
            sample = {"idle_mib": meter.memory_mib(meter.tree(server.pid), "RssAnon"), "slow_mib": self._slow_readers(bench, server)}
        with fresh(bench, rival) as server:
            interval = meter.Interval(server.pid, bench.ours())
            sample["idle_connections_mib"] = self._idle_connections(server)
            used = interval.end()
        return sample | used | {"cpu": used["cpu_seconds"] / IDLE * 1e6}

    def _slow_readers(self, bench, server) -> float:
        before = meter.memory_mib(meter.tree(server.pid), "VmRSS")
        with contextlib.ExitStack() as held:
            for number in range(SLOW):
                connection = held.enter_context(_connect(server.address, number, _BUFFER))
                load.begin(connection, server.address, self.thing(bench))
            meter.settle(server.pid)
            return meter.memory_mib(meter.tree(server.pid), "VmRSS") - before

    def _idle_connections(self, server) -> float:
        with contextlib.ExitStack() as held:
            connections = [held.enter_context(_connect(server.address, number)) for number in range(IDLE)]
            meter.settle(server.pid)
            rss = meter.memory_mib(meter.tree(server.pid), "VmRSS")
            _expect_open(connections)
        return rss


def _expect_open(connections):
    for number, connection in enumerate(connections):
        connection.setblocking(False)
        try:
            told = connection.recv(1)
        except BlockingIOError:
            continue
        except OSError as error:
            told = error
        raise load.Failed(f"idle connection {number + 1} was ended: {told!r}")


def _connect(address: str, number: int, receive_buffer: int | None = None) -> socket.socket:
    """From several addresses, for one has too few ports."""
    host, port = address.rsplit(":", 1)
    connection = socket.socket()
    if receive_buffer:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    connection.settimeout(60)
    connection.bind((f"127.0.1.{1 + number // _PORTS_OF_ONE_ADDRESS}", 0))
    try:
        connection.connect((host, int(port)))
    except OSError as error:
        connection.close()
        raise load.Failed(f"connection {number + 1} was refused: {error!r}") from error
    return connection
