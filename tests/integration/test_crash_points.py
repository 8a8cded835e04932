"""The process is killed, the power fails, or the disk gives an error, at every single call of the disk: whatever the next start finds,
nothing wrong is served, nothing that was acknowledged is lost, and nothing lies about that nobody knows.

ENTREPOT_TEST_CRASH_POINTS says how many points are tried in all (350; 0: every one), a sample by ENTREPOT_TEST_SEED (else another each
time; it is printed). ENTREPOT_TEST_CUTS says how often the power fails at a random moment (20)."""

import os
import random
import sys
import threading

from harness import case, process, quirks, wait
from harness.client import at_once
from harness.crash_points import MIB, CrashPointCase, Scenario, target

POINTS = int(os.environ.get("ENTREPOT_TEST_CRASH_POINTS", "350"))
SEED = os.environ.get("ENTREPOT_TEST_SEED") or str(random.randrange(1 << 32))
SCENARIOS = 9


class FirstStart(Scenario):
    """On an empty directory."""
    starts = True

    def prepare(self):
        self.test.proxy.stop()
        for path in self.test.cache.iterdir():
            process.run(["rm", "-rf", path])
        self.blob(10_000, "after the start")

    def play(self, seen):
        seen.get_and_wait(self.objects[0])


class Fill(Scenario):
    """A manifest by tag, and a blob; something is there already."""

    def prepare(self):
        self.store(self.blob(30_000, "here"))
        self.wanted, self.layer = self.manifest("by tag"), self.blob(300_000, "layer")
        self.test.upstream.tag_digest("library/crash", "latest", self.wanted.digest)

    def play(self, seen):
        seen.get_and_wait(self.wanted, "latest")
        seen.get_and_wait(self.layer)


class Coalesced(Scenario):
    """Three clients, one blob."""

    def prepare(self):
        self.store(self.blob(30_000, "here"))
        self.layer = self.blob(MIB, "layer")

    def play(self, seen):
        at_once([lambda: seen.get(self.layer)] * 3)
        seen.get_and_wait(self.layer)


class TagMoved(Scenario):
    """The tag names something else than when it was asked for first."""

    def prepare(self):
        old, self.new = self.manifest("old"), self.manifest("new")
        self.test.upstream.tag_digest("library/crash", "moves", old.digest)
        self.test.assertEqual(self.test.proxy.client().get(target(old, "moves")).digest, old.digest)
        self.store(old)
        self.test.upstream.tag_digest("library/crash", "moves", self.new.digest)

    def play(self, seen):
        seen.get_and_wait(self.new, "moves")


