"""Ranges of a blob that is not cached, far from where its fetch is: they are fetched beside it, and into it."""

import threading

from harness import case, client, quirks, wait
from harness.answers import Rate

KIB, MIB = 1 << 10, 1 << 20


class FarRangesTest(case.OneUpstream):
    def target(self, blob) -> str:
        return f"/v2/library/far/blobs/{blob.digest}"

    def get(self, blob, first: int, last: int | str):
        reply = self.client.get(self.target(blob), headers={"Range": f"bytes={first}-{last}"})
        end = blob.size - 1 if last == "" else last
        self.assertEqual((reply.status, reply.error), (206, ""))
        self.assertEqual(reply.digest, self.content.slice_digest(blob.digest, first, end))
        return reply

    def sent(self, blob) -> int:
        return sum(seen.sent for seen in self.upstream.seen("GET", blob.digest))

    def expect_cached(self, blob):
        self.entrepot.wait_committed([blob.digest])
        before = len(self.upstream.seen())
        whole = self.client.get(self.target(blob))
        self.assertEqual((whole.digest, whole.cache_status), (blob.digest, "entrepot; hit"))
        self.assertEqual(len(self.upstream.seen()), before)

    def test_sixteen_in_parallel_cost_little_more_than_the_blob(self):
        blob = self.content.make(256 * MIB, "sixteen")
        self.upstream.on("GET", blob.digest, quirks.shared(Rate(50 * MIB)))
        size = 8 * MIB
        client.at_once([lambda first=n * 16 * MIB: self.get(blob, first, first + size - 1) for n in range(16)])
        self.expect_cached(blob)
        print(f"upstream bytes: {self.sent(blob) / blob.size:.3f} times the blob, "
              f"{len(self.upstream.seen('GET', blob.digest))} requests", end=" ... ")
        self.assertLessEqual(self.sent(blob), 1.25 * blob.size)

    def test_neighbours_in_parallel(self):
        """As containerd fetches a layer in parts."""
        blob = self.content.make(64 * MIB, "neighbours")
        self.upstream.on("GET", blob.digest, quirks.shared(Rate(50 * MIB)))
        size = 4 * MIB
        client.at_once([lambda first=n * size: self.get(blob, first, first + size - 1) for n in range(16)])
        self.expect_cached(blob)
        self.assertLessEqual(self.sent(blob), 1.25 * blob.size)

    @case.short
    def test_it_comes_while_the_main_stream_stands_still(self):
        blob, gate = self.content.make(40 * MIB, "still"), self.make_gate()
        self.upstream.on("GET", blob.digest, quirks.stall(MIB, gate), to_ranges=False)
        reply = self.get(blob, 30 * MIB + 5, 31 * MIB + 4)
        self.assertIn("detail=unverified", reply.cache_status)
        whole = threading.Thread(target=lambda: self.client.get(self.target(blob)))
        whole.start()
        gate.set()
        whole.join()
        self.expect_cached(blob)
        self.assertLessEqual(self.sent(blob), 1.25 * blob.size)

    @case.short
    def test_the_last_block_waits_for_the_digest(self):
        blob, gate = self.content.make(8 * MIB, "last"), self.make_gate()
        self.upstream.on("GET", blob.digest, quirks.stall(MIB, gate), to_ranges=False)
        came = []
        asked = threading.Thread(target=lambda: came.append(self.client.get(
            self.target(blob), headers={"Range": f"bytes={6 * MIB}-"}, on_bytes=lambda total: came.append(total) and None)))
        asked.start()
        wait.until(lambda: came and came[-1] == 2 * MIB - 64 * KIB, "all but the last block")
        self.assertTrue(asked.is_alive())
        gate.set()
        asked.join()
        self.assertEqual((came[-1].status, came[-1].digest), (206, self.content.slice_digest(blob.digest, 6 * MIB, 8 * MIB - 1)))
        self.expect_cached(blob)

    def test_a_wrong_byte_there_is_nobodys_complete_blob(self):
        blob, gate = self.content.make(8 * MIB, "wrong"), self.make_gate()
        self.upstream.on("GET", blob.digest, quirks.stall(MIB, gate), to_ranges=False)
        self.upstream.on("GET", blob.digest, quirks.flip(5 * MIB), to_ranges=True)
        ranged = {"Range": f"bytes={5 * MIB}-{6 * MIB - 1}"}
        inside = client.Client(self.entrepot.url).get(self.target(blob), headers=ranged)
        self.assertIn("detail=unverified", inside.cache_status)
        replies = []
        readers = [threading.Thread(target=lambda: replies.append(self.client.get(self.target(blob)))) for _ in range(3)]
        for reader in readers:
            reader.start()
        gate.set()
        for reader in readers:
            reader.join()
        self.assertEqual([reply.complete and reply.status == 200 for reply in replies], [False] * 3)
        self.upstream.behave()
        self.assertEqual(self.client.get(self.target(blob)).digest, blob.digest)

    def test_where_ranges_are_refused_it_comes_with_the_rest(self):
        for status in (200, 416):
            with self.subTest(status):
                blob = self.content.make(8 * MIB, f"refused {status}")
                refusal = quirks.ignore_range() if status == 200 else quirks.refuse_range(status)
                self.upstream.on("GET", blob.digest, refusal, to_ranges=True)
                self.get(blob, 6 * MIB, 7 * MIB - 1)
                self.expect_cached(blob)

    def test_through_kill_9_only_the_beginning_is_gone_on_with(self):
        blob, gate = self.content.make(40 * MIB, "killed"), self.make_gate()
        self.upstream.on("GET", blob.digest, quirks.stall(3 * MIB, gate), to_ranges=False)
        self.get(blob, 30 * MIB, 31 * MIB - 1)
        self.entrepot.restart("kill")
        self.upstream.behave()
        self.client = self.entrepot.client()
        self.assertEqual(self.client.get(self.target(blob)).digest, blob.digest)
        self.expect_cached(blob)
