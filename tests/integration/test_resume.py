"""Transfers that break mend themselves (P9), and what was fetched once is not fetched again: not after a cut, not after
kill -9, not after everybody has left."""

from harness import case, quirks, wait
from harness.content import LARGE
from harness.crowd import Crowd

MIB = 1 << 20
RESUMED = 1.02, 64 * 1024    # how many times a blob's size, and so many bytes, a resumed blob may cost


class ResumeCase(case.TestCase):
    def setUp(self):
        super().setUp()
        self.upstream = self.make_upstream()
        self.entrepot = self.make_entrepot(self.hub(self.upstream.url))

    def target(self, blob) -> str:
        return f"/v2/library/torn/blobs/{blob.digest}"

    def get(self, blob, **options):
        return self.entrepot.client().get(self.target(blob), **options)

    def expect_right(self, blob):
        reply = self.get(blob)
        self.assertEqual((reply.status, reply.digest, reply.error), (200, blob.digest, ""))
        return reply

    def expect_cheap(self, server, blob):
        """Every byte was fetched about once."""
        times, more = RESUMED
        sent = [(r.header("Range"), r.status, r.sent) for r in server.seen("GET", blob.digest)]
        self.assertLessEqual(sum(count for _, _, count in sent), times * blob.size + more, sent)


