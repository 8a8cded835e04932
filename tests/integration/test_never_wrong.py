"""The first promise: no complete answer holds, or belongs to, an object that is not what it was asked by. One flipped byte
anywhere, in every framing, however it was asked for."""

import json
import os

from harness import answers, case, quirks
from harness.content import OCTETS, digest_of, noise
from harness.crowd import Crowd

KIB, MIB = 1 << 10, 1 << 20
SIZES = [1, 64 * KIB - 1, 64 * KIB, 64 * KIB + 1, MIB]
if int(os.environ.get("ENTREPOT_TEST_BLOB_MIB", "32")) >= 256:
    SIZES.append(256 * MIB)
SMALL = 64 * KIB   # up to this size a blob is verified before its head is sent
FRAMINGS = {"length": (), "chunked": (quirks.chunked(),), "until close": (quirks.until_close("HTTP/1.1"),),
            "HTTP/1.0": (quirks.http_1_0(),), "HTTP/1.0 until close": (quirks.until_close("HTTP/1.0"),)}


def flips(size: int) -> list[int]:
    return sorted({0, size // 2, size - 1})


def requests(size: int) -> list[str | None]:
    """Ranges that reach the end, in every way to say so; and everything."""
    half = size // 2
    return list(dict.fromkeys((None, "bytes=-1", f"bytes=-{size - half}", "bytes=0-", f"bytes={half}-",
                               f"bytes={half}-{size - 1}", f"bytes=0-{size * 2}")))


class NeverWrongCase(case.TestCase):
    def setUp(self):
        super().setUp()
        self.upstream = self.make_upstream()
        self.entrepot = self.make_entrepot(self.hub(self.upstream.url))
        self._made = 0

    def make(self, size: int):
        """A blob that this test has not had before. Of one byte there are 256."""
        self._made += 1
        return self.content.add(bytes([self._made])) if size == 1 else self.content.make(size, self._made)

    def get(self, blob, asked: str | None = None, **options):
        headers = {"Range": asked} if asked else {}
        return self.entrepot.client().get(f"/v2/library/wrong/blobs/{blob.digest}", headers=headers, **options)

    def expect_nothing(self, blob, reply):
        """Not answered, and not kept."""
        self.assertFalse(reply.complete and reply.status in (200, 206), f"{reply.status}, {reply.size} bytes, {reply.headers}")
        self.expect_not_kept(blob.digest)

    def expect_not_kept(self, digest: str):
        # A fill is forgotten by its own time.
        self.assertNotEqual(self.entrepot.state(digest), "committed")
        self.assertEqual(list((self.entrepot.cache / "blobs").rglob(digest.split(":")[1])), [])

    def expect_right(self, blob, asked: str | None = None):
        reply = self.get(blob, asked)
        self.assertEqual((reply.status in (200, 206), reply.error), (True, ""), reply.headers)
        if reply.status == 200:
            self.assertEqual(reply.digest, blob.digest)
        else:
            first, last = map(int, reply.header("Content-Range").removeprefix("bytes ").split("/")[0].split("-"))
            self.assertEqual(reply.digest, self.content.slice_digest(blob.digest, first, last))
        return reply


class FlippedTest(NeverWrongCase):
    def flipped(self, size: int, framings):
        for framing in framings:
            for at in flips(size):
                for asked in requests(size)[:7 if size <= MIB else 3]:
                    with self.subTest(size=size, framing=framing, at=at, asked=asked):
                        blob = self.make(size)
                        self.upstream.on("GET", blob.digest, *FRAMINGS[framing], quirks.flip(at))
                        self.expect_nothing(blob, self.get(blob, asked))
                        self.upstream.behave()
                        self.expect_right(blob, asked)
                        if asked is None:
                            self.entrepot.wait_committed([blob.digest])  # the control: what is right is kept
                        self.content.drop(blob)

    def test_with_a_length(self):
        for size in SIZES:
            self.flipped(size, ["length"])

    def test_chunked(self):
        for size in SIZES:
            self.flipped(size, ["chunked"])

    def test_until_the_connection_closes(self):
        for size in SIZES:
            self.flipped(size, ["until close", "HTTP/1.0 until close"])

    def test_http_1_0_with_a_length(self):
        for size in SIZES:
            self.flipped(size, ["HTTP/1.0"])

    @case.short
    def test_the_empty_blob_with_a_byte_too_many(self):
        for framing, framing_quirks in FRAMINGS.items():
            for asked in (None, "bytes=0-", "bytes=-1"):
                with self.subTest(framing=framing, asked=asked):
                    empty = self.content.add(b"")
                    too_many = quirks.instead(lambda: answers.with_body(200, OCTETS, b"x"))
                    self.upstream.on("GET", empty.digest, too_many, *framing_quirks)
                    self.expect_nothing(empty, self.get(empty, asked))
                    self.upstream.behave()
        self.expect_right(empty)

    def test_more_and_less_than_the_whole(self):
        """Bytes behind the end, or missing there, in every framing."""
        for size in SIZES[:5]:
            data = noise(size, "more and less")
            for name, sent in (("more", data + b"x"), ("less", data[:-1])):
                for framing, framing_quirks in FRAMINGS.items():
                    with self.subTest(size=size, name=name, framing=framing):
                        blob = self.content.add(data)
                        other = quirks.instead(lambda: answers.with_body(200, OCTETS, sent))
                        self.upstream.on("GET", blob.digest, other, *framing_quirks)
                        self.expect_nothing(blob, self.get(blob))
                        self.upstream.behave()
            self.expect_right(blob)

    @case.short
    def test_in_the_range_that_resumes(self):
        """The first half comes right; the wrong byte is in what is fetched by Range afterwards."""
        for size in SIZES[1:5]:
            for at in (size // 2, size - 1):
                with self.subTest(size=size, at=at):
                    blob = self.make(size)
                    self.upstream.on("GET", blob.digest, quirks.cut(size // 2), times=1, to_ranges=False)
                    self.upstream.on("GET", blob.digest, quirks.flip(at))
                    self.expect_nothing(blob, self.get(blob))
                    self.upstream.behave()
                    self.expect_right(blob)

    def test_what_is_no_blob(self):
        layer = self.store.image("hut").layers[0]
        for name, quirk in (("html", quirks.html()), ("gzip", quirks.gzip_encoded()), ("503", quirks.failing(503)),
                            ("short", quirks.claim_length(layer.size - 1)), ("206", quirks.partial_unasked())):
            with self.subTest(name):
                self.upstream.behave()
                self.upstream.on("GET", layer.digest, quirk)
                reply = self.get(layer)
                if name != "206":  # which may be believed when it says that it is the whole
                    self.expect_nothing(layer, reply)

    def test_a_wrong_byte_for_many_clients(self):
        """Ranges among them: what is inside may come early, what reaches the end may not come at all."""
        size = 4 * MIB
        for at in flips(size):
            with self.subTest(at=at):
                blob = self.make(size)
                self.upstream.on("GET", blob.digest, quirks.flip(at))
                asked = requests(size) * 4
                replies = Crowd([lambda on_bytes, a=a: self.get(blob, a, on_bytes=on_bytes) for a in asked]).wait_ended()
                for reply in replies:
                    self.expect_nothing(blob, reply)


class MirrorTest(NeverWrongCase):
    """The url gives wrong bytes, its mirror the right ones."""

    def setUp(self):
        super().setUp()
        self.entrepot.finish()
        self.mirror = self.make_upstream()
        self.entrepot = self.make_entrepot(self.hub(self.upstream.url, mirrors=[self.mirror.url]), name="mirrored")

    @case.short
    def test_a_right_mirror_mends_it(self):
        for size in SIZES[:5]:
            for at in flips(size):
                for asked in (None, "bytes=-1", f"bytes={size // 2}-"):
                    with self.subTest(size=size, at=at, asked=asked):
                        blob = self.make(size)
                        self.upstream.on("GET", blob.digest, quirks.flip(at))
                        first = self.get(blob, asked)
                        if size <= SMALL:
                            self.assertIn((first.status, first.complete), ((200, True), (206, True)))
                        reply = self.expect_right(blob, asked)
                        if asked is None:
                            self.assertEqual(reply.status, 200)
                        self.assertTrue(self.mirror.seen("GET", blob.digest))

    def test_both_wrong(self):
        for size in SIZES[:5]:
            with self.subTest(size=size):
                blob = self.make(size)
                self.upstream.on("GET", blob.digest, quirks.flip(0))
                self.mirror.on("GET", blob.digest, quirks.flip(-1))
                for _ in range(2):
                    self.expect_nothing(blob, self.get(blob))
                self.mirror.behave()
                # The url is still wrong, so a first answer may be cut. But the one that is right must get its turn.
                replies = [self.get(blob) for _ in range(3)]
                self.assertIn((200, blob.digest, ""), [(r.status, r.digest, r.error) for r in replies])

    def test_a_wrong_mirror_is_not_asked_while_the_url_answers(self):
        blob = self.make(MIB)
        self.mirror.on("GET", blob.digest, quirks.flip(0))
        self.expect_right(blob)
        self.assertEqual(self.mirror.seen(), [])

    def test_the_mirror_steps_in_for_a_cut(self):
        """The url breaks for good in the middle: the mirror gives the rest."""
        blob = self.make(2 * MIB)
        self.upstream.on("GET", blob.digest, quirks.cut(MIB), times=1)
        self.upstream.on("GET", blob.digest, quirks.hang_up(), to_ranges=True)
        self.assertEqual(self.expect_right(blob).status, 200)
        rest, = self.mirror.seen("GET", blob.digest)
        self.assertEqual(rest.header("Range"), f"bytes={MIB}-")

    def test_the_mirror_gives_a_wrong_rest(self):
        blob = self.make(2 * MIB)
        self.upstream.on("GET", blob.digest, quirks.cut(MIB), times=1)
        self.upstream.on("GET", blob.digest, quirks.hang_up(), to_ranges=True)
        self.mirror.on("GET", blob.digest, quirks.flip(-1))
        self.expect_nothing(blob, self.get(blob))
        self.upstream.behave()
        self.expect_right(blob)

    def test_manifests(self):
        hut = self.store.image("hut")
        self.upstream.tag("library/wrong", hut)
        self.mirror.tag("library/wrong", hut)
        self.upstream.on("GET", "/manifests/", quirks.flip(20))
        for reference, wanted in (("latest", hut.root), (hut.root.digest, hut.root), (hut.manifest.digest, hut.manifest)):
            with self.subTest(reference):
                reply = self.entrepot.client().get(f"/v2/library/wrong/manifests/{reference}")
                self.assertEqual((reply.status, reply.digest), (200, wanted.digest))


class ManifestTest(NeverWrongCase):
    @case.short
    def test_flipped(self):
        """By digest and by tag, at every place."""
        for number, at in enumerate((0, 20, -1)):
            for by_tag in (False, True):
                with self.subTest(at=at, by_tag=by_tag):
                    document = json.dumps({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json",
                                           "manifests": [], "annotations": {"number": f"{number} {by_tag}"}}).encode()
                    manifest = self.content.add(document, "application/vnd.oci.image.index.v1+json")
                    self.upstream.tag_digest("library/wrong", f"tag{number}", manifest.digest)
                    target = f"/v2/library/wrong/manifests/{f'tag{number}' if by_tag else manifest.digest}"
                    self.upstream.on("GET", "/manifests/", quirks.flip(at))
                    reply = self.entrepot.client().get(target)
                    self.assertGreaterEqual(reply.status, 500, reply.body)
                    self.expect_not_kept(manifest.digest)
                    self.expect_not_kept(digest_of(reply.body or b""))
                    self.upstream.behave()
                    reply = self.entrepot.client().get(target)
                    self.assertEqual((reply.status, reply.digest), (200, manifest.digest))

    def test_a_tag_whose_answer_claims_another_digest(self):
        hut = self.store.image("hut")
        self.upstream.tag("library/wrong", hut)
        self.upstream.on("*", "/manifests/", quirks.add_header("Docker-Content-Digest", "sha256:" + "0" * 64))
        reply = self.entrepot.client().get("/v2/library/wrong/manifests/latest")
        self.assertFalse(reply.status == 200 and reply.header("Docker-Content-Digest") != hut.root.digest)
