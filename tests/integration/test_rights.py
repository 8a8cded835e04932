"""Two repositories hold the same digest, and the upstream lets us read one of them only. Bytes are shared between those
who ask; rights are not (P2, P7)."""

from harness import case, quirks, wait
from harness.content import LARGE
from harness.crowd import Crowd

MIB = 1 << 20
OPEN, SHUT = "library/open", "library/shut"


class RightsTest(case.TestCase):
    CLIENTS = 8     # of each repository

    def on_loops(self, scenario):
        for threads in (1, 2, 4):
            for status, code, wanted in ((403, "DENIED", (401, 403, 404)), (404, "NAME_UNKNOWN", (404,))):
                with self.subTest(loops=threads, status=status):
                    self.upstream = self.make_upstream()
                    self.upstream.on("*", f"/v2/{SHUT}/", quirks.failing(status, code))
                    self.entrepot = self.make_entrepot(self.hub(self.upstream.url), name=f"entrepot-{threads}-{status}",
                                                       server__threads=threads)
                    self.refusals = wanted
                    scenario()
                    self.entrepot.finish()

    def asking(self, repository: str, blob):
        target = f"/v2/{repository}/blobs/{blob.digest}"
        return lambda on_bytes: self.entrepot.client().get(target, on_bytes=on_bytes)

    def expect_right(self, replies, blob):
        self.assertEqual({(r.status, r.digest, r.error) for r in replies}, {(200, blob.digest, "")})

    def expect_refused(self, replies, blob):
        self.assertEqual([r.status for r in replies if r.status not in self.refusals], [])
        self.assertEqual([r for r in replies if r.digest == blob.digest], [])

    @case.short
    def test_both_asked_at_once_cold(self):
        def scenario():
            for turn, size in enumerate((100, 60_000, 70_000, MIB, 4 * MIB)):
                blob = self.content.make(size, f"both {turn}")
                calls = [self.asking(OPEN, blob), self.asking(SHUT, blob)] * self.CLIENTS
                replies = Crowd(calls if turn % 2 else calls[::-1]).wait_ended()
                allowed, refused = replies[::2], replies[1::2]
                if turn % 2 == 0:
                    allowed, refused = refused, allowed
                self.expect_right(allowed, blob)
                self.expect_refused(refused, blob)
                fetched = [r for r in self.upstream.seen("GET", blob.digest) if r.status == 200]
                self.assertEqual(len(fetched), 1)
        self.on_loops(scenario)

    def test_the_forbidden_come_while_it_is_fetched(self):
        def scenario():
            blob, gate = self.content.make(LARGE // 8, "while"), self.make_gate()
            self.upstream.on("GET", f"/v2/{OPEN}/blobs/{blob.digest}", quirks.stall(blob.size // 2, gate))
            allowed = Crowd([self.asking(OPEN, blob)] * self.CLIENTS)
            allowed.wait_for(1)
            self.expect_refused(Crowd([self.asking(SHUT, blob)] * self.CLIENTS).wait_ended(), blob)
            gate.set()
            self.expect_right(allowed.wait_ended(), blob)
        self.on_loops(scenario)

    def test_who_came_late_brings_his_own_upstream(self):
        """The repository that a fill began with is taken away in the middle: it goes on from the other's, for all."""
        def scenario():
            late, blob, gate = "library/late", self.content.make(LARGE // 8, "late"), self.make_gate()
            first = f"/v2/{OPEN}/blobs/{blob.digest}"
            half = blob.size // 2
            self.upstream.on("GET", first, quirks.stall(half, gate), quirks.cut(half + 1000), times=1)
            early = Crowd([self.asking(OPEN, blob)] * self.CLIENTS)
            early.wait_for(1)
            later = Crowd([self.asking(late, blob)] * self.CLIENTS)
            later.wait_for(1)
            self.upstream.on("*", first, quirks.failing(404, "NAME_UNKNOWN"))
            gate.set()
            self.expect_right(early.wait_ended() + later.wait_ended(), blob)
            rest, = self.upstream.seen("GET", f"/v2/{late}/blobs/")
            self.assertEqual(rest.header("Range"), f"bytes={half + 1000}-")
        self.on_loops(scenario)

    def test_the_forbidden_come_first(self):
        """The upstream keeps them waiting; who may have it does not wait for their refusal to be his."""
        def scenario():
            blob, gate = self.content.make(MIB, "first"), self.make_gate()
            self.upstream.on("*", f"/v2/{SHUT}/", quirks.late_head(gate))
            refused = Crowd([self.asking(SHUT, blob)] * self.CLIENTS)
            wait.until(lambda: self.upstream.seen(None, f"/v2/{SHUT}/"), "the question of the forbidden")
            allowed = Crowd([self.asking(OPEN, blob)] * self.CLIENTS)
            wait.until(lambda: self.upstream.seen(None, f"/v2/{OPEN}/"), "the question of the allowed")
            gate.set()
            self.expect_right(allowed.wait_ended(), blob)
            self.expect_refused(refused.wait_ended(), blob)
        self.on_loops(scenario)

    def test_the_forbidden_come_when_it_is_cached(self):
        """Nor does it help to ask by Range, or by HEAD."""
        def scenario():
            blob = self.content.make(MIB, "cached")
            self.expect_right(Crowd([self.asking(OPEN, blob)]).wait_ended(), blob)
            self.entrepot.wait_committed([blob.digest])
            self.expect_refused(Crowd([self.asking(SHUT, blob)] * self.CLIENTS).wait_ended(), blob)
            target, client = f"/v2/{SHUT}/blobs/{blob.digest}", self.entrepot.client()
            self.assertIn(client.get(target, headers={"Range": "bytes=0-9"}).status, self.refusals)
            self.assertIn(client.head(target).status, self.refusals)
            self.expect_right(Crowd([self.asking(OPEN, blob)]).wait_ended(), blob)
        self.on_loops(scenario)

    def test_a_right_that_both_have_is_proved_by_both(self):
        """The positive control: without the rule the second repository is served, from the one fetch of the first."""
        def scenario():
            self.upstream.behave()
            blob = self.content.make(MIB, "both have")
            replies = Crowd([self.asking(OPEN, blob), self.asking(SHUT, blob)] * self.CLIENTS).wait_ended()
            self.expect_right(replies, blob)
            self.assertEqual(len([r for r in self.upstream.seen("GET", blob.digest) if r.sent]), 1)
            self.assertTrue(self.upstream.seen(None, f"/v2/{OPEN}/"))
            self.assertTrue(self.upstream.seen(None, f"/v2/{SHUT}/"))
        self.on_loops(scenario)
