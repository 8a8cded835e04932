"""kill -9 at any moment costs nothing (P5): what is served afterwards is right, what was acknowledged is there, what was half
fetched goes on, and nothing lies about for ever.

ENTREPOT_TEST_KILLS says how often (100), ENTREPOT_TEST_SEED which moments."""

import json
import os
import random
import threading

from harness import case, client, disk, quirks, wait

KIB, MIB = 1 << 10, 1 << 20
KILLS = int(os.environ.get("ENTREPOT_TEST_KILLS", "100"))
SEED = os.environ.get("ENTREPOT_TEST_SEED", "crash")
INDEX = "application/vnd.oci.image.index.v1+json"


class Pull:
    """Several clients that pull random objects until the server dies."""

    def __init__(self, entrepot, objects, choose: random.Random, kill_after: int):
        self._entrepot, self._objects = entrepot, objects
        self._kill_after = kill_after
        self.time_to_kill = threading.Event()
        self._got = {}
        self.wrong: list[str] = []
        self.acknowledged: set = set()
        self._to_ask: list = []
        self._threads = [threading.Thread(target=self._pull, args=(n, random.Random(choose.random()))) for n in range(4)]
        self._threads.append(threading.Thread(target=self._ask))
        for thread in self._threads:
            thread.start()

    def _pull(self, number: int, choose: random.Random):
        mine, before = self._entrepot.client(), 0

        def on_bytes(total: int):
            self._got[number] = before + total
            if sum(self._got.copy().values()) >= self._kill_after:
                self.time_to_kill.set()

        while True:
            one = choose.choice(self._objects)
            reply = mine.attempt(target(one), on_bytes=on_bytes)
            if reply is None or not reply.complete:
                if not self.time_to_kill.is_set():
                    self.wrong.append(f"{one}: {reply}")
                    self.time_to_kill.set()
                return
            if (reply.status, reply.digest) != (200, one.digest):
                self.wrong.append(f"{one}: {reply}")
            self._to_ask.append(one)
            before += reply.size

    def _ask(self):
        """Whether what was pulled is acknowledged."""
        try:
            while True:
                if self._to_ask:
                    one = self._to_ask.pop()
                    if self._entrepot.state(one.digest) == "committed":
                        self.acknowledged.add(one)
                elif self.time_to_kill.wait(0.001):
                    return
        except OSError:
            return

    def join(self):
        for thread in self._threads:
            thread.join()


def target(one) -> str:
    return f"/v2/library/crash/{'manifests' if one.media_type == INDEX else 'blobs'}/{one.digest}"


class CrashTest(case.TestCase):
    def setUp(self):
        super().setUp()
        self.random = random.Random(SEED)
        self.upstream = self.make_upstream()
        self.upstream.on("GET", "/blobs/", quirks.trickle(40_000_000))  # so that a kill finds something half done
        self.objects = []
        self.acknowledged = set()
        # Complete files that a kill left without their commit. The next start finds them and says `committed`; but nobody
        # was told before the kill, and what belongs to them (a manifest's type) is not there yet.
        self.recovered = set()

    def start(self, max_size: int):
        self.max_size = max_size
        self.entrepot = self.make_entrepot(self.hub(self.upstream.url), cache__max_size=f"{max_size}B", server__threads=2)

    def add_objects(self, count: int, largest: int) -> list:
        """Blobs of all sizes; every fifth is a manifest."""
        for _ in range(count):
            number = len(self.objects)
            if number % 5 == 4:
                document = json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": [], "annotations": {"number": str(number)}})
                self.objects.append(self.content.add(document.encode(), INDEX))
            else:
                size = int(2 ** self.random.uniform(10, largest.bit_length() - 1))
                self.objects.append(self.content.make(size, f"{SEED} {number}"))
        return self.objects[-count:]

    def pull_and_kill(self, objects):
        """One life of the process. Then it is running again."""
        self.recovered |= {one for one in objects if one not in self.acknowledged and self.is_committed(one)}
        pull = Pull(self.entrepot, objects, self.random, int(2 ** self.random.uniform(16, 23)))
        self.assertTrue(pull.time_to_kill.wait(120), "nobody got anything")
        self.entrepot.kill()
        pull.join()
        self.assertEqual(pull.wrong, [])
        while self.random.random() < 0.25:
            self.entrepot.start_and_kill(self.random.uniform(0, 0.05))
        self.entrepot.start()
        self.assertLessEqual(disk.used(self.entrepot.cache), self.max_size)
        self.acknowledged |= pull.acknowledged - self.recovered

    def is_committed(self, one) -> bool:
        return self.entrepot.state(one.digest) == "committed"

    def expect_right(self, objects) -> list:
        replies = [self.entrepot.client().get(target(one)) for one in objects]
        wrong = [(r.status, r.error, r.headers) for r, one in zip(replies, objects) if (r.status, r.digest) != (200, one.digest)]
        self.assertEqual(wrong, [])
        return replies

    def expect_no_parts(self):
        parts = self.entrepot.cache / "parts"
        wait.until(lambda: not list(parts.iterdir()), f"{parts} to be empty")

    def expect_small_index(self):
        """As large as so many objects make it, however often it was cut off."""
        size = (self.entrepot.cache / "index/data.mdb").stat().st_size
        print(f"an index of {size >> 10} KiB for {len(self.objects)} objects", end=" ")
        self.assertLess(size, (256 << 10) + (2 << 10) * len(self.objects))

    def kill_with_room_for_everything(self, kills: int):
        self.start(4 << 30)
        for _ in range(kills):
            fresh = self.add_objects(15, 2 * MIB)
            self.pull_and_kill(fresh + self.random.sample(self.objects, 5))
            lost = [one for one in self.acknowledged if not self.is_committed(one)]
            self.assertEqual(lost, [], "acknowledged, and lost")
            sample = self.random.sample(sorted(self.acknowledged, key=lambda one: one.digest), min(10, len(self.acknowledged)))
            for one, reply in zip(sample, self.expect_right(sample)):
                self.assertRegex(reply.cache_status, r"^entrepot; *hit\b", one)
        if kills >= 10:
            self.assertTrue(self.acknowledged, "the control: there was something to lose")
        self.upstream.behave()
        self.expect_right(self.objects)
        self.entrepot.wait_committed([one.digest for one in self.objects], 60)
        self.expect_no_parts()
        self.expect_small_index()

    def kill_with_eviction(self, kills: int):
        self.start(16 * MIB)
        objects = self.add_objects(150, 4 * MIB)
        for _ in range(kills):
            self.pull_and_kill(objects)
            self.expect_right([one for one in self.acknowledged if self.is_committed(one)][:10])
        if kills >= 10:
            self.assertTrue(self.acknowledged, "the control: there was something to lose")
        self.upstream.behave()
        self.expect_right(objects)
        self.assertLessEqual(disk.used(self.entrepot.cache), self.max_size)
        self.expect_no_parts()
        self.expect_small_index()

    @case.short
    def test_a_few_kills(self):
        self.kill_with_room_for_everything(3)

    def test_with_room_for_everything(self):
        self.kill_with_room_for_everything(KILLS // 2)

    def test_with_eviction(self):
        self.kill_with_eviction(KILLS // 2)
