"""Many clients want the same blob at once, which is not there yet; and once more, when it is. A row, as in rows.py."""

import threading
import time

from . import load, meter
from .content import Thing
from .fresh import FreshRow, fresh

CLIENTS = 100


class Crowd(FreshRow):
    """An empty cache that has served the manifest only. All begin at the same moment, discard what comes, and must get all of it."""
    key = "crowd"
    title = f"{CLIENTS} clients at once, blob of 64 MiB"

    def __init__(self, column):
        self.columns = (column("fetches", "requests to the upstream"), column("ms", "cold, ms", 0, compared=True), column("warm_ms", "warm, ms"),
                        column("cold_by_warm", "cold × warm", 2), column("cpu", "server CPU cold, s a GiB", 3))

    def thing(self, bench) -> Thing:
        return bench.content.medium

    def measure(self, bench, rival) -> dict:
        with fresh(bench, rival) as server:
            load.fetch(server.address, bench.content.by_tag)
            meter.settle(server.pid)
            bench.quiet.wait()
            before = bench.upstream.seen()
            interval = meter.Interval(server.pid, bench.ours())
            cold = self._all_at_once(bench, server)
            meter.settle(server.pid)
            used = interval.end()
            fetches = bench.upstream.seen()["objects"] - before["objects"]
            warm = self._all_at_once(bench, server)
        gib = self.thing(bench).size * CLIENTS / (1 << 30)
        return used | {"fetches": fetches, "ms": cold * 1000, "warm_ms": warm * 1000, "cold_by_warm": cold / warm,
                       "cpu": used["cpu_seconds"] / gib}

    def _all_at_once(self, bench, server) -> float:
        failures, start = [], threading.Barrier(CLIENTS + 1)

        def pull():
            start.wait()
            try:
                load.download(server.address, self.thing(bench))
            except load.Failed as failure:
                failures.append(failure)
        threads = [threading.Thread(target=pull) for _ in range(CLIENTS)]
        for thread in threads:
            thread.start()
        start.wait()
        begun = time.monotonic()
        for thread in threads:
            thread.join()
        took = time.monotonic() - begun
        if failures:
            raise load.Failed(f"{len(failures)} of {CLIENTS} clients failed: {failures[0]}")
        return took
