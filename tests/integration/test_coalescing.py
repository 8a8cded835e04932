"""Many clients, one blob, several event loops: one fetch upstream, and nobody waits for the whole."""

import threading

from harness import case, client, quirks, wait
from harness.content import LARGE
from harness.crowd import Crowd


@case.short
class CoalescingTest(case.TestCase):
    CLIENTS = 10

    def stream_to_all(self, threads: int):
        upstream = self.make_upstream()
        entrepot = self.make_entrepot(self.hub(upstream.url), server__threads=threads)
        layer = self.store.image("house").layers[4]
        half = layer.size // 2
        gate, waiting = threading.Event(), threading.Semaphore(0)
        self.addCleanup(gate.set)
        upstream.on("GET", layer.digest, quirks.stall(half, gate))

        def one():
            told = threading.Event()

            def on_bytes(total: int):
                if total > half // 2 and not told.is_set():
                    told.set()
                    waiting.release()

            return entrepot.client().get(f"/v2/library/house/blobs/{layer.digest}", on_bytes=on_bytes)

        def open_the_gate_when_all_stream():
            for _ in range(self.CLIENTS):
                if not waiting.acquire(timeout=30):
                    return  # the gate's own time-out then cuts the answer, and the test fails
            gate.set()

        opener = threading.Thread(target=open_the_gate_when_all_stream)
        opener.start()
        replies = client.at_once([one] * self.CLIENTS)
        opener.join()
        self.assertTrue(gate.is_set(), "not every client got bytes while the blob was still being fetched")
        self.assertEqual([(r.status, r.digest, r.error) for r in replies], [(200, layer.digest, "")] * self.CLIENTS)
        return upstream.seen("GET", layer.digest)

    def test_ten_clients_stream_one_cold_blob_through_one_loop(self):
        self.assertEqual(len(self.stream_to_all(1)), 1)

    def test_ten_clients_stream_one_cold_blob_through_two_loops(self):
        self.assertEqual(len(self.stream_to_all(2)), 1)

    def test_ten_clients_stream_one_cold_blob_through_four_loops(self):
        self.assertEqual(len(self.stream_to_all(4)), 1)

    def test_ten_clients_ask_for_one_cold_tag(self):
        for threads in (1, 2, 4):
            with self.subTest(threads=threads):
                upstream, hut = self.make_upstream(), self.store.image("hut")
                upstream.tag("library/hut", hut)
                entrepot = self.make_entrepot(self.hub(upstream.url), name=f"entrepot-{threads}", server__threads=threads)
                replies = client.at_once([lambda: entrepot.client().get("/v2/library/hut/manifests/latest")] * self.CLIENTS)
                self.assertEqual({(r.status, r.digest) for r in replies}, {(200, hut.root.digest)})
                self.assertLessEqual(len(upstream.seen("HEAD", "/manifests/")), 1)
                self.assertEqual(len(upstream.seen("GET", "/manifests/")), 1)

    def test_the_image_pulled_by_several_clients_at_once(self):
        upstream, house = self.make_upstream(behind=self.make_registry()), self.store.image("house")
        entrepot = self.make_entrepot(self.hub(upstream.url), server__threads=2)
        client.at_once([lambda: self.pull_everything(entrepot.client(), "library/house", house)] * 3)
        for digest in house.digests:
            self.assertEqual(len(upstream.seen("GET", digest)), 1, digest)