class CutTest(ResumeCase):
    def offsets(self, size: int):
        return ("before the first byte", 0), ("after one byte", 1), ("in the middle", size // 2), ("before the last byte", size - 1)

    def test_one_cut_is_not_seen_by_the_client(self):
        for how in ("fin", "rst"):
            for name, after in self.offsets(LARGE):
                with self.subTest(f"{how} {name}"):
                    blob = self.content.make(LARGE, f"cut by {how} {name}")
                    self.upstream.on("GET", blob.digest, quirks.cut(after, how), times=1)
                    self.expect_right(blob)
                    first, second = self.upstream.seen("GET", blob.digest)
                    self.assertEqual((first.header("Range"), first.sent), (None, after))
                    if after > 64 * 1024:
                        self.assertEqual(second.header("Range"), f"bytes={after}-")
                    self.expect_cheap(self.upstream, blob)
                    self.content.drop(blob)

    @case.short
    def test_ten_cuts_in_a_row_are_not_seen_by_the_client(self):
        for how in ("fin", "rst"):
            with self.subTest(how):
                blob = self.content.make(8 * MIB, f"ten cuts by {how}")
                self.upstream.on("GET", blob.digest, quirks.cut(blob.size // 11, how), times=10)
                self.expect_right(blob)
                self.assertEqual(len(self.upstream.seen("GET", blob.digest)), 11)
                self.expect_cheap(self.upstream, blob)

    def test_ten_cuts_without_progress(self):
        """All at once, because each waits eleven seconds altogether. A twelfth cut in a row would be the last."""
        blobs = []
        for how in ("fin", "rst"):
            for name, first, others in (("nothing", 0, 0), ("a byte each time", 1, 1), ("all but a byte", MIB - 1, 0)):
                blobs.append(self.content.make(MIB, f"{name} {how}"))
                self.upstream.on("GET", blobs[-1].digest, quirks.cut(first, how), times=1)
                self.upstream.on("GET", blobs[-1].digest, quirks.cut(others, how), times=9, to_ranges=True if first else None)
        replies = Crowd([lambda on_bytes, b=b: self.get(b, on_bytes=on_bytes) for b in blobs]).wait_ended()
        self.assertEqual([(r.status, r.digest, r.error) for r in replies], [(200, b.digest, "") for b in blobs])
        for blob in blobs:
            self.expect_cheap(self.upstream, blob)

    def test_cut_in_other_framings(self):
        for name, framing in (("chunked", quirks.chunked()), ("HTTP/1.0", quirks.http_1_0())):
            for how in ("fin", "rst"):
                with self.subTest(f"{name} {how}"):
                    blob = self.content.make(2 * MIB, f"{name} {how}")
                    self.upstream.on("GET", blob.digest, framing)
                    self.upstream.on("GET", blob.digest, quirks.cut(blob.size // 2, how), times=1)
                    self.expect_right(blob)
                    self.expect_cheap(self.upstream, blob)

    def test_hangups_and_errors_instead_of_an_answer(self):
        for name, quirk in (("rst", quirks.hang_up("rst")), ("fin", quirks.hang_up("fin")), ("503", quirks.failing(503)),
                            ("500", quirks.failing(500))):
            with self.subTest(name):
                blob = self.content.make(MIB, f"instead of an answer {name}")
                self.upstream.on("GET", blob.digest, quirk, times=1)
                self.expect_right(blob)

    def test_errors_when_it_is_resumed(self):
        for name, quirk in (("rst", quirks.hang_up("rst")), ("503", quirks.failing(503)), ("429", quirks.failing(429)),
                            ("a head byte by byte", quirks.head_in_bytes())):
            with self.subTest(name):
                blob = self.content.make(MIB, f"when resumed {name}")
                self.upstream.on("GET", blob.digest, quirks.cut(blob.size // 2), times=1)
                self.upstream.on("GET", blob.digest, quirk, times=2, to_ranges=True)
                self.expect_right(blob)
                self.expect_cheap(self.upstream, blob)

    def test_all_clients_of_a_cut_blob_get_one_unbroken_answer(self):
        blob = self.content.make(8 * MIB, "crowd")
        self.upstream.on("GET", blob.digest, quirks.cut(blob.size // 4, "rst"), times=3)
        crowd = Crowd([lambda on_bytes: self.get(blob, on_bytes=on_bytes)] * 20)
        self.assertEqual({(r.status, r.digest, r.error) for r in crowd.wait_ended()}, {(200, blob.digest, "")})
        self.expect_cheap(self.upstream, blob)


class RangeRefusedTest(ResumeCase):
    """The upstream gives all or nothing: the blob is read again, compared with what was published, and continued."""

    REFUSALS = (("200", quirks.ignore_range()), ("416", quirks.refuse_range(416)), ("400", quirks.refuse_range(400)),
                ("206 of another place", quirks.shift_content_range(-1)), ("206 of another size", quirks.shift_content_range(0, 1)))

    @case.short
    def test_a_cut_is_not_seen_by_the_client(self):
        for name, refusal in self.REFUSALS[:3]:
            for how in ("fin", "rst"):
                with self.subTest(f"{name}, {how}"):
                    blob = self.content.make(2 * MIB, f"refused {name} {how}")
                    self.upstream.on("GET", blob.digest, refusal)
                    self.upstream.on("GET", blob.digest, quirks.cut(blob.size // 2, how), times=1)
                    self.expect_right(blob)

    def test_cuts_one_behind_the_other(self):
        for name, refusal in self.REFUSALS[:3]:
            with self.subTest(name):
                blob = self.content.make(2 * MIB, f"three cuts {name}")
                for part in (1, 2, 3):
                    self.upstream.on("GET", blob.digest, quirks.cut(blob.size * part // 4), times=part)
                self.upstream.on("GET", blob.digest, refusal)
                self.expect_right(blob)

    def test_a_206_that_lies_about_its_place_is_no_content(self):
        for name, refusal in self.REFUSALS[3:]:
            with self.subTest(name):
                blob = self.content.make(2 * MIB, name)
                self.upstream.on("GET", blob.digest, quirks.cut(blob.size // 2), times=1)
                self.upstream.on("GET", blob.digest, refusal, times=2)
                self.expect_right(blob)

    def test_what_was_published_and_what_is_read_again_must_agree(self):
        """A wrong byte the first time, then a cut; or the first time right, and then a wrong one."""
        for name, flipped in (("first", 0), ("second", 1)):
            with self.subTest(f"the {name} time"):
                blob = self.content.make(2 * MIB, f"disagree {name}")
                rules = [[quirks.cut(blob.size // 2)], []]
                rules[flipped].append(quirks.flip(1000))
                self.upstream.on("GET", blob.digest, *rules[0], times=1, to_ranges=False)
                self.upstream.on("GET", blob.digest, quirks.ignore_range(), *rules[1], times=1, to_ranges=True)
                reply = self.get(blob)
                self.assertFalse(reply.complete and reply.status in (200, 206))
                self.assertNotEqual(self.entrepot.state(blob.digest), "committed")
                self.upstream.behave()
                self.expect_right(blob)


class RedirectedTest(ResumeCase):
    """The same where the blob comes from a storage host: the registry is asked for a new, signed address each time."""

    def setUp(self):
        super().setUp()
        self.storage = self.make_storage()

    def test_the_storage_host_breaks_once(self):
        for name, quirk in (("cut", quirks.cut(MIB)), ("reset", quirks.cut(MIB, "rst")), ("hang-up", quirks.hang_up()),
                            ("500", quirks.failing(500)), ("503", quirks.failing(503)), ("cut at 0", quirks.cut(0))):
            with self.subTest(name):
                blob = self.content.make(2 * MIB, f"storage {name}")
                self.upstream.on("GET", blob.digest, self.storage.redirect(blob.digest))
                self.storage.on("GET", blob.digest, quirk, times=1)
                self.expect_right(blob)
                self.expect_cheap(self.storage, blob)
                self.assertEqual(len(self.storage.seen("GET", blob.digest)), 2)

    @case.short
    def test_the_storage_host_breaks_ten_times(self):
        blob = self.content.make(8 * MIB, "storage ten times")
        self.upstream.on("GET", blob.digest, self.storage.redirect(blob.digest))
        self.storage.on("GET", blob.digest, quirks.cut(blob.size // 11, "rst"), times=10)
        self.expect_right(blob)
        self.expect_cheap(self.storage, blob)


class KilledTest(ResumeCase):
    @case.short
    def test_after_kill_9_a_fill_goes_on_where_it_stopped(self):
        blob = self.content.make(LARGE, "killed")
        gate = self.make_gate()
        self.upstream.on("GET", blob.digest, quirks.stall(blob.size * 3 // 4, gate), times=1)
        crowd = Crowd([lambda on_bytes: self.entrepot.client().attempt(self.target(blob), on_bytes=on_bytes)])
        crowd.wait_for(blob.size // 2 + 1)
        self.entrepot.restart("kill")
        crowd.wait_ended()
        gate.set()
        self.upstream.forget()
        self.expect_right(blob)
        resumed, = self.upstream.seen("GET", blob.digest)
        self.assertRegex(resumed.header("Range") or "", r"^bytes=\d+-$")
        self.assertGreater(int(resumed.header("Range")[6:-1]), blob.size // 2)
        self.entrepot.wait_committed([blob.digest])

    def test_a_part_that_was_damaged_meanwhile_is_found_out(self):
        """A byte of the part changes between the two runs: the blob is fetched anew, and nobody gets it wrong."""
        blob = self.content.make(4 * MIB, "damaged")
        gate = self.make_gate()
        self.upstream.on("GET", blob.digest, quirks.stall(blob.size * 3 // 4, gate), times=1)
        crowd = Crowd([lambda on_bytes: self.entrepot.client().attempt(self.target(blob), on_bytes=on_bytes)])
        crowd.wait_for(blob.size // 2)
        self.entrepot.kill()
        crowd.wait_ended()
        gate.set()
        part, = (self.entrepot.cache / "parts").iterdir()
        with open(part, "r+b") as file:
            file.seek(100)
            byte = file.read(1)
            file.seek(100)
            file.write(bytes([byte[0] ^ 1]))
        self.entrepot.start()
        for _ in range(3):  # the first answer may have to be cut
            reply = self.get(blob)
            if reply.complete:
                break
        self.assertEqual((reply.status, reply.digest, reply.error), (200, blob.digest, ""))


class AbandonedTest(ResumeCase):
    """Everybody has left. What is nearly done is finished; what is not is kept for the next who asks."""

    def leave(self, blob, leave_at: int, stall_at: int):
        gate = self.make_gate()
        self.upstream.on("GET", blob.digest, quirks.stall(stall_at, gate), times=1)
        reply = self.get(blob, stop_after=leave_at)
        self.assertGreaterEqual(reply.size, leave_at)
        return gate

    def part_exists(self, blob) -> bool:
        return any(blob.digest.split(":")[1] in path.name for path in (self.entrepot.cache / "parts").iterdir())

    def expect_resumed(self, blob, least: int):
        """Nobody fetches it any more; what is there is kept, and the next who asks goes on from it."""
        wait.until(lambda: self.entrepot.state(blob.digest) == "absent", "the fill to be forgotten")
        self.assertTrue(self.part_exists(blob))
        self.upstream.behave()
        self.expect_right(blob)
        _, resumed = self.upstream.seen("GET", blob.digest)
        self.assertGreaterEqual(int((resumed.header("Range") or "bytes=0-")[6:-1]), least)
        self.entrepot.wait_committed([blob.digest])
        self.assertFalse(self.part_exists(blob))

    def test_a_large_fill_stops_and_the_next_request_resumes_it(self):
        blob = self.content.make(160 * MIB, "abandoned")
        self.leave(blob, 2 * MIB - 256 * 1024, 2 * MIB)
        first, = self.upstream.seen("GET", blob.digest)
        wait.until(lambda: first.ended, "the fetch to be ended", 60)
        self.assertEqual(first.sent, 2 * MIB)
        self.expect_resumed(blob, MIB)
        self.expect_cheap(self.upstream, blob)

    def test_a_large_fill_stops_while_bytes_still_come(self):
        blob = self.content.make(160 * MIB, "abandoned while bytes come")
        self.upstream.on("GET", blob.digest, quirks.trickle(4 * MIB))
        self.get(blob, stop_after=MIB)
        first, = self.upstream.seen("GET", blob.digest)
        wait.until(lambda: first.ended, "the fetch to be ended", 60)
        self.assertLess(first.sent, blob.size // 2)
        self.expect_resumed(blob, MIB)

    def test_a_large_fill_that_is_more_than_half_done_is_finished(self):
        blob = self.content.make(160 * MIB, "half done")
        gate = self.leave(blob, 90 * MIB, 92 * MIB)
        gate.set()
        self.entrepot.wait_committed([blob.digest], 60)
        self.assertEqual(len(self.upstream.seen("GET", blob.digest)), 1)

    @case.short
    def test_a_small_fill_is_finished(self):
        blob = self.content.make(16 * MIB, "small")
        gate = self.leave(blob, MIB, 2 * MIB)
        gate.set()
        self.entrepot.wait_committed([blob.digest], 60)
        self.assertEqual(len(self.upstream.seen("GET", blob.digest)), 1)
        self.assert_hit(self.expect_right(blob))

    def test_one_who_comes_back_in_time_goes_on_with_the_same_fetch(self):
        """The positive control of the first: as long as one is left, a large fill is not ended."""
        blob = self.content.make(160 * MIB, "stays")
        gate = self.make_gate()
        self.upstream.on("GET", blob.digest, quirks.stall(2 * MIB, gate), times=1)
        stays = Crowd([lambda on_bytes: self.get(blob, on_bytes=on_bytes)])
        stays.wait_for(MIB)
        self.get(blob, stop_after=MIB)
        gate.set()
        reply, = stays.wait_ended()
        self.assertEqual((reply.status, reply.digest, reply.error), (200, blob.digest, ""))
        self.assertEqual(len(self.upstream.seen("GET", blob.digest)), 1)
