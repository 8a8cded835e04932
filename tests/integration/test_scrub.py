"""The scrub: what was damaged on disk is found, dropped, and fetched again, unasked."""

import os
import shutil

from harness import case, wait
from harness.client import at_once

COUNT = int(os.environ.get("ENTREPOT_TEST_DAMAGED", "200"))
KIB = 1 << 10


def flip(path):
    with open(path, "r+b") as file:
        file.seek(path.stat().st_size // 2)
        byte = file.read(1)
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([byte[0] ^ 1]))


def zero_page(path):
    with open(path, "r+b") as file:
        file.write(bytes(min(4096, path.stat().st_size)))


def become(make):
    return lambda path: (path.unlink(), make(path))


DAMAGES = {
    "a bit": flip,
    "a page of zeros": zero_page,
    "all zeros": lambda path: path.write_bytes(bytes(path.stat().st_size)),
    "empty": lambda path: os.truncate(path, 0),
    "a byte short": lambda path: os.truncate(path, path.stat().st_size - 1),
    "a byte more": lambda path: path.open("ab").write(b"x"),
    "gone": lambda path: path.unlink(),
    "a link": become(lambda path: path.symlink_to("/etc/passwd")),
    "a pipe": become(os.mkfifo),
    "a directory": become(lambda path: path.mkdir()),
}


class ScrubCase(case.TestCase):
    def setUp(self):
        super().setUp()
        self.upstream = self.make_upstream()
        self.hut = self.store.image("hut")
        self.upstream.tag("library/hut", self.hut)

    def start(self):
        return self.make_entrepot(self.hub(self.upstream.url))

    def path(self, digest: str):
        algorithm, hex_digest = digest.split(":")
        return self.scratch / "entrepot/cache/blobs" / algorithm / hex_digest[:2] / hex_digest

    def restart(self, proxy, damage, **settings):
        """With the scrub on, after the damage was done."""
        proxy.stop()
        damage()
        proxy.set_key("cache.scrub_rate", "1GiB/s")
        for key, value in settings.items():
            proxy.set_key(key.replace("__", "."), value)
        self.upstream.forget()
        proxy.start()

    def wait_for(self, proxy, found: int, healed: int):
        wait.until(lambda: proxy.metric("entrepot_scrub_passes_total") == 1, "the scrub to have seen all", 120)
        self.assertEqual(proxy.metric("entrepot_scrub_damaged_total"), found)
        wait.until(lambda: proxy.metric("entrepot_scrub_healed_total", result="healed") == healed, "all to be healed", 60 + COUNT / 10)
        self.assertEqual(proxy.metric("entrepot_scrub_healed_total", result="failed"), 0)


