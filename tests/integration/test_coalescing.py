"""Many clients, one blob, several event loops: one fetch upstream, and nobody waits for the whole."""

import threading

from harness import answers as quirks
from harness import case, client


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


@case.short
class BrokenUpstreamTest(case.TestCase):
    """Not the whole of "never wrong" yet; enough to see that the first line holds it."""

    def setUp(self):
        super().setUp()
        self.upstream = self.make_upstream()
        self.entrepot = self.make_entrepot(self.hub(self.upstream.url))

    def test_a_flipped_byte_never_becomes_a_complete_answer(self):
        for blob in (self.store.image("house").layers[4], self.store.image("hut").layers[0],
                     self.store.image("hut").layers[2]):
            for at in (0, blob.size // 2, -1):
                with self.subTest(size=blob.size, at=at):
                    self.upstream.behave()
                    self.upstream.on("GET", blob.digest, quirks.flip(at))
                    reply = self.entrepot.client().get(f"/v2/library/hut/blobs/{blob.digest}")
                    self.assertFalse(reply.status == 200 and reply.complete)
                    self.assertNotEqual(self.entrepot.state(blob.digest), "committed")
            self.upstream.behave()
            reply = self.entrepot.client().get(f"/v2/library/hut/blobs/{blob.digest}")
            self.assertEqual((reply.status, reply.digest), (200, blob.digest), "after the upstream was mended")

    def test_a_wrong_manifest_is_never_served(self):
        hut = self.store.image("hut")
        self.upstream.tag("library/hut", hut)
        self.upstream.on("GET", "/manifests/", quirks.flip(20))
        for reference in ("latest", hut.root.digest, hut.manifest.digest):
            self.assertGreaterEqual(self.entrepot.client().get(f"/v2/library/hut/manifests/{reference}").status, 500)

    def test_what_is_no_blob_is_not_kept(self):
        layer = self.store.image("hut").layers[0]
        for name, quirk in (("html", quirks.html()), ("gzip", quirks.gzip_encoded()), ("503", quirks.failing(503)),
                            ("short", quirks.claim_length(layer.size - 1))):
            with self.subTest(name):
                self.upstream.behave()
                self.upstream.on("GET", layer.digest, quirk)
                reply = self.entrepot.client().get(f"/v2/library/hut/blobs/{layer.digest}")
                self.assertFalse(reply.status == 200 and reply.complete)
                self.assertNotEqual(self.entrepot.state(layer.digest), "committed")
