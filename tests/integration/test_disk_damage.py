"""What somebody or something has done to the files of the cache, and evictions under those who read. The scrub's part of it is in
test_scrub (F15, F24), a second process in test_restart (F19), a newer or older format in test_cache_format and the unit tests of the cache.

A32 and A36 are advisories: blobs that were empty, short or zeroed were served as they were; a truncated index ended the process."""

import contextlib
import os
import shutil
import socket
import threading

from harness import case, wait
from harness.client import Client, Tally, at_once
from harness.content import noise
from harness.crowd import Crowd
from harness.disk_case import MIB, DiskCase


def become(make):
    return lambda path: (path.unlink(), make(path))


def make_full_directory(path):
    path.mkdir()
    (path / "somebody's").write_text("not ours")


def make_socket(path):
    with socket.socket(socket.AF_UNIX) as made:
        here = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:  # a socket's path may have 107 characters
            made.bind(f"/proc/self/fd/{here}/{path.name}")
        finally:
            os.close(here)


def flip(path):
    with open(path, "r+b") as file:
        file.seek(path.stat().st_size // 2)
        byte = file.read(1)
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([byte[0] ^ 1]))


def overwrite(at: int, count: int):
    """With what is certainly not LMDB's."""
    def damage(path):
        with open(path, "r+b") as file:
            file.seek(at)
            file.write(noise(count, at))
    return damage


def zero_page(path):
    with open(path, "r+b") as file:
        file.seek(4096)
        file.write(bytes(4096))


# Seen when the file is opened.
OTHER_SIZE_OR_KIND = {
    "empty": lambda path: os.truncate(path, 0),
    "a byte short": lambda path: os.truncate(path, path.stat().st_size - 1),
    "a byte more": lambda path: path.open("ab").write(b"x"),
    "gone": lambda path: path.unlink(),
    "a directory": become(lambda path: path.mkdir()),
    "a directory with something in it": become(make_full_directory),
    "a link to a file": become(lambda path: path.symlink_to("/etc/passwd")),
    "a link to nothing": become(lambda path: path.symlink_to("nothing")),
    "a pipe": become(os.mkfifo),
    "a socket": become(make_socket),
    "another's directory": lambda path: (shutil.rmtree(path.parent), path.parent.write_text("a file in its place")),
    "no directory": lambda path: shutil.rmtree(path.parent),
}

# Seen only by who reads it all.
SAME_SIZE = {
    "a page of zeros": zero_page,
    "all zeros": lambda path: path.write_bytes(bytes(path.stat().st_size)),
    "a bit": flip,
}


