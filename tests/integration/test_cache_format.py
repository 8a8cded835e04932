"""Caches that earlier versions wrote are still read: one of each format is kept in fixtures/.

A new one is made, when the format has changed, by

    ENTREPOT_MAKE_FIXTURE=cache-2 tests/integration/run.py test_make_a_fixture
"""

import os
import pathlib
import tarfile
import unittest

from harness import case, tiny

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
