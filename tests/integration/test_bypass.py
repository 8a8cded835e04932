"""What the cache cannot hold is streamed past it: larger than the budget, of unknown size, or the disk is full. Nobody
notices but by the Cache-Status. And the budget is a budget (P4)."""

import os
import random
import threading

from harness import case, client, disk, quirks, wait
from harness.crowd import Crowd

MIB = 1 << 20
BUDGET = 40 * MIB


class BypassCase(case.TestCase):
    def setUp(self):
        super().setUp()
        self.upstream = self.make_upstream()

    def start(self, **settings):
        self.entrepot = self.make_entrepot(self.hub(self.upstream.url), **settings)

    def get(self, blob, asked: str | None = None, **options):
        headers = {"Range": asked} if asked else {}
        return self.entrepot.client().get(f"/v2/library/much/blobs/{blob.digest}", headers=headers, **options)

    def expect_not_stored(self, blob):
        wait.until(lambda: self.entrepot.state(blob.digest) == "absent", "the blob to be absent")
        name = blob.digest.split(":")[1]
        wait.until(lambda: not any(self.entrepot.cache.rglob(f"*{name}*")), "its files to be gone")

    def expect_right(self, replies, blob):
        self.assertEqual({(r.status, r.digest, r.error) for r in replies}, {(200, blob.digest, "")})