class DamagedBlobTest(DiskCase):
    def expect_healed(self, blob, name: str):
        """By the very next request."""
        reply = self.get(blob)
        self.expect_right(reply, blob)
        self.assertEqual(self.fetches(blob), 1, name)
        self.entrepot.wait_committed([blob.digest], 10)
        self.expect_hit(blob)

    @case.short
    def test_a32_another_size_or_kind_is_seen_when_it_is_opened(self):
        self.start()
        for restart in (False, True):
            for name, damage in OTHER_SIZE_OR_KIND.items():
                with self.subTest(name, restart=restart):
                    blob = self.blob(100_000, f"{name} {restart}")
                    self.store_blobs(blob)
                    if restart:
                        self.entrepot.stop()
                    damage(self.path(blob.digest))
                    if restart:
                        self.entrepot.start()
                    self.expect_healed(blob, name)

    def test_a32_manifests_too(self):
        self.start()
        for name, damage in (OTHER_SIZE_OR_KIND | {"all zeros": SAME_SIZE["all zeros"], "a bit": flip}).items():
            with self.subTest(name):
                manifest = self.manifest(name)
                self.store_blobs(manifest)
                self.entrepot.stop()  # for it is in memory
                damage(self.path(manifest.digest))
                self.entrepot.start()
                self.expect_healed(manifest, name)

    def test_a32_same_size_after_a_crash_is_found_on_first_use(self):
        """With the scrub as it is by default: whoever comes first must not get it as complete."""
        self.start(cache__scrub_rate="20MiB/s")
        blobs = {name: self.blob(24 * MIB, name) for name in SAME_SIZE}
        self.store_blobs(*blobs.values())
        self.entrepot.kill()
        for name, damage in SAME_SIZE.items():
            damage(self.path(blobs[name].digest))
        self.entrepot.start()
        own = Tally(None)  # judged here, and not in the run's sum
        client = Client(self.entrepot.url, tally=own, truth=self.content)
        for blob in blobs.values():
            client.get(self.target(blob))
        self.assertEqual(own.wrong, 0, own.details)

    def test_a32_same_size_after_a_crash_is_soon_found_by_the_scrub(self):
        self.start(cache__scrub_rate="1GiB/s")
        blobs = {name: self.blob(4 * MIB, name) for name in SAME_SIZE}
        self.store_blobs(*blobs.values())
        self.entrepot.kill()
        for name, damage in SAME_SIZE.items():
            damage(self.path(blobs[name].digest))
        self.upstream.forget()
        self.entrepot.start()
        for blob in blobs.values():
            wait.until(lambda b=blob: self.fetches(b), "the scrub to find it", 20)
        self.entrepot.wait_committed([blob.digest for blob in blobs.values()])
        for blob in blobs.values():
            self.expect_hit(blob)

    def test_f22_files_are_removed_under_load(self):
        self.start()
        blobs = [self.blob(200_000, f"load {number}") for number in range(20)]
        self.store_blobs(*blobs)
        done = threading.Event()

        def remove():
            while not done.wait(0.01):
                for path in list((self.cache / "blobs").rglob("*"))[::3]:
                    if path.is_file():
                        path.unlink(missing_ok=True)

        def load(number):
            for turn in range(40):
                blob = blobs[(number * 7 + turn) % len(blobs)]
                self.expect_right(self.get(blob), blob)

        remover = threading.Thread(target=remove, daemon=True)
        remover.start()
        at_once([lambda n=number: load(n) for number in range(4)])
        done.set()
        remover.join()
        self.assertGreater(len(self.upstream.seen("GET", "/blobs/")), 0, "the control: something was missing")
        self.expect_recovery(*blobs)

    def test_f23_what_is_not_ours_is_left_alone(self):
        self.start()
        blob = self.blob(100_000, "ours")
        self.store_blobs(blob)
        shard = self.path(blob.digest).parent
        foreign = {"link": lambda path: path.symlink_to("/etc/passwd"), "pipe": os.mkfifo, "folder": lambda path: path.mkdir(),
                   "file": lambda path: path.write_text("x"), "0" * 64: os.mkfifo, "f" * 63: lambda path: path.write_text("x")}
        for where in (shard, shard.parent, shard.parent.parent):
            for name, make in foreign.items():
                make(where / name)
        for how in ("stop", "kill"):
            self.entrepot.restart(how)
            self.expect_hit(blob)
        self.entrepot.stop()
        shutil.rmtree(self.cache / "index")  # so that it looks at everything
        self.entrepot.start()
        self.expect_hit(blob)
        for where in (shard, shard.parent, shard.parent.parent):
            self.assertLessEqual(set(foreign), set(os.listdir(where)))
        self.expect_recovery()


