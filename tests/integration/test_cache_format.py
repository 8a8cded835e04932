"""Caches that earlier versions wrote are still read: one of each format is kept in fixtures/.

A new one is made, when the format has changed, by

    ENTREPOT_MAKE_FIXTURE=cache-2 tests/integration/run.py test_make_a_fixture
"""

import os
import pathlib
import tarfile
import unittest

from harness import case, quirks, tiny
from harness.cache_reader import CacheReader
from harness.made_image import make_image, make_layer

FIXTURES = pathlib.Path(__file__).resolve().parent / "fixtures"


class CacheFormatTest(case.TestCase):
    def test_caches_of_all_formats_are_read(self):
        fixtures = sorted(FIXTURES.glob("cache-*.tar.gz"))
        self.assertTrue(fixtures, f"no cache in {FIXTURES}; how one is made stands at the top of this file")
        image, everything = tiny.contents()
        for fixture in fixtures:
            with self.subTest(fixture.name):
                name = fixture.name.removesuffix(".tar.gz")
                with tarfile.open(fixture) as tar:
                    tar.extractall(self.scratch / name / "unpacked")
                upstream = self.make_upstream()
                tiny.serve(upstream)
                entrepot = self.make_entrepot(self.hub(upstream.url), name=f"{name}-entrepot",
                                              cache__directory=str(self.scratch / name / "unpacked"))
                self.assertEqual({digest: entrepot.state(digest) for digest in image.digests},
                                 dict.fromkeys(image.digests, "committed"))
                for reply in self.pull_everything(entrepot.client(), tiny.REPOSITORY, image)[1:]:
                    self.assert_hit(reply)
                self.assertEqual([r.target for r in upstream.seen("GET")], [])

    def test_another_reader_agrees(self):
        """One that was written from docs/cache-format.md, of all that may be there: tags that moved and that are gone, manifests
        without a tag, index and platforms that nobody pulled, referrers, pins, what was evicted, what was purged."""
        upstream = self.make_upstream()
        tiny.serve(upstream)
        image, _ = tiny.contents()
        entrepot = self.make_entrepot(self.hub(upstream.url, tag_ttl="0s"), cache__max_size="4MiB")
        self.pull_everything(entrepot.client(), tiny.REPOSITORY, image)
        shared = make_layer(self.content, 40_000, "shared")
        for number in range(60):
            one = make_image(self.content, f"made {number}", [shared, make_layer(self.content, 60_000, number)], f"v{number}",
                             absent_platforms=number % 3)
            upstream.tag("library/made", one)
            self.pull_everything(entrepot.client(), "library/made", one)
            if number == 2:
                entrepot.tell("pin", f"made:v{number}")
                refers = make_image(self.content, "refers", [shared], subject=one.root)
                upstream.tag("library/made", refers)
                self.assertEqual(entrepot.client().get(f"/v2/library/made/manifests/{refers.root.digest}").status, 200)
                entrepot.tell("pin", "made:v2")
        upstream.on("*", "made/manifests/v58", quirks.failing(404, "MANIFEST_UNKNOWN"))
        self.assertEqual(entrepot.client().get("/v2/library/made/manifests/v58").status, 404)
        entrepot.tell("purge", "made:v59")
        listed = entrepot.images()
        entrepot.stop()
        reader = CacheReader(entrepot.cache)
        reader.check_files()
        self.assertEqual(reader.images(), {**listed, **entrepot.images()})
        self.assertEqual({True, False}, {image["pinned"] for image in listed.values()})
        self.assertTrue(any(image["media_type"] is None for image in listed.values()), "something was evicted")
        self.assertEqual(reader.referrers, {refers.root.digest})
        stats = entrepot.tell("stats")
        self.assertEqual((stats["blobs"], stats["manifests"], stats["links"]),
                         (len(reader.blobs), len(reader.manifests), len(reader.links)))
        self.assertEqual(stats["pinned_bytes"], sum(blob.disk_bytes for blob in reader.blobs.values() if blob.pins))

    @unittest.skipUnless(os.environ.get("ENTREPOT_MAKE_FIXTURE"), "makes a fixture, and only when asked to")
    def test_make_a_fixture(self):
        upstream = self.make_upstream()
        tiny.serve(upstream)
        entrepot = self.make_entrepot(self.hub(upstream.url))
        image, _ = tiny.contents()
        self.pull_everything(entrepot.client(), tiny.REPOSITORY, image)
        entrepot.wait_committed(image.digests)
        entrepot.stop()
        FIXTURES.mkdir(exist_ok=True)
        with tarfile.open(FIXTURES / f"{os.environ['ENTREPOT_MAKE_FIXTURE']}.tar.gz", "w:gz") as tar:
            for path in sorted(entrepot.cache.rglob("*")):
                if not path.is_socket():
                    tar.add(path, path.relative_to(entrepot.cache), recursive=False, filter=_anonymous)


def _anonymous(info: tarfile.TarInfo) -> tarfile.TarInfo:
    info.uid = info.gid = 0
    info.uname = info.gname = ""
    return info