class HundredClientsTest(case.TestCase):
    """One cold blob, a hundred clients, whatever some of them do."""
    CLIENTS = 100
    READ_AHEAD = 256 * 1024   # the upstream stops this far behind what clients shall get: the last block is held back

    def on_loops(self, scenario):
        for threads in (1, 2, 4):
            with self.subTest(loops=threads):
                self.upstream, self.blob = self.make_upstream(), self.content.make(LARGE, "coalescing")
                self.target = f"/v2/library/crowd/blobs/{self.blob.digest}"
                self.entrepot = self.make_entrepot(self.hub(self.upstream.url), name=f"entrepot-{threads}",
                                                   server__threads=threads)
                scenario()
                self.entrepot.finish()
                self.upstream.stop()

    def one(self, **options):
        """A client, as a Crowd starts it."""
        return lambda on_bytes: self.entrepot.client().get(self.target, **{"on_bytes": on_bytes, **options})

    def stall_at(self, offset: int):
        """The upstream stops there until the gate that this returns is opened."""
        gate = self.make_gate()
        self.upstream.on("GET", self.blob.digest, quirks.stall(min(offset, self.blob.size - 1), gate, 600), times=1)
        return gate

    def expect_right(self, replies):
        wrong = [(r.status, r.digest, r.error) for r in replies if (r.status, r.digest, r.error) != (200, self.blob.digest, "")]
        self.assertEqual(wrong, [])

    def expect_one_fetch(self):
        self.assertEqual([r.header("Range") for r in self.upstream.seen("GET", self.blob.digest)], [None])

    def test_all_at_once(self):
        def scenario():
            self.expect_right(Crowd([self.one()] * self.CLIENTS).wait_ended())
            self.expect_one_fetch()
        self.on_loops(scenario)

    def first_is_killed(self, percent: int):
        def scenario():
            killed_at = self.blob.size * percent // 100
            gate = self.stall_at(killed_at + self.READ_AHEAD)
            all_have_joined = self.make_gate()
            first = Crowd([self.one(on_bytes=lambda n: n >= killed_at and all_have_joined.wait(600))])
            wait.until(lambda: self.upstream.seen("GET", self.blob.digest), "the first client's fetch")
            others = Crowd([self.one()] * (self.CLIENTS - 1))
            others.wait_for(1, "while the upstream stalls")
            all_have_joined.set()
            killed, = first.wait_ended()
            self.assertEqual(killed.error, "hung up")
            gate.set()
            self.expect_right(others.wait_ended())
            self.expect_one_fetch()
        self.on_loops(scenario)

    def test_the_first_is_killed_at_10_percent(self):
        self.first_is_killed(10)

    def test_the_first_is_killed_at_50_percent(self):
        self.first_is_killed(50)

    def test_the_first_is_killed_at_99_percent(self):
        self.first_is_killed(99)

    def test_one_reads_at_64_kib_a_second(self):
        def scenario():
            others_have_ended = self.make_gate()
            most = self.blob.size // 25

            def crawl(on_bytes):
                def slowly(total: int) -> bool:
                    on_bytes(total)
                    others_have_ended.wait(16 / 64 if total < most else 600)
                    return others_have_ended.is_set()
                return self.one(on_bytes=slowly, receive_buffer=16 * 1024)(on_bytes)

            slow = Crowd([crawl])
            slow.wait_for(1)
            self.expect_right(Crowd([self.one()] * (self.CLIENTS - 1)).wait_ended())
            self.assertLess(slow.got[0], self.blob.size // 20)
            others_have_ended.set()
            reply, = slow.wait_ended()
            self.assertEqual((reply.status, reply.error), (200, "hung up"))
            self.expect_one_fetch()
        self.on_loops(scenario)

    def test_thirty_join_late(self):
        def scenario():
            half = self.blob.size // 2
            gate = self.stall_at(half)
            early = Crowd([self.one()] * (self.CLIENTS - 30))
            early.wait_for(half - self.READ_AHEAD, "all that the upstream has sent")
            late = Crowd([self.one()] * 30)
            late.wait_for(half - self.READ_AHEAD, "what was there before they came")
            gate.set()
            self.expect_right(early.wait_ended() + late.wait_ended())
            self.expect_one_fetch()
        self.on_loops(scenario)

    def test_ranges_among_them(self):
        """R20."""
        def scenario():
            size = self.blob.size
            half = size // 2
            gate = self.stall_at(half)
            spans = [("bytes=0-99", 0, 99), (f"bytes=1000-{half // 2}", 1000, half // 2), ("bytes=-5", size - 5, size - 1),
                     ("bytes=-70000", size - 70_000, size - 1), (f"bytes={half}-", half, size - 1),
                     (f"bytes={half - 100}-{half + 99}", half - 100, half + 99), (f"bytes=7-{size * 2}", 7, size - 1),
                     (f"bytes={size - 70_000}-{size - 1}", size - 70_000, size - 1)]
            wholes = Crowd([self.one()] * (self.CLIENTS * 3 // 4))
            wholes.wait_for(half - self.READ_AHEAD)
            asked = [spans[n % len(spans)] for n in range(self.CLIENTS - self.CLIENTS * 3 // 4)]
            ranges = Crowd([self.one(headers={"Range": text}) for text, _, _ in asked])
            # What lies before the stall is there now; the others may have to wait for the rest.
            for early in ranges.wait_ended([n for n, (_, _, last) in enumerate(asked) if last <= half // 2]):
                self.assertIn("detail=unverified", early.cache_status)
            gate.set()
            self.expect_right(wholes.wait_ended())
            for reply, (text, first, last) in zip(ranges.wait_ended(), asked):
                with self.subTest(text):
                    self.assertEqual((reply.status, reply.error), (206, ""))
                    self.assertEqual(reply.header("Content-Range"), f"bytes {first}-{last}/{size}")
                    self.assertEqual(reply.digest, self.content.slice_digest(self.blob.digest, first, last))
            whole_fetches = [r for r in self.upstream.seen("GET", self.blob.digest) if r.header("Range") is None]
            self.assertEqual(len(whole_fetches), 1)
        self.on_loops(scenario)

    @case.short
    def test_one_cold_tag_behind_a_token_service(self):
        hut = self.store.image("hut")

        def scenario():
            tokens = self.make_tokens()
            self.upstream.require_token(tokens)
            self.upstream.tag("library/crowd", hut)
            self.entrepot.finish()
            entrepot = self.make_entrepot(self.hub(self.upstream.url, trusted_realms=[tokens.address]),
                                          name=f"{self.entrepot.cache.parent.name}-tokens")
            client_ = entrepot.client()
            replies = client.at_once([lambda: client_.get("/v2/library/crowd/manifests/latest")] * self.CLIENTS)
            self.assertEqual({(r.status, r.digest, r.error) for r in replies}, {(200, hut.root.digest, "")})
            answered = [r.method for r in self.upstream.seen(None, "/manifests/") if r.status == 200]
            self.assertEqual(sorted(answered), ["GET", "HEAD"])
            self.assertEqual(len(tokens.seen("GET")), 1, [r.target for r in tokens.seen()])
        self.on_loops(scenario)
