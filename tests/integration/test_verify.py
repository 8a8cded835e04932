"""entrepot verify: what is damaged is found and, with --repair, mended; what is sound is left alone."""

import json
import os
import pathlib
import shutil
import threading

from harness import case, wait
from harness.cache_reader import CacheReader
from harness.content import digest_of, noise

KIB = 1 << 10


@case.short
class VerifyTest(case.TestCase):
    def setUp(self):
        super().setUp()
        self.hut = self.store.image("hut")
        self.upstream = self.make_upstream()
        self.upstream.tag("library/hut", self.hut)

    def start(self, **settings):
        self.proxy = self.make_entrepot(self.hub(self.upstream.url), **settings)
        self.pull()
        self.proxy.wait_committed(self.hut.digests)

    def pull(self):
        return self.pull_everything(self.proxy.client(), "library/hut", self.hut)

    def file(self, digest: str) -> pathlib.Path:
        algorithm, value = digest.split(":")
        return self.proxy.cache / "blobs" / algorithm / value[:2] / value

    def add_file(self, data: bytes, digest: str = "") -> str:
        """As if the index had lost it."""
        digest = digest or digest_of(data)
        self.file(digest).parent.mkdir(parents=True, exist_ok=True)
        self.file(digest).write_bytes(data)
        return digest

    def damage(self) -> set[str]:
        """In each way another one."""
        def flip(path: pathlib.Path):
            data = bytearray(path.read_bytes())
            data[len(data) // 2] ^= 1
            path.write_bytes(data)

        ways = (flip, lambda path: os.truncate(path, 0), lambda path: os.truncate(path, path.stat().st_size - 1),
                lambda path: path.write_bytes(bytes(path.stat().st_size)), pathlib.Path.unlink)
        for way, digest in zip(ways, self.hut.digests):
            way(self.file(digest))
        return set(self.hut.digests[:len(ways)])

    def verify(self, *arguments, code: int = 0) -> dict:
        ended = self.proxy.run("verify", "--json", *arguments)
        self.assertEqual(ended.returncode, code, ended.stdout + ended.stderr)
        return json.loads(ended.stdout)

    def expect_sound(self):
        told = self.verify()
        self.assertEqual((told["checked"], told["damaged"], told["unreadable"], told["unknown"]), (len(self.hut.digests), 0, 0, 0))
        self.assertEqual(told["bytes"], sum(self.content.size(digest) for digest in self.hut.digests))

    def test_what_is_sound(self):
        self.start()
        self.expect_sound()
        self.assertIn(f"{len(self.hut.digests)} blobs", self.proxy.run("verify").stdout)
        self.verify("--repair")
        for reply in self.pull()[1:]:
            self.assert_hit(reply)
        self.proxy.stop()
        self.expect_sound()

    def test_damage_is_found_and_only_told(self):
        self.start()
        damaged = self.damage()
        for stop in (lambda: None, self.proxy.stop):
            stop()
            told = self.verify(code=1)
            self.assertEqual(told["damaged"], len(damaged))
            self.assertEqual({problem["digest"] for problem in told["problems"]}, damaged)
            text = self.proxy.run("verify").stdout
            for digest in damaged:
                self.assertIn(f"{digest}: it", text)
        self.assertEqual(self.proxy.tell("stats")["blobs"], len(self.hut.digests))

    def test_a_cache_that_is_served_is_mended(self):
        """Unasked: it is fetched again, and nothing else."""
        self.start()
        damaged = self.damage()
        self.upstream.forget()
        self.assertEqual(self.verify("--repair")["damaged"], len(damaged))
        wait.until(lambda: all(self.proxy.state(digest) == "committed" for digest in self.hut.digests), "what was damaged to be fetched again")
        self.assertEqual(len(self.upstream.seen("GET")), len(damaged))
        self.expect_sound()
        self.upstream.stop_listening()
        for reply in self.pull()[1:]:
            self.assert_hit(reply)

    def test_a_cache_that_is_not_served_is_mended(self):
        self.start()
        damaged = self.damage()
        self.proxy.stop()
        self.assertEqual(self.verify("--repair")["damaged"], len(damaged))
        told = self.verify()
        self.assertEqual((told["checked"], told["damaged"]), (len(self.hut.digests) - len(damaged), 0))
        CacheReader(self.proxy.cache).check_files()
        self.proxy.start()
        self.pull()
        self.proxy.wait_committed(self.hut.digests)
        self.expect_sound()

    def test_files_that_the_index_does_not_know(self):
        """As after an older index was put back: what is right is taken in, what is wrong is removed, what is none of ours is left."""
        self.start()
        right = self.add_file(noise(100 * KIB, "right"))
        wrong = self.add_file(b"wrong", digest_of(b"something else"))
        foreign = self.file(right).parent / "notes.txt"
        foreign.write_text("not ours")
        told = self.verify(code=1)
        self.assertEqual((told["unknown"], told["foreign"], told["foreign_files"] != []), (2, 1, True))
        used = self.proxy.tell("stats")["used_bytes"]
        self.assertEqual(self.verify("--repair")["unknown"], 2)
        self.assertFalse(self.file(wrong).exists())
        self.assertTrue(self.file(right).exists() and foreign.exists())
        self.assertGreaterEqual(self.proxy.tell("stats")["used_bytes"], used + 100 * KIB)
        self.proxy.restart("kill")
        self.assertEqual((self.verify()["checked"], self.verify()["unknown"]), (len(self.hut.digests) + 1, 0))
        self.proxy.stop()
        foreign.unlink()
        CacheReader(self.proxy.cache).check_files()

    def test_an_older_index_put_back(self):
        self.start()
        self.proxy.stop()
        shutil.copytree(self.proxy.cache / "index", self.scratch / "older")
        self.proxy.start()
        blob = self.content.make(300 * KIB, "newer")
        self.assertEqual(self.proxy.client().get(f"/v2/library/hut/blobs/{blob.digest}").status, 200)
        self.proxy.wait_committed([blob.digest])
        self.proxy.stop()
        shutil.rmtree(self.proxy.cache / "index")
        shutil.copytree(self.scratch / "older", self.proxy.cache / "index")
        self.assertEqual(self.verify("--repair")["unknown"], 1)
        CacheReader(self.proxy.cache).check_files()
        self.proxy.start()
        for reply in self.pull()[1:]:
            self.assert_hit(reply)
        self.assertEqual(self.proxy.client().get(f"/v2/library/hut/blobs/{blob.digest}").status, 200)

    def test_a_new_index(self):
        self.start()
        images = self.proxy.images()
        self.assertEqual(self.proxy.run("verify", "--rebuild").returncode, 1, "not under a daemon's hands")
        self.proxy.stop()
        (self.proxy.cache / "index/data.mdb").write_bytes(b"nonsense" * 4096)
        os.truncate(self.file(self.hut.blobs[0].digest), 1)
        told = self.verify("--rebuild")
        self.assertEqual((told["checked"], told["damaged"]), (len(self.hut.digests), 1))
        self.assertFalse(self.file(self.hut.blobs[0].digest).exists())
        self.assertEqual(list(self.proxy.images()), list(images))
        self.proxy.start()
        self.pull()

    def test_while_much_happens(self):
        """Blobs come and go by eviction under it, and it finds no damage that is none."""
        self.start(cache__max_size="4MiB")
        stop, wrong = threading.Event(), []

        def pull(number: int):
            count = 0
            while not stop.is_set():
                blob = self.content.make(100 * KIB, f"{number} {count}")
                count += 1
                reply = self.proxy.client().get(f"/v2/library/hut/blobs/{blob.digest}")
                if (reply.status, reply.digest) != (200, blob.digest):
                    wrong.append(reply)
        threads = [threading.Thread(target=pull, args=(number,)) for number in range(2)]
        for thread in threads:
            thread.start()
        try:
            for round in range(10):
                told = self.verify(*(["--repair"] if round % 2 else []))
                self.assertEqual((told["damaged"], told["unreadable"], told["foreign"]), (0, 0, 0), told)
        finally:
            stop.set()
            for thread in threads:
                thread.join()
        self.assertEqual(wrong, [])
        self.proxy.stop()
        CacheReader(self.proxy.cache).check_files()