class DamagedIndexTest(DiskCase):
    """F16, F17, A36: the index is made again from the blobs; nothing ends by a signal."""

    def setUp(self):
        super().setUp()
        self.start()
        self.blobs = [self.blob(50_000, f"here {number}") for number in range(30)]
        self.store_blobs(*self.blobs)

    def expect_all_there(self, damage):
        with self.damaged(damage):
            self.entrepot.wait_committed([blob.digest for blob in self.blobs], 10)
            for blob in self.blobs:
                self.expect_hit(blob)

    @contextlib.contextmanager
    def damaged(self, damage):
        """Started on the damage; afterwards everything is as it was."""
        self.entrepot.stop()
        kept = self.scratch / "kept"
        shutil.copytree(self.cache, kept)
        damage(self.cache / "index" / "data.mdb")
        try:
            self.entrepot.start()
            yield
            self.entrepot.stop()
        finally:
            if self.entrepot.is_running:
                self.entrepot.kill()
            shutil.rmtree(self.cache)
            kept.rename(self.cache)
            self.entrepot.start()

    @case.short
    def test_a36_truncated(self):
        size = (self.cache / "index" / "data.mdb").stat().st_size
        for left in (0, 1, 4095, 4096, 8192, size // 2, size - 1, size - 4096):
            with self.subTest(left=left):
                self.expect_all_there(lambda index, n=left: os.truncate(index, n))
        self.expect_recovery()

    def test_f17_garbage(self):
        size = (self.cache / "index" / "data.mdb").stat().st_size
        damages = {"both meta pages": overwrite(0, 8192), "the first": overwrite(0, 4096), "the second": overwrite(4096, 4096),
                   "all": overwrite(0, size), "another version": overwrite(20, 4),
                   "text": lambda index: index.write_text("not LMDB\n" * 10_000),
                   "zeros": lambda index: index.write_bytes(bytes(size)), "gone": lambda index: index.unlink(),
                   "a directory": become(lambda path: path.mkdir()), "a pipe": become(os.mkfifo),
                   "a link": become(lambda path: path.symlink_to("/etc/passwd"))}
        for name, damage in damages.items():
            with self.subTest(name):
                self.expect_all_there(damage)
        self.expect_recovery()

    def test_f17_garbage_in_the_middle(self):
        """Pages behind the meta pages. LMDB has no checksums; but nothing may end by a signal, nor be refused for ever."""
        pages = (self.cache / "index" / "data.mdb").stat().st_size // 4096
        for page in range(2, pages):
            with self.subTest(page=page), self.damaged(overwrite(page * 4096, 4096)):
                for blob in self.blobs[::5]:
                    self.expect_right(self.get(blob), blob)
                self.assertTrue(self.entrepot.is_running)


class PinnedTest(DiskCase):
    BUDGET = 24 * MIB

    def slow(self, blob, gate):
        """A client that takes a little and then waits for the gate."""
        def get(on_bytes):
            return self.get(blob, receive_buffer=16 * 1024, on_bytes=lambda total: on_bytes(total) or gate.wait(60) and None)
        return get

    @case.short
    def test_f27_evicted_while_it_is_sent(self):
        self.start(cache__max_size=f"{self.BUDGET}B")
        sent, gate = self.blob(8 * MIB, "sent"), self.make_gate()
        self.store_blobs(sent)
        crowd = Crowd([self.slow(sent, gate)])
        crowd.wait_for(1)
        others = [self.blob(4 * MIB, f"other {number}") for number in range(8)]
        for blob in others:
            self.expect_right(self.get(blob), blob)
        wait.until(lambda: self.entrepot.state(sent.digest) == "absent", "it to be evicted")
        self.assertFalse(self.path(sent.digest).exists())
        used = self.entrepot.metric("entrepot_cache_used_bytes")
        self.assertLessEqual(used, self.BUDGET)
        gate.set()
        self.expect_right(crowd.wait_ended()[0], sent)
        self.expect_recovery()

    def ask_for_more(self, pinned: int, readers: int):
        """While each of `pinned` blobs, which are more than the budget, has so many slow readers."""
        self.start(cache__max_size=f"{self.BUDGET}B", upstream={"max_connections": 128})
        blobs, gate = [self.blob(4 * MIB, f"pinned {number}") for number in range(pinned)], self.make_gate()
        crowds = []
        for blob in blobs:
            crowds.append((blob, Crowd([self.slow(blob, gate)] * readers)))
            crowds[-1][1].wait_for(1)
        more = [self.blob(4 * MIB, f"more {number}") for number in range(3)]
        for blob in more:
            reply = self.get(blob)
            self.expect_right(reply, blob)
        self.expect_alive()
        gate.set()
        for blob, crowd in crowds:
            for reply in crowd.wait_ended():
                self.expect_right(reply, blob)
        self.expect_recovery(*more[:1])

    @case.short
    def test_f28_everything_is_being_sent_and_more_is_asked_for(self):
        self.ask_for_more(pinned=10, readers=1)

    def test_f28_with_fifty_slow_readers(self):
        """Of those whose blobs have no room each holds a connection to the upstream: there must be as many (`max_connections`)."""
        self.ask_for_more(pinned=12, readers=4)
