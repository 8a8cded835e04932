"""What is measured. A row measures one rival once and returns a sample: a dictionary of numbers."""

import dataclasses
import time

from harness.certificates import Certificate

from . import load, meter
from .content import Content, Thing
from .crowd import Crowd
from .fresh import FreshRow, fresh
from .memory import Memory
from .rivals import Rival
from .upstream import Upstream

GIB = 1 << 30


@dataclasses.dataclass
class Bench:
    """What all rows share."""
    content: Content
    upstream: Upstream
    scratch: object              # a folder
    seconds: int                 # of a load of small answers
    connections: int
    threads: int
    downloads: int               # of the large blob, for a sample
    quiet: meter.Quiet           # waits for a quiet machine
    certificate: Certificate     # for rows over TLS
    running: list = dataclasses.field(default_factory=list)

    def ours(self) -> list[int]:
        return [self.upstream.pid] + [rival.pid for rival in self.running if rival.is_running]


@dataclasses.dataclass(frozen=True)
class Column:
    key: str
    title: str
    digits: int = 0
    compared: bool = False       # a ratio to others is shown


_COMMON = (Column("peak_rss_mib", "peak RSS, MiB"),)


class Hits:
    """Something that every rival holds in its cache, asked for again and again."""

    def __init__(self, key: str, title: str, thing: str):
        self.key, self.title, self._thing = key, title, thing

    def thing(self, bench: Bench) -> Thing:
        return getattr(bench.content, self._thing)

    def others(self, bench: Bench) -> tuple:
        """Who else takes part, besides the rivals."""
        return ()

    def prepare(self, bench: Bench, rival: Rival):
        """Brings it into the cache, and checks the bytes that come from there."""
        load.fetch(rival.address, self.thing(bench))
        meter.settle(rival.pid)
        deadline = time.monotonic() + 20
        while rival.says_hit(load.fetch(rival.address, self.thing(bench)).headers) is False:
            if time.monotonic() > deadline:
                raise load.Failed("says that it is no hit, after 20 s")
            time.sleep(0.2)

    def measure(self, bench: Bench, rival: Rival) -> dict:
        bench.quiet.wait()
        self._expect_hit(bench, rival)
        before = bench.upstream.seen()
        interval = meter.Interval(rival.pid, bench.ours())
        sample = self._load(bench, rival)
        used = interval.end()
        sample = self._per_unit(sample, used)
        after = bench.upstream.seen()
        self._expect_hit(bench, rival)
        return sample | used | {f"upstream_{kind}": after[kind] - before[kind] for kind in after}

    def _expect_hit(self, bench, rival):
        if rival.says_hit(load.fetch(rival.address, self.thing(bench)).headers) is False:
            raise load.Failed("says that it is no hit")

    def _load(self, bench, rival) -> dict:
        raise NotImplementedError

    def _per_unit(self, sample, used) -> dict:
        raise NotImplementedError


class SmallHits(Hits):
    columns = (Column("requests_per_second", "requests/s"), Column("cpu", "server CPU, µs a request", 1, compared=True),
               Column("p99_ms", "p99, ms", 2), *_COMMON)

    def _load(self, bench, rival):
        return load.wrk(rival.address, self.thing(bench), seconds=bench.seconds, connections=bench.connections,
                        threads=bench.threads)

    def _per_unit(self, sample, used):
        return {"requests": sample["requests"],
                "requests_per_second": sample["requests"] / sample["microseconds"] * 1e6,
                "cpu": used["cpu_seconds"] / sample["requests"] * 1e6,
                "p50_ms": sample["p50"] / 1000, "p99_ms": sample["p99"] / 1000}


class LargeHits(Hits):
    columns = (Column("gib_per_second", "GiB/s", 2), Column("cpu", "server CPU, s a GiB", 3, compared=True), *_COMMON)

    def _load(self, bench, rival):
        size = self.thing(bench).size
        return load.download(rival.address, self.thing(bench), bench.downloads) | {"bytes": size * bench.downloads}

    def _per_unit(self, sample, used):
        return {"requests": len(sample["each"]), "gib_per_second": sample["bytes"] / GIB / sample["seconds"],
                "cpu": used["cpu_seconds"] / (sample["bytes"] / GIB), "ms": sample["seconds"] * 1000 / len(sample["each"])}


class OverTls(FreshRow):
    """The same hits over TLS 1.3, as a row of its own: by a fresh process, because whoever speaks TLS speaks nothing else."""

    def __init__(self, hits: Hits):
        self.key, self.title, self.columns = f"{hits.key}-tls", f"{hits.title}, over TLS 1.3", hits.columns
        self.thing, self._hits = hits.thing, hits

    def measure(self, bench: Bench, rival: Rival) -> dict:
        with fresh(bench, rival, bench.certificate) as server:
            self._hits.prepare(bench, server)
            return self._hits.measure(bench, server)


class Cold(FreshRow):
    """The large blob through an empty cache: a fresh process with a fresh folder, which has served only the manifest that
    names the blob, as clients ask for it first."""
    key = "cold-256m"
    title = "cold large blob"
    columns = (Column("ms", "total, ms", 0, compared=True), Column("first_byte_ms", "first byte, ms", 1),
               Column("cpu", "server CPU, s a GiB", 3), *_COMMON)

    def thing(self, bench: Bench) -> Thing:
        return bench.content.large

    def others(self, bench: Bench) -> tuple:
        return (bench.upstream,)

    def measure(self, bench: Bench, rival) -> dict:
        if rival is bench.upstream:
            return self._pull(bench, rival)
        with fresh(bench, rival) as cold:
            return self._pull(bench, cold)

    def _pull(self, bench, server) -> dict:
        load.fetch(server.address, bench.content.by_tag)
        meter.settle(server.pid)
        bench.quiet.wait()
        before = bench.upstream.seen()
        interval = meter.Interval(server.pid, bench.ours())
        result = load.download(server.address, self.thing(bench))
        meter.settle(server.pid)
        used, after = interval.end(), bench.upstream.seen()
        return used | {"requests": 1, "ms": result["seconds"] * 1000, "first_byte_ms": result["first_byte"] * 1000,
                       "cpu": used["cpu_seconds"] / (self.thing(bench).size / GIB),
                       **{f"upstream_{kind}": after[kind] - before[kind] for kind in after}}


_SMALL = SmallHits("blob-4k", "cached 4 KiB blob", "small")
_LARGE = LargeHits("blob-256m", "cached large blob", "large")
ALL = (
    _SMALL,
    SmallHits("manifest-digest", "manifest by digest", "by_digest"),
    SmallHits("manifest-tag", "manifest by tag, within its time to live", "by_tag"),
    _LARGE,
    OverTls(_SMALL),
    OverTls(_LARGE),
    Cold(),
    Crowd(Column),
    Memory(Column),
)
