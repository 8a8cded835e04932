"""The power fails at a random moment under load: what test_crash asks of kill -9, asked of an ext4 that has lost whatever was not on
the disk. ENTREPOT_TEST_CUTS says how often (100), ENTREPOT_TEST_SEED when."""

import json
import os
import random
import shutil
import sys

import test_crash
from harness import case, disk, index_file, quirks, wait
from harness.ext4 import JOURNAL_FLUSHED, NOTHING_FLUSHED

KIB, MIB = 1 << 10, 1 << 20
CUTS = int(os.environ.get("ENTREPOT_TEST_CUTS", "100"))
SEED = os.environ.get("ENTREPOT_TEST_SEED") or str(random.randrange(1 << 32))


class Pull(test_crash.Pull):
    def _ask(self):
        try:
            super()._ask()
        except AssertionError:  # between the cut and the kill there is no disk to ask
            return


class PowerCutTest(case.TestCase):
    def setUp(self):
        super().setUp()
        self.random = random.Random(SEED)
        self.upstream = self.make_upstream()
        self.upstream.on("GET", "/blobs/", quirks.trickle(40_000_000))  # so that a cut finds something half done
        self.ext4 = self.make_ext4(160)
        self.objects: list = []
        self.acknowledged: set = set()
        self.cuts = self.told = 0
        self.addCleanup(self.tell)

    def start(self, max_size: int):
        self.max_size = max_size
        self.cache = self.ext4.mount_point / "cache"
        self.entrepot = self.make_entrepot(
            self.hub(self.upstream.url), cache__directory=str(self.cache), cache__max_size=f"{max_size}B", cache__min_free="0B",
            control__listen=f"unix:{self.scratch}/control.sock", server__threads=2)

    def add_objects(self, count: int, largest: int) -> list:
        """Blobs of all sizes; every fifth is a manifest."""
        for _ in range(count):
            number = len(self.objects)
            if number % 5 == 4:
                document = {"schemaVersion": 2, "mediaType": test_crash.INDEX, "manifests": [], "annotations": {"number": str(number)}}
                self.objects.append(self.content.add(json.dumps(document).encode(), test_crash.INDEX))
            else:
                size = int(2 ** self.random.uniform(10, largest.bit_length() - 1))
                self.objects.append(self.content.make(size, f"{SEED} {number}"))
        return self.objects[-count:]

    def pull_and_cut(self, objects):
        """One life of the process. Then the power is back, and it is running again."""
        pull = Pull(self.entrepot, objects, self.random, int(2 ** self.random.uniform(17, 24)))
        self.assertTrue(pull.time_to_kill.wait(120), "nobody got anything")
        self.ext4.cut(self.random.choice((NOTHING_FLUSHED, JOURNAL_FLUSHED)))
        self.entrepot.kill()
        pull.join()
        self.assertEqual(pull.wrong, [])
        self.ext4.power_on()
        self.entrepot.start()
        self.acknowledged |= pull.acknowledged
        self.told += len(pull.acknowledged)
        self.cuts += 1

    def check(self):
        self.assertLessEqual(disk.used(self.cache), self.max_size)
        self.assertEqual([path.name for path in (self.cache / "parts").glob("*.link")], [])
        wait.until(self.is_index_right, "the index and the files to agree", 5)

    def is_index_right(self) -> bool:
        rows = index_file.blobs(self.cache)
        return index_file.files(self.cache) == {digest: size for digest, (_, size) in rows.items()}

    def get_right(self, objects):
        replies = [self.entrepot.client().get(test_crash.target(one)) for one in objects]
        wrong = [(r.status, r.error, str(r.headers)) for r, one in zip(replies, objects) if (r.status, r.digest) != (200, one.digest)]
        self.assertEqual(wrong, [])
        return replies

    def expect_kept(self, objects):
        """Without the upstream."""
        self.upstream.stop_listening()
        try:
            for one, reply in zip(objects, self.get_right(objects)):
                self.assertRegex(reply.cache_status, r"^entrepot; *hit\b", one)
        finally:
            self.upstream.listen_again()

    def is_committed(self, one) -> bool:
        return self.entrepot.state(one.digest) == "committed"

    def tell(self):
        print(f"{self.cuts} cuts, {self.told} objects acknowledged before them, seed {SEED}", file=sys.stderr)

    def cut_with_room_for_everything(self, cuts: int):
        self.start(128 * MIB)
        for number in range(cuts):
            if number % 25 == 24:  # for there is room for everything
                self.begin_anew()
            fresh = self.add_objects(12, MIB)
            self.pull_and_cut(fresh + self.random.sample(self.objects, 5))
            self.check()
            self.expect_kept(sorted(self.acknowledged, key=lambda one: one.digest))
        self.upstream.behave()
        self.get_right(self.objects)
        self.entrepot.wait_committed([one.digest for one in self.objects], 60)
        wait.until(lambda: not list((self.cache / "parts").iterdir()), "the parts to be gone")
        self.check()
        self.assertTrue(self.told or cuts < 8, "the control: there was something to lose")

    def begin_anew(self):
        self.entrepot.stop()
        shutil.rmtree(self.cache)
        self.objects.clear()
        self.acknowledged.clear()
        self.entrepot.start()

    @case.short
    def test_a_few_power_cuts(self):
        self.cut_with_room_for_everything(2)

    def test_power_cuts(self):
        self.cut_with_room_for_everything(-(-CUTS // 2))

    def test_power_cuts_with_eviction(self):
        self.start(16 * MIB)
        objects = self.add_objects(120, 3 * MIB)
        for _ in range(CUTS // 2):
            self.pull_and_cut(objects)
            self.check()
            # Of manifests test_crash_points has a test of its own: one whose file alone came back is asked for again.
            self.expect_kept([one for one in self.acknowledged if one.media_type != test_crash.INDEX and self.is_committed(one)])
        self.upstream.behave()
        self.get_right(objects)
        self.check()