class ScrubTest(ScrubCase):
    def test_all_of_many_is_found_and_healed(self):
        blobs = [self.content.make(4 * KIB + 61 * number, number) for number in range(COUNT)]
        blobs.append(self.content.make(5 * KIB * KIB, "large"))
        sound = [self.content.make(20 * KIB, f"sound {number}") for number in range(20)]
        proxy = self.start()
        fetch = lambda blob: self.assertEqual(proxy.client().get(f"/v2/library/hut/blobs/{blob.digest}").digest, blob.digest)  # noqa: E731
        for begin in range(0, len(blobs), 20):
            at_once([lambda blob=blob: fetch(blob) for blob in blobs[begin:begin + 20]])
        at_once([lambda blob=blob: fetch(blob) for blob in sound])
        proxy.wait_committed([blob.digest for blob in (*blobs, *sound)])

        def damage():
            damages = list(DAMAGES.values())
            for number, blob in enumerate(blobs):
                damages[number % len(damages)](self.path(blob.digest))
        self.restart(proxy, damage)
        self.wait_for(proxy, len(blobs), len(blobs))
        asked = sorted(seen.path.rsplit("/", 1)[1] for seen in self.upstream.seen("GET"))
        self.assertEqual(asked, sorted(blob.digest for blob in blobs), "each once, and nothing else")
        self.upstream.stop_listening()
        for blob in (*blobs, *sound):
            reply = proxy.client().get(f"/v2/library/hut/blobs/{blob.digest}")
            self.assertEqual(reply.digest, blob.digest)
            self.assert_hit(reply)

    @case.short
    def test_an_image_of_which_everything_is_damaged(self):
        proxy = self.start()
        self.pull_everything(proxy.client(), "library/hut", self.hut)
        proxy.wait_committed(self.hut.digests)
        self.restart(proxy, lambda: [flip(self.path(digest)) for digest in self.hut.digests])
        self.wait_for(proxy, len(self.hut.digests), len(self.hut.digests))
        self.upstream.stop_listening()
        self.pull_everything(proxy.client(), "library/hut", self.hut)

    def test_with_nobody_to_ask_what_is_damaged_is_not_served(self):
        proxy = self.start()
        self.pull_everything(proxy.client(), "library/hut", self.hut)
        proxy.wait_committed(self.hut.digests)
        damaged, sound = self.hut.layers[0].digest, self.hut.root.digest
        self.restart(proxy, lambda: flip(self.path(damaged)), cache__offline=True)
        wait.until(lambda: proxy.metric("entrepot_scrub_passes_total") == 1, "the scrub to have seen all")
        wait.until(lambda: proxy.client().get(f"/v2/library/hut/blobs/{damaged}").status == 404, "it to be dropped")
        self.assertEqual(proxy.client().get(f"/v2/library/hut/manifests/{sound}").digest, sound)
        self.assertEqual(self.upstream.seen(), [])

    def test_what_cannot_be_healed_is_left_to_who_asks(self):
        proxy = self.start()
        self.pull_everything(proxy.client(), "library/hut", self.hut)
        proxy.wait_committed(self.hut.digests)
        damaged = self.hut.layers[0].digest
        self.upstream.stop_listening()
        self.restart(proxy, lambda: flip(self.path(damaged)))
        wait.until(lambda: proxy.metric("entrepot_scrub_healed_total", result="failed") == 1, "it to be given up", 120)
        self.assertIn("could not be fetched again", proxy.log())
        self.upstream.listen_again()
        wait.until(lambda: proxy.client().get(f"/v2/library/hut/blobs/{damaged}").digest == damaged, "it to be fetched", 60)

    def test_a_sound_cache_is_left_alone(self):
        proxy = self.start()
        self.pull_everything(proxy.client(), "library/hut", self.hut)
        proxy.wait_committed(self.hut.digests)
        self.restart(proxy, lambda: None)
        self.wait_for(proxy, 0, 0)
        size = sum(self.path(digest).stat().st_size for digest in self.hut.digests)
        # The youngest are looked at twice: first, and in their turn.
        self.assertEqual(proxy.metric("entrepot_scrub_bytes_total"), 2 * size)
        self.assertEqual(self.upstream.seen(), [])


class LostIndexTest(ScrubCase):
    """`index/` is gone: the start looks at names alone, and nothing is given before it was hashed."""

    def lose_index(self, scrub_rate: str, *damaged: str, **settings):
        """A proxy that has the image, whose index is gone and these of whose blobs are damaged."""
        proxy = self.start()
        self.pull_everything(proxy.client(), "library/hut", self.hut)
        proxy.wait_committed(self.hut.digests)

        def damage():
            shutil.rmtree(proxy.cache / "index")
            for digest in damaged:
                flip(self.path(digest))
        self.restart(proxy, damage, cache__scrub_rate=scrub_rate, **settings)
        return proxy

    def get(self, proxy, blob):
        reply = proxy.client().get(f"/v2/library/hut/blobs/{blob.digest}")
        self.assertEqual((reply.status, reply.digest), (200, blob.digest))
        return reply

    @case.short
    def test_it_is_made_anew_while_clients_are_served(self):
        """With no scrub: nothing is hashed but what somebody asks for."""
        first, second, *sound = self.hut.blobs
        proxy = self.lose_index("0B/s", first.digest, second.digest)
        for blob in sound:
            self.assert_hit(self.get(proxy, blob))
        self.assert_miss(self.get(proxy, first))
        for how in ("kill", "stop"):
            proxy.wait_committed([first.digest])
            proxy.restart(how)
        self.assert_miss(self.get(proxy, second))
        self.assertEqual([seen.path.rsplit("/", 1)[1] for seen in self.upstream.seen("GET")], [first.digest, second.digest])

    def test_offline(self):
        damaged, *sound = self.hut.blobs
        proxy = self.lose_index("0B/s", damaged.digest, cache__offline=True)
        for blob in sound:
            self.assert_hit(self.get(proxy, blob))
        by_tag = proxy.client().get(f"/v2/library/hut/manifests/{self.hut.tag}")
        self.assertEqual(by_tag.digest, self.hut.root.digest)
        self.assertEqual(proxy.client().get(f"/v2/library/hut/blobs/{damaged.digest}").status, 404)
        self.assertEqual(self.upstream.seen(), [])

    def test_what_is_damaged_is_healed_unasked(self):
        damaged = [blob.digest for blob in self.hut.blobs]
        proxy = self.lose_index("1GiB/s", *damaged)
        self.wait_for(proxy, len(damaged), len(damaged))
        wait.until(lambda: "everything that the rebuild of the index has found has been hashed" in proxy.log(), "it to say so")
        self.upstream.stop_listening()
        self.pull_everything(proxy.client(), "library/hut", self.hut)