class TooLargeTest(BypassCase):
    """A blob that is larger than the whole budget."""

    def setUp(self):
        super().setUp()
        self.start(cache__max_size=f"{BUDGET}B", server__threads=2)
        self.blob = self.content.make(48 * MIB, "too large")

    @case.short
    def test_one_client(self):
        reply = self.get(self.blob)
        self.expect_right([reply], self.blob)
        self.assertRegex(reply.cache_status, r"^entrepot; *fwd=bypass")
        self.assertEqual(reply.header("Content-Length"), str(self.blob.size))
        self.expect_not_stored(self.blob)

    def test_fifty_clients_in_little_memory(self):
        with disk.Highest(lambda: disk.anonymous_memory(self.entrepot.pid)) as memory:
            replies = Crowd([lambda on_bytes: self.get(self.blob, on_bytes=on_bytes)] * 50).wait_ended()
        self.expect_right(replies, self.blob)
        self.assertGreater(memory.samples, 10)
        self.assertLess(memory.value, 200 * MIB)
        self.expect_not_stored(self.blob)

    def test_slow_clients_take_little_memory_too(self):
        """Their upstream waits for them; what is small is cached meanwhile."""
        gate, small = self.make_gate(), self.content.make(MIB, "small")

        def slow(on_bytes):
            return self.get(self.blob, receive_buffer=16 * 1024, on_bytes=lambda n: on_bytes(n) or gate.wait(600))

        with disk.Highest(lambda: disk.anonymous_memory(self.entrepot.pid)) as memory:
            crowd = Crowd([slow] * 12)
            crowd.wait_for(1)
            self.expect_right([self.get(small)], small)
            self.entrepot.wait_committed([small.digest])
            self.assertTrue(all(r.sent < self.blob.size for r in self.upstream.seen("GET", self.blob.digest)))
            gate.set()
            self.assertEqual({(r.status, r.error) for r in crowd.wait_ended()}, {(200, "hung up")})
        self.assertLess(memory.value, 200 * MIB)

    def test_a_wrong_byte_is_cut(self):
        for at in (0, self.blob.size // 2, -1):
            for asked in (None, "bytes=-100", f"bytes={self.blob.size // 2}-"):
                with self.subTest(at=at, asked=asked):
                    self.upstream.behave()
                    self.upstream.on("GET", self.blob.digest, quirks.flip(at))
                    reply = self.get(self.blob, asked)
                    self.assertFalse(reply.complete and reply.status in (200, 206))
        self.expect_not_stored(self.blob)
        self.upstream.behave()
        self.expect_right([self.get(self.blob)], self.blob)

    def test_ranges(self):
        size = self.blob.size
        for asked, first, last in (("bytes=0-99", 0, 99), ("bytes=30000000-30000099", 30_000_000, 30_000_099),
                                   ("bytes=-5", size - 5, size - 1), (f"bytes={size // 2}-", size // 2, size - 1),
                                   (f"bytes=1000-{size * 2}", 1000, size - 1)):
            with self.subTest(asked):
                reply = self.get(self.blob, asked)
                self.assertEqual((reply.status, reply.header("Content-Range")), (206, f"bytes {first}-{last}/{size}"))
                self.assertEqual(reply.digest, self.content.slice_digest(self.blob.digest, first, last))
        self.assertEqual(self.get(self.blob, f"bytes={size}-").status, 416)

    def test_cuts_are_mended(self):
        for how in ("fin", "rst"):
            with self.subTest(how):
                self.upstream.forget()
                # The first request may be only to learn the size, and end there.
                self.upstream.on("GET", self.blob.digest, quirks.cut(self.blob.size // 5, how), times=4)
                self.expect_right([self.get(self.blob)], self.blob)
                self.upstream.behave()
                sent = [(r.header("Range"), r.sent) for r in self.upstream.seen("GET", self.blob.digest)]
                self.assertGreaterEqual(len([span for span, _ in sent if span]), 3, sent)
                wholes = [count for span, count in sent if not span]
                self.assertLessEqual(sum(count for _, count in sent) - sum(wholes[:-1]), self.blob.size * 1.02, sent)

    def test_a_cut_where_ranges_are_refused_is_mended(self):
        self.upstream.on("GET", self.blob.digest, quirks.ignore_range())
        self.upstream.on("GET", self.blob.digest, quirks.cut(self.blob.size // 5), times=1)
        self.expect_right([self.get(self.blob)], self.blob)


class UnknownSizeTest(BypassCase):
    """A chunked blob that outgrows the budget midway: its clients go on past the cache, from where each is."""

    def outgrow(self, threads: int):
        self.start(cache__max_size=f"{BUDGET}B", server__threads=threads)
        blob = self.content.make(48 * MIB, "outgrows")
        self.upstream.on("GET", blob.digest, quirks.chunked())
        with disk.Highest(lambda: disk.used_while_it_changes(self.entrepot.cache)) as on_disk:
            replies = Crowd([lambda on_bytes: self.get(blob, on_bytes=on_bytes)] * 5).wait_ended()
        self.expect_right(replies, blob)
        self.assertLessEqual(on_disk.value, BUDGET)
        self.expect_not_stored(blob)

    def test_with_one_loop(self):
        self.outgrow(1)

    @case.short
    def test_with_two_loops(self):
        self.outgrow(2)

    def test_with_four_loops(self):
        self.outgrow(4)

    def test_with_a_wrong_byte(self):
        self.start(cache__max_size=f"{BUDGET}B")
        for at in (0, -1):
            with self.subTest(at=at):
                blob = self.content.make(48 * MIB, f"outgrows, wrong {at}")
                self.upstream.on("GET", blob.digest, quirks.chunked(), quirks.flip(at))
                replies = Crowd([lambda on_bytes: self.get(blob, on_bytes=on_bytes)] * 3).wait_ended()
                self.assertEqual([r for r in replies if r.complete and r.status in (200, 206)], [])


class Pulls:
    """Random pulls of random blobs, the same for the same seed: by several clients at once, each in its own order."""

    def __init__(self, content, total: int, largest: int, seed):
        self._random = random.Random(seed)
        self.blobs = []
        while sum(blob.size for blob in self.blobs) < total:
            size = int(2 ** self._random.uniform(10, largest.bit_length() - 1))
            self.blobs.append(content.make(size, f"{seed} {len(self.blobs)}"))

    def run(self, get, clients: int, count: int) -> list:
        """`count` pulls by each client; the replies with the digests that they should have."""
        orders = [self._random.choices(self.blobs, k=count) for _ in range(clients)]
        done = client.at_once([lambda o=order: [(get(blob), blob.digest) for blob in o] for order in orders])
        return [pair for one in done for pair in one]


class PullsAtRandom(BypassCase):
    def pull_at_random(self, pulls, clients: int, count: int):
        done = pulls.run(self.get, clients, count)
        wrong = [(r.status, r.error, r.cache_status) for r, digest in done if (r.status, r.digest, r.error) != (200, digest, "")]
        self.assertEqual(wrong, [])
        return [reply.cache_status for reply, _ in done]


class BudgetTest(PullsAtRandom):
    def test_it_is_never_exceeded(self):
        self.start(cache__max_size=f"{BUDGET}B", server__threads=2)
        pulls = Pulls(self.content, 3 * BUDGET, 8 * MIB, "budget")
        with disk.Highest(lambda: disk.used_while_it_changes(self.entrepot.cache), 0.002) as on_disk:
            self.pull_at_random(pulls, 6, 60)
        self.assertGreater(on_disk.samples, 20)
        self.assertLessEqual(on_disk.value, BUDGET)
        self.assertGreater(on_disk.value, BUDGET // 2, "the budget was not even used")

    @case.short
    def test_a_small_budget_is_not_exceeded_either(self):
        self.start(cache__max_size=f"{16 * MIB}B")
        pulls = Pulls(self.content, 40 * MIB, 4 * MIB, "small budget")
        with disk.Highest(lambda: disk.used_while_it_changes(self.entrepot.cache), 0.002) as on_disk:
            self.pull_at_random(pulls, 3, 20)
        self.assertLessEqual(on_disk.value, 16 * MIB)


class FullDiskTest(PullsAtRandom):
    """The file system is smaller than the budget."""
    SIZE = 24 * MIB

    def setUp(self):
        super().setUp()
        why_not = disk.why_no_mount()
        if why_not:
            if os.environ.get("ENTREPOT_WITHOUT_MOUNT"):
                self.skipTest(why_not)
            self.fail(f"{why_not}; ENTREPOT_WITHOUT_MOUNT=1 leaves these tests out")
        self.small = self.scratch / "small"
        disk.mount_small(self.small, str(self.SIZE))
        self.addCleanup(disk.unmount, self.small)

    def pull_under_pressure(self, **settings):
        self.start(cache__directory=str(self.small / "cache"), cache__max_size="1GiB", **settings)
        pulls = Pulls(self.content, 3 * self.SIZE, 8 * MIB, "full disk")
        with disk.Highest(lambda: disk.used_while_it_changes(self.small)) as on_disk:
            statuses = self.pull_at_random(pulls, 4, 30)
        self.assertGreater(on_disk.value, self.SIZE * 3 // 4, "the disk was not even nearly full")
        return statuses

    def test_every_answer_is_right(self):
        self.pull_under_pressure(cache__min_free="0B", server__threads=2)

    def test_every_answer_is_right_where_room_is_kept_free(self):
        self.pull_under_pressure(cache__min_free="4MiB", server__threads=2)
        free = os.statvfs(self.small)
        self.assertGreaterEqual(free.f_bavail * free.f_frsize, 4 * MIB)

    def test_a_disk_that_somebody_else_has_filled(self):
        hut = self.store.image("hut")
        self.upstream.tag("library/hut", hut)
        self.start(cache__directory=str(self.small / "cache"), cache__max_size="1GiB", cache__min_free="0B")
        foreign, blob = self.small / "somebody else's", self.content.make(4 * MIB, "no room")
        self.fill(foreign)
        reply = self.get(blob)
        self.expect_right([reply], blob)
        self.assertRegex(reply.cache_status, r"^entrepot; *fwd=bypass")
        self.pull_everything(self.entrepot.client(), "library/hut", hut)
        foreign.unlink()
        self.expect_right([self.get(blob)], blob)
        self.entrepot.wait_committed([blob.digest])
        self.assert_hit(self.get(blob))

    def test_every_answer_is_right_while_somebody_else_fills_the_disk(self):
        """Again and again, to the last byte."""
        done = self.make_gate()

        def fill_and_free():
            while not done.wait(0.05):
                self.fill(self.small / "somebody else's")
                (self.small / "somebody else's").unlink()

        filler = threading.Thread(target=fill_and_free, daemon=True)
        filler.start()
        self.pull_under_pressure(cache__min_free="0B")
        done.set()
        filler.join()

    def fill(self, path):
        with open(path, "wb", buffering=0) as file:
            for size in (MIB, 4096):
                try:
                    while True:
                        file.write(bytes(size))
                except OSError:
                    pass
