"""Ranges and conditions: on what is cached, on what is being fetched, on what is not there yet."""

import re

from harness import case, quirks, wait
from harness.crowd import Crowd

KIB, MIB = 1 << 10, 1 << 20


def parts_of(reply) -> list[tuple[int, int, int, bytes]]:
    """The parts of a multipart/byteranges body (RFC 2046): first, last, size of the whole, bytes."""
    kind, boundary = re.match(r"(multipart/byteranges); boundary=(\S+)$", reply.header("Content-Type")).groups()
    *pieces, end = reply.body.split(b"--" + boundary.encode())
    assert kind and end == b"--\r\n" and pieces[0] == b"", (end, pieces[0])
    parts = []
    for piece in pieces[1:]:
        head, body = piece.removeprefix(b"\r\n").split(b"\r\n\r\n", 1)
        fields = dict(line.split(": ", 1) for line in head.decode().split("\r\n"))
        first, last, total = map(int, re.match(r"bytes (\d+)-(\d+)/(\d+)$", fields["Content-Range"]).groups())
        assert fields["Content-Type"] == "application/octet-stream"
        parts.append((first, last, total, body.removesuffix(b"\r\n")))
    return parts


class RangesTest(case.OneUpstream):
    SIZES = [1000, 64 * KIB, 3 * MIB]   # from memory, the largest that is, from the file

    def target(self, blob) -> str:
        return f"/v2/library/ranges/blobs/{blob.digest}"

    def get(self, blob, asked: str, **headers):
        return self.client.get(self.target(blob), headers={"Range": asked, **headers}, keep_body=True)

    def bytes_of(self, blob) -> bytes:
        return b"".join(self.content.chunks(blob.digest, 0, blob.size - 1))

    def cached(self, size: int):
        blob = self.content.make(size, "ranges")
        for _ in range(2):   # the second is asked of what is kept in memory
            self.assertEqual(self.client.get(self.target(blob)).digest, blob.digest)
        self.entrepot.wait_committed([blob.digest])
        return blob

    def expect_parts(self, blob, reply, spans):
        data = self.bytes_of(blob)
        self.assertEqual((reply.status, reply.error), (206, ""))
        self.assertEqual(reply.header("Content-Length"), str(reply.size))
        self.assertEqual(parts_of(reply), [(first, last, blob.size, data[first:last + 1]) for first, last in spans])

    @case.short
    def test_several_ranges_of_what_is_cached(self):
        for size in self.SIZES:
            with self.subTest(size=size):
                blob = self.cached(size)
                last = size - 1
                self.expect_parts(blob, self.get(blob, "bytes=0-0,2-2"), [(0, 0), (2, 2)])
                self.expect_parts(blob, self.get(blob, "bytes=-5, 10-19, 0-3"), [(size - 5, last), (10, 19), (0, 3)])
                self.expect_parts(blob, self.get(blob, f"bytes={size // 2}-{size * 3},1-1"), [(size // 2, last), (1, 1)])
                only = self.get(blob, f"bytes=3-4,{size}-")
                self.assertEqual((only.status, only.header("Content-Range")), (206, f"bytes 3-4/{size}"))
                self.assertEqual(self.get(blob, f"bytes={size}-,{size + 9}-").status, 416)

    def test_as_many_as_zstd_chunked_asks_for(self):
        blob = self.cached(3 * MIB)
        spans = [(n * 3000, n * 3000 + 99) for n in range(1024)]
        asked = "bytes=" + ",".join(f"{first}-{last}" for first, last in spans)
        self.expect_parts(blob, self.get(blob, asked), spans)
        too_many = self.get(blob, asked + ",5-5")
        self.assertEqual(too_many.status, 400)
        self.assertIn("1024 ranges", too_many.json()["errors"][0]["message"])
        self.assertEqual(self.client.get(self.target(blob)).digest, blob.digest)

    def test_overlapping_ranges_give_the_whole(self):
        blob = self.cached(64 * KIB)
        reply = self.get(blob, "bytes=" + ",".join(["0-"] * 1000))
        self.assertEqual((reply.status, reply.digest), (200, blob.digest))

    @case.short
    def test_several_ranges_of_a_cold_blob(self):
        """R11."""
        for size in self.SIZES:
            with self.subTest(size=size):
                blob = self.content.make(size, "cold")
                reply = self.get(blob, f"bytes=5-9,{size - 3}-{size - 1},0-0")
                self.expect_parts(blob, reply, [(5, 9), (size - 3, size - 1), (0, 0)])
                self.entrepot.wait_committed([blob.digest])
                # The end may be asked for beside the rest.
                self.assertLessEqual(len(self.upstream.seen("GET", blob.digest)), 2)

    def test_several_ranges_of_a_wrong_blob(self):
        """What reaches the end is never complete, in whatever order it was asked for; what is inside says what it is."""
        size = 3 * MIB
        for asked in (f"bytes=0-9,{size - 5}-", f"bytes=-5,0-9", f"bytes=0-9,100-199"):
            with self.subTest(asked):
                blob = self.content.make(size, asked)
                self.upstream.behave()
                self.upstream.on("GET", blob.digest, quirks.flip(size // 2))
                reply = self.get(blob, asked)
                if "199" in asked:
                    self.assertEqual(reply.status, 206)
                    self.assertIn("detail=unverified", reply.cache_status)
                else:
                    self.assertFalse(reply.complete and reply.status == 206)

    def test_several_ranges_past_the_cache(self):
        """A stream can't go back: it gives the whole, which is allowed; what is small is put together in memory."""
        self.entrepot.finish()
        self.entrepot = self.make_entrepot(self.hub(self.upstream.url), name="small", cache__max_size="32MiB",
                                           cache__min_free="0B")
        self.client = self.entrepot.client()
        blob = self.content.make(40 * MIB, "past")
        reply = self.client.get(self.target(blob), headers={"Range": "bytes=0-0,5-5"})
        self.assertEqual((reply.status, reply.digest, reply.cache_status), (200, blob.digest, "entrepot; fwd=bypass"))

    def test_if_range(self):
        for size in self.SIZES:
            blob = self.cached(size)
            for validator, status in ((f'"{blob.digest}"', 206), (f'W/"{blob.digest}"', 200), ('"other"', 200),
                                      ("Tue, 24 Nov 2026 10:00:00 GMT", 200)):
                with self.subTest(size=size, validator=validator):
                    reply = self.get(blob, "bytes=0-4", **{"If-Range": validator})
                    self.assertEqual((reply.status, reply.size), (status, 5 if status == 206 else size))

    @case.short
    def test_if_none_match(self):
        """R13, R15."""
        for size in self.SIZES:
            cached, cold = self.cached(size), self.content.make(size, "conditional and cold")
            for blob in (cached, cold):
                for value in (f'"{blob.digest}"', f'W/"{blob.digest}"', blob.digest, "*", f'"a", "b", "{blob.digest}"'):
                    with self.subTest(size=size, value=value, cold=blob is cold):
                        reply = self.client.get(self.target(blob), headers={"If-None-Match": value, "Range": "bytes=0-4"})
                        self.assertEqual((reply.status, reply.size), (304, 0))
                        self.assertEqual(reply.header("ETag"), f'"{blob.digest}"')
                reply = self.client.get(self.target(blob), headers={"If-None-Match": '"other"'})
                self.assertEqual((reply.status, reply.digest), (200, blob.digest))

    def test_a_condition_tells_nothing_to_whom_it_is_forbidden(self):
        """R17."""
        blob = self.cached(3 * MIB)
        self.upstream.on("*", "/v2/library/other/", quirks.failing(403, "DENIED"))
        reply = self.client.get(f"/v2/library/other/blobs/{blob.digest}", headers={"If-None-Match": f'"{blob.digest}"'})
        self.assertEqual(reply.status, 403)

    def test_without_unverified_ranges_each_waits_for_the_whole(self):
        for unverified in ("true", "false"):
            with self.subTest(unverified_ranges=unverified):
                entrepot = self.make_entrepot(self.hub(self.upstream.url), name=f"unverified-{unverified}",
                                              cache__unverified_ranges=unverified)
                blob, gate = self.content.make(2 * MIB, unverified), self.make_gate()
                self.upstream.on("GET", blob.digest, quirks.stall(MIB, gate))
                asked = Crowd([lambda on_bytes: entrepot.client().get(self.target(blob), headers={"Range": "bytes=0-9"},
                                                                       on_bytes=on_bytes)])
                if unverified == "true":
                    reply, = asked.wait_ended()   # while the upstream stalls
                    self.assertIn("detail=unverified", reply.cache_status)
                wait.until(lambda: self.upstream.seen("GET", blob.digest), "the fetch to begin")
                gate.set()
                reply, = asked.wait_ended()
                self.assertEqual((reply.status, reply.size), (206, 10))
                self.assertEqual("unverified" in reply.cache_status, unverified == "true")


class EvictedTest(case.OneUpstream):
    @case.short
    def test_what_was_evicted_between_two_ranges_is_fetched_again(self):
        """R19: the second half of a download, hours after the first."""
        entrepot = self.make_entrepot(self.hub(self.upstream.url), name="small", cache__max_size="32MiB")
        client = entrepot.client()
        blob = self.content.make(6 * MIB, "resumed")
        target, half = f"/v2/library/ranges/blobs/{blob.digest}", 3 * MIB
        first = client.get(target, headers={"Range": f"bytes=0-{half - 1}"}, keep_body=True)
        entrepot.wait_committed([blob.digest])
        for number in range(8):
            other = self.content.make(6 * MIB, f"other {number}")
            self.assertEqual(client.get(f"/v2/library/ranges/blobs/{other.digest}").digest, other.digest)
            entrepot.wait_committed([other.digest])
        self.assertEqual(entrepot.state(blob.digest), "absent")
        second = client.get(target, headers={"Range": f"bytes={half}-", "If-Range": f'"{blob.digest}"'}, keep_body=True)
        self.assertEqual((first.status, second.status), (206, 206))
        self.assertEqual(first.body + second.body, b"".join(self.content.chunks(blob.digest, 0, blob.size - 1)))


class HostTest(case.TestCase):
    @case.short
    def test_the_host_header_selects_an_upstream(self):
        hub, quay = self.make_upstream(), self.make_upstream()
        hub.tag("a/b", self.store.image("hut"))
        quay.tag("a/b", self.store.image("house"))
        entrepot = self.make_entrepot(self.hub(hub.url), {"name": "quay.io", "url": quay.url, "hosts": ["quay.mirror.test"],
                                                          "allow_private": ["127.0.0.0/8"]})
        wanted = {"quay.mirror.test": "house", "QUAY.mirror.test:5000": "house", "other.test": "hut"}
        for _ in range(2):   # asked, and from memory
            for host, image in wanted.items():
                with self.subTest(host):
                    reply = entrepot.client().get("/v2/a/b/manifests/latest", headers={"Host": host})
                    self.assertEqual((reply.status, reply.digest), (200, self.store.image(image).root.digest))
        reply = entrepot.client().get("/v2/a/b/manifests/latest?ns=docker.io", headers={"Host": "quay.mirror.test"})
        self.assertEqual(reply.digest, self.store.image("hut").root.digest)
        self.assertEqual(reply.header("OCI-Namespace"), "docker.io")
        for target in ("/v2/a/b/manifests/latest?ns=evil.test", "/v2/evil.test/a/manifests/x", "/v2/?ns=evil.test"):
            self.assertEqual(entrepot.client().get(target, headers={"Host": "quay.mirror.test"}).status, 404)
