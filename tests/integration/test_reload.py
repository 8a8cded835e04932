"""SIGHUP: another budget for a cache that is being served, and what is wrong with one. And what is too small to start with."""

import re
import threading

from harness import case, disk, wait
from harness.made_image import make_image, make_layer

KIB, MIB = 1 << 10, 1 << 20


@case.short
class ReloadTest(case.TestCase):
    def setUp(self):
        super().setUp()
        self.upstream = self.make_upstream()
        self.proxy = self.make_entrepot(self.hub(self.upstream.url))
        self.blobs = []

    def fill(self, count: int):
        for number in range(count):
            blob = self.content.make(200 * KIB, f"{len(self.blobs)}")
            self.blobs.append(blob)
            self.get(blob)
            self.proxy.wait_committed([blob.digest])  # one after the other: the order of eviction is that of commits

    def get(self, blob):
        reply = self.proxy.client().get(f"/v2/library/many/blobs/{blob.digest}")
        self.assertEqual((reply.status, reply.digest, reply.error), (200, blob.digest, ""))
        return reply

    def reload(self, expected: str, **cache):
        seen = self.proxy.log().count(expected)
        self.proxy.reload(**cache)
        wait.until(lambda: self.proxy.log().count(expected) > seen, expected)

    def used(self) -> int:
        return disk.used(self.proxy.cache)

    def test_a_smaller_budget(self):
        """The least recently used goes, at once, and hits are served meanwhile."""
        self.fill(100)
        for blob in self.blobs[:10]:
            self.assert_hit(self.get(blob))
        stop, wrong = threading.Event(), []

        def hit():
            while not stop.is_set():
                for blob in self.blobs[:10]:
                    try:
                        self.assert_hit(self.get(blob))
                    except AssertionError as error:
                        wrong.append(str(error))
        thread = threading.Thread(target=hit)
        thread.start()
        self.reload("reloaded: cache.max_size = 6MiB", max_size="6MiB")
        wait.until(lambda: self.used() <= 6 * MIB, "what is too much to go")
        stop.set()
        thread.join()
        self.assertEqual(wrong, [])
        states = [self.proxy.state(blob.digest) == "committed" for blob in self.blobs]
        self.assertTrue(all(states[:10]), "what was used last stays")
        self.assertEqual(states[10:], sorted(states[10:]), "the others went in the order of their use")
        self.assertGreater(sum(states), 20)
        self.assertEqual(self.proxy.tell("stats")["max_size"], 6 * MIB)
        for _ in range(4):
            self.fill(10)
            self.assertLessEqual(self.used(), 6 * MIB)

    def test_a_larger_one(self):
        self.reload("reloaded: cache.max_size = 2MiB", max_size="2MiB")
        large = self.content.make(4 * MIB, "large")
        self.assertIn("fwd=bypass", self.get(large).cache_status)
        self.reload("reloaded: cache.max_size = 16MiB, cache.min_free = 1MiB", max_size="16MiB", min_free="1MiB")
        self.assertIn("fwd=miss", self.get(large).cache_status)
        self.proxy.wait_committed([large.digest])
        self.reload("reloaded: cache.max_size = 50%", max_size="50%")
        self.assertGreater(self.proxy.tell("stats")["max_size"], 16 * MIB)

    def test_one_that_is_too_small(self):
        self.fill(20)
        image = make_image(self.content, "app", [make_layer(self.content, 3 * MIB, "layer")])
        self.upstream.tag("library/app", image)
        self.pull_everything(self.proxy.client(), "library/app", image)
        self.proxy.wait_committed(image.digests)
        self.reload("nothing was reloaded: cache.max_size = 100KiB is too small: the index takes", max_size="100KiB")
        self.proxy.tell("pin", "app")
        self.reload("and what is pinned", max_size="3MiB")
        least = int(re.findall(r"and (\d+) bytes are needed", self.proxy.log())[-1])
        self.assertEqual(self.proxy.tell("stats")["max_size"], 20 << 30)
        for blob in self.blobs:
            self.assert_hit(self.get(blob))
        self.reload("reloaded: cache.max_size", max_size=f"{least}B")
        wait.until(lambda: self.used() <= least, "what is not pinned to go")
        for reply in self.pull_everything(self.proxy.client(), "library/app", image):
            self.assert_hit(reply)

    def test_a_file_that_is_broken(self):
        self.fill(3)
        self.reload("nothing was reloaded", max_size="much", directory="x", unknown=1)
        self.assertRegex(self.proxy.log(), r"entrepot.toml:\d+:\d+: cache.max_size: ")
        self.assertRegex(self.proxy.log(), r"entrepot.toml:\d+:\d+: cache.unknown: ")
        for blob in self.blobs:
            self.assert_hit(self.get(blob))

    def test_what_takes_a_restart(self):
        self.reload("cache.offline has changed, which takes a restart", max_size="7MiB", offline=True)
        self.assertIn("reloaded: cache.max_size = 7MiB", self.proxy.log())
        self.fill(1)
        self.reload("cache.offline has changed, which takes a restart", max_size="8MiB", offline=True)

    def test_too_small_to_start_with(self):
        self.fill(5)
        self.proxy.stop()
        self.proxy.set_key("cache.max_size", "150KiB")
        with self.assertRaisesRegex(AssertionError, "is too small: the index takes") as caught:
            self.proxy.start()
        least = int(re.search(r"and (\d+) bytes are needed", str(caught.exception)).group(1))
        self.proxy.set_key("cache.max_size", f"{least}B")
        self.proxy.start()
        self.assertLessEqual(self.used(), least)
