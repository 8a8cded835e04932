"""`mirrors` of an upstream: further base URLs with the same content, asked in order when the url does not answer, and
without a credential. What they do about wrong bytes is in test_never_wrong."""

import sys
import threading

from harness import case, quirks, secrets, wait

MIB = 1 << 20

class MirrorsCase(case.TestCase):
    def setUp(self):
        super().setUp()
        self.hut = self.store.image("hut")
        self.url, self.first, self.second = (self.make_upstream() for _ in range(3))
        for origin in (self.url, self.first, self.second):
            origin.tag("library/hut", self.hut)

    def start(self, **more):
        mirrors = [self.first.url, self.second.url]
        self.entrepot = self.make_entrepot(self.hub(self.url.url, mirrors=mirrors, **more))

    def pull(self):
        self.pull_everything(self.entrepot.client(), "library/hut", self.hut)


class MirrorsTest(MirrorsCase):
    @case.short
    def test_the_url_is_down(self):
        self.start()
        self.url.stop()
        self.pull()
        self.assertTrue(self.first.seen("GET", "/blobs/"))
        self.assertEqual(self.second.seen(), [], "the first mirror had everything")

    def test_the_url_and_the_first_mirror_fail(self):
        self.start()
        for origin in (self.url, self.first):
            origin.on("*", "", quirks.failing(503))
        self.pull()
        self.assertTrue(self.first.seen())
        self.assertTrue(self.second.seen("GET", "/blobs/"))

    def test_a_mirror_that_lacks_it_is_passed_by(self):
        self.start()
        self.url.on("*", "", quirks.failing(503))
        self.first.on("*", "", quirks.failing(404, "NAME_UNKNOWN"))
        self.pull()
        self.assertTrue(self.second.seen("GET", "/blobs/"))

    def test_they_are_not_asked_while_the_url_answers(self):
        self.start()
        self.pull()
        self.assertEqual(self.first.seen() + self.second.seen(), [])

    @case.short
    def test_they_get_no_credential(self):
        """Not for what the url failed to give, nor when they ask for one themselves."""
        password = secrets.make("upstream password")
        file = secrets.write(self.scratch / "password", password)
        self.url.require_basic("reader", password)
        self.second.require_basic("reader", password)
        self.start(access="shared", allow_unauthenticated_private=True, username="reader", password_file=file)
        blob = self.content.make(3_000_000, "in two halves")
        self.url.on("GET", blob.digest, quirks.cut(blob.size // 2), to_ranges=False)
        self.url.on("GET", blob.digest, quirks.hang_up(), to_ranges=True)
        self.first.on("GET", blob.digest, quirks.cut(1000), times=1)
        reply = self.entrepot.client().get(f"/v2/library/hut/blobs/{blob.digest}")
        self.assertEqual((reply.status, reply.digest, reply.error), (200, blob.digest, ""))
        brought = [secrets.basic("reader", password) == r.header("Authorization") for r in self.url.seen("GET")]
        self.assertIn(True, brought, "the control: the url got it")
        self.assertTrue(self.first.seen("GET", blob.digest))

        self.url.on("*", "", quirks.failing(503))
        self.first.on("*", "", quirks.failing(503))
        self.entrepot.client().get(f"/v2/library/hut/blobs/{self.hut.layers[0].digest}")
        self.assertTrue(self.second.seen(), "the control: it was asked")
        leaked = [r.text() for r in self.first.seen() + self.second.seen() if r.header("Authorization")]
        self.assertEqual(leaked, [])


class LargeBlobTest(MirrorsCase):
    """256 MiB whose upstreams cut every 20 MiB. No byte costs more than it must."""
    SIZE, PIECE = 256 * MIB, 20 * MIB

    def fetched(self, origin, blob) -> int:
        return sum(seen.sent for seen in origin.seen("GET", blob.digest))

    def expect_right(self, blob):
        reply = self.entrepot.client().get(f"/v2/library/hut/blobs/{blob.digest}")
        self.assertEqual((reply.status, reply.digest, reply.error), (200, blob.digest, ""))

    def kill_after(self, origin, blob, count: int) -> threading.Thread:
        def look():
            wait.until(lambda: self.fetched(origin, blob) >= count, f"{count} bytes of the blob to be fetched", 120)
            origin.stop_listening()
        made = threading.Thread(target=look)
        made.start()
        return made

    def test_cut_every_20_mib(self):
        self.start()
        blob = self.content.make(self.SIZE, "cut every 20 MiB")
        self.url.on("GET", blob.digest, quirks.cut(self.PIECE))
        self.expect_right(blob)
        fetched = self.fetched(self.url, blob)
        print(f"fetched {fetched / blob.size:.4f} times the blob, {len(self.url.seen('GET', blob.digest))} requests", file=sys.stderr)
        self.assertLessEqual(fetched, 1.02 * blob.size)
        self.assertEqual(self.fetched(self.first, blob), 0, "an upstream that goes on is not left for a mirror")

    def test_a_second_one_goes_on_when_the_first_dies(self):
        self.start()
        blob = self.content.make(self.SIZE, "the first dies")
        for origin in (self.url, self.first):
            origin.on("GET", blob.digest, quirks.cut(self.PIECE))
        dying = self.kill_after(self.url, blob, 110 * MIB)
        self.expect_right(blob)
        dying.join()
        by_url, by_first = self.fetched(self.url, blob), self.fetched(self.first, blob)
        print(f"fetched {(by_url + by_first) / blob.size:.4f} times the blob, {by_url / MIB:.0f} MiB of them from the url",
              file=sys.stderr)
        self.assertLessEqual(by_url + by_first, 1.02 * blob.size)
        self.assertGreater(by_url, 0)
        self.assertGreater(by_first, 0)