class Eviction(Scenario):
    """New blobs take the place of old ones."""
    budget, evicts = 16 * MIB, True

    def prepare(self):
        for number in range(12):
            self.store(self.blob(MIB, f"old {number}"))
        self.new = [self.blob(3 * MIB // 2, f"new {number}") for number in range(2)]

    def play(self, seen):
        for one in self.new:
            seen.get_and_wait(one)


class Recovery(Scenario):
    """A start after a kill that left half a blob, and after one that left a whole one that was not committed."""
    starts = True

    def prepare(self):
        test, proxy = self.test, self.test.proxy
        self.store(self.blob(30_000, "here"))
        half, placed = self.blob(2 * MIB, "half"), self.blob(200_000, "placed")
        self.half = half
        proxy.stop()
        proxy.set_environment(test.faulty)
        proxy.start()
        gate = test.make_gate()
        test.upstream.on("GET", half.digest, quirks.stall(MIB, gate), times=1)
        follower = threading.Thread(target=proxy.client().attempt, args=(target(half),))
        follower.start()
        parts = test.cache / "parts"
        wait.until(lambda: any(path.stat().st_size >= MIB for path in parts.iterdir()), "half a blob")
        test.faults.lay("link", "blobs/*", "kill-after")
        proxy.client().attempt(target(placed))
        wait.until(lambda: not proxy.is_running, "the process to be killed")
        follower.join()
        gate.set()
        test.faults.clear()
        test.assertEqual(len(list(parts.iterdir())), 2, "the control: there is something to recover")

    def play(self, seen):
        seen.get_and_wait(self.half)


class Rebuild(Scenario):
    """A start without an index."""
    starts = True

    def prepare(self):
        self.store(self.blob(30_000, "here"), self.blob(600_000, "larger"), self.manifest("a manifest"))
        self.test.proxy.stop()
        process.run(["rm", "-rf", self.test.cache / "index"])


class Pin(Scenario):
    """Whole or not at all, and for good once it is said to be done."""

    def prepare(self):
        self.layers = [self.blob(200_000, "a layer"), self.blob(10_000, "another layer")]
        self.pinned = self.image("pinned", *self.layers)
        self.image("other", self.blob(20_000, "other"))

    def play(self, seen):
        self.is_done = seen.verb("pin", images=["crash:pinned"])

    def judge(self):
        proxy, test = self.test.proxy, self.test
        is_pinned = proxy.images("crash:pinned")["docker.io/library/crash:pinned"]["pinned"]
        test.assertTrue(is_pinned or not self.is_done, "it was said to be pinned")
        least = sum(one.size for one in (self.pinned, *self.layers)) if is_pinned else 0
        test.assertEqual(proxy.tell("stats")["pinned_bytes"] >= max(least, 1), is_pinned, "half an image is pinned")


class Purge(Scenario):
    """What is said to be gone stays away; what another image needs is not touched."""

    def prepare(self):
        shared, own = self.blob(150_000, "shared"), self.blob(250_000, "own")
        gone = self.image("gone", shared, own)
        self.image("stays", shared, self.blob(20_000, "of the one that stays"))
        self.acknowledged -= {gone, own}

    def play(self, seen):
        self.is_done = seen.verb("purge", images=["crash:gone"])

    def judge(self):
        listed = self.test.proxy.images("*")
        self.test.assertIn("docker.io/library/crash:stays", listed)
        self.test.assertTrue("docker.io/library/crash:gone" not in listed or not self.is_done, "it was said to be purged")


class CrashPointTest(CrashPointCase):
    def setUp(self):
        super().setUp()
        self.upstream = self.make_upstream()

    def play(self, scenario: type):
        self.begin(scenario(self))
        told = self.enumerate(-(-POINTS // SCENARIOS), SEED)
        print(f"{scenario.__name__}: {told}", file=sys.stderr)

    def test_first_start(self):
        self.play(FirstStart)

    @case.short
    def test_fill(self):
        self.play(Fill)

    def test_coalesced_fill(self):
        self.play(Coalesced)

    def test_tag_that_has_moved(self):
        self.play(TagMoved)

    def test_eviction(self):
        self.play(Eviction)

    def test_pin(self):
        self.play(Pin)

    def test_purge(self):
        self.play(Purge)

    def test_recovery(self):
        self.play(Recovery)

    def test_rebuild(self):
        self.play(Rebuild)

    def test_a_manifest_that_came_back_without_its_commit_is_not_called_committed(self):
        """It was acknowledged, evicted, and fetched again; then the process was killed when its file had its name. What kind of
        manifest it is came with the commit; the link is there from before."""
        scenario = Fill(self)
        scenario.budget = 16 * MIB
        self.begin(scenario)
        self.proxy.set_environment(self.faulty)
        self.proxy.start()
        manifest = scenario.manifest("comes back")
        scenario.store(manifest)
        for number in range(16):
            scenario.store(scenario.blob(MIB, f"pushes out {number}"))
        wait.until(lambda: self.proxy.state(manifest.digest) == "absent", "the manifest to be evicted")
        self.faults.lay("link", f"blobs/sha256/*/{manifest.digest[7:]}", "kill-after")
        self.proxy.restart()  # out of memory
        self.proxy.client().attempt(target(manifest))
        wait.until(lambda: not self.proxy.is_running, "the process to be killed")
        self.faults.clear()
        self.proxy.start()
        self.upstream.stop_listening()
        status = self.proxy.client().get(target(manifest)).status
        state = self.proxy.state(manifest.digest)
        self.upstream.listen_again()
        self.assertIn((state, status), (("committed", 200), ("absent", 502)))
