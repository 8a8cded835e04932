"""A cache of many blobs: how soon it serves, how fast a hit is, and what eviction does to hits. The figures are printed, for
docs/benchmarks.md; what is asserted is that every answer is right and nothing is lost.

ENTREPOT_TEST_MANY says how many (5,000; tools/soak takes a million). They are made by hand, files and refs.log, and the index by the
program: a rebuild of that size is part of the test."""

import hashlib
import os
import random
import shutil
import statistics
import struct
import threading
import time

from harness import case, disk, wait
from harness.cache_reader import crc32c, digest_key

MANY = int(os.environ.get("ENTREPOT_TEST_MANY", "5000"))
REPOSITORY = ("docker.io", "library/many")


def content(number: int) -> bytes:
    return b"blob %d of many" % number


def digest(number: int) -> str:
    return "sha256:" + hashlib.sha256(content(number)).hexdigest()


def text(value: str) -> bytes:
    return struct.pack(">I", len(value)) + value.encode()


def write_cache(directory, count: int):
    """As docs/cache-format.md says, but for the index."""
    (directory / "FORMAT").write_text("entrepot cache format 1\n")
    blobs = directory / "blobs/sha256"
    for shard in range(256):
        (blobs / f"{shard:02x}").mkdir(parents=True)
    header = b"entrepot-refs\0\0\1" + struct.pack(">Q", 1)
    owner = text(REPOSITORY[0]) + text(REPOSITORY[1])
    with open(directory / "refs.log", "wb") as log:
        log.write(header + struct.pack(">I", crc32c(header)))
        for number in range(count):
            data, name = content(number), digest(number)
            (blobs / name[7:9] / name[7:]).write_bytes(data)
            record = b"\1\2" + owner + digest_key(name) + struct.pack(">Q", len(data))
            record += struct.pack(">I", crc32c(record + b"refs"))
            log.write(struct.pack(">I", len(record)) + record)


class ManyBlobsTest(case.TestCase):
    def setUp(self):
        super().setUp()
        self.upstream = self.make_upstream()
        self.random = random.Random(1)
        self.figures = []

    def say(self, what: str, figure: str):
        self.figures.append(f"{what} {figure}")

    def start(self, count: int, name: str):
        proxy = self.make_entrepot(self.hub(self.upstream.url), name=name, log__access=False)
        proxy.stop()
        shutil.rmtree(proxy.cache)
        proxy.cache.mkdir(mode=0o700)
        write_cache(proxy.cache, count)
        self.say(f"{count} blobs: ready without an index in", f"{self.seconds_to_start(proxy):.2f} s")
        self.assertEqual(proxy.tell("stats")["blobs"], count)
        return proxy

    def seconds_to_start(self, proxy) -> float:
        begun = time.monotonic()
        proxy.start()
        return time.monotonic() - begun

    def hit(self, client, number: int) -> float:
        begun = time.monotonic()
        reply = client.get(f"/v2/library/many/blobs/{digest(number)}")
        took = time.monotonic() - begun
        self.assertEqual((reply.status, reply.digest), (200, digest(number)))
        self.assert_hit(reply)
        return took

    def time_hits(self, proxy, count: int, what: str, hits: int = 1000):
        client = proxy.client(keep=True)
        took = sorted(self.hit(client, self.random.randrange(count)) for _ in range(hits))
        self.say(f"{count} blobs: {what}", f"median {statistics.median(took) * 1e3:.2f} ms, p99 {took[int(hits * 0.99)] * 1e3:.2f} ms")

    def test_many(self):
        few = self.start(1000, "few")
        self.time_hits(few, 1000, "hits of blobs that were not used before")
        few.stop()
        proxy = self.start(MANY, "many")
        self.time_hits(proxy, MANY, "hits of blobs that were not used before")
        proxy.stop()
        self.say(f"{MANY} blobs: ready after a clean stop in", f"{self.seconds_to_start(proxy) * 1e3:.0f} ms")
        self.hit(proxy.client(), 1)
        proxy.kill()
        self.say(f"{MANY} blobs: ready after kill -9 in", f"{self.seconds_to_start(proxy) * 1e3:.0f} ms")
        self.assertEqual(proxy.tell("stats")["blobs"], MANY)
        self.evict(proxy)
        proxy.stop()
        print("\n" + "\n".join(self.figures))

    def evict(self, proxy):
        """A tenth of them, while others are hit."""
        kept = [self.random.randrange(MANY) for _ in range(200)]
        client, took, stop = proxy.client(keep=True), [], threading.Event()
        for number in kept:
            self.hit(client, number)
        proxy.run("stats")  # what was used is known before anything goes

        def hit_on():
            while not stop.is_set():
                took.append(self.hit(client, self.random.choice(kept)))
        thread = threading.Thread(target=hit_on)
        thread.start()
        used, begun = disk.used(proxy.cache), time.monotonic()
        wanted = used - MANY // 10 * 4096
        proxy.reload(max_size=f"{wanted}B", min_free="0B")
        wait.until(lambda: proxy.tell("stats")["blobs"] <= MANY * 0.9, "a tenth to go", 280)
        seconds = time.monotonic() - begun
        stop.set()
        thread.join()
        took.sort()
        gone = MANY - proxy.tell("stats")["blobs"]
        self.say(f"{MANY} blobs: {gone} evicted in", f"{seconds:.1f} s, hits meanwhile: median {statistics.median(took) * 1e3:.2f} ms, "
                                                    f"p99 {took[int(len(took) * 0.99)] * 1e3:.2f} ms of {len(took)}")
