"""A disk that is full, has no inodes left, is read-only, or has gone: every answer is right, nothing is a 5xx, and when it is over
everything is stored again, without a restart. Errors and delays are in test_disk_errors, damage in test_disk_damage."""

import shutil
import threading

from harness import case, quirks, wait
from harness.client import at_once
from harness.crowd import Crowd
from harness.disk_case import MIB, DiskCase


class FullDiskTest(DiskCase):
    @case.short
    def test_f01_no_room_for_a_new_file(self):
        self.start_on_ext4(24)
        here, blob = self.blob(MIB, "here"), self.blob(4 * MIB, "no room")
        self.store_blobs(here)
        self.ext4.fill()
        self.assertLess(self.ext4.free(), 64 << 10, "the control: the disk is full")
        reply = self.get(blob)
        self.expect_right(reply, blob)
        self.assertRegex(reply.cache_status, r"^entrepot; *fwd=bypass")
        self.pull_everything(self.entrepot.client(), "library/hut", self.hut)
        self.expect_alive()
        self.ext4.make_room()
        self.expect_recovery(blob)

    def test_f01_what_is_old_makes_room_for_what_is_new(self):
        self.start_on_ext4(32)
        old = [self.blob(2 * MIB, f"old {number}") for number in range(5)]
        self.store_blobs(*old)
        self.ext4.fill()
        new = self.blob(4 * MIB, "new")

        def is_stored():
            self.expect_right(self.get(new), new)
            return self.entrepot.state(new.digest) == "committed"

        wait.until(is_stored, "old blobs to make room", 20, 0.2)
        self.assertIn("absent", [self.entrepot.state(blob.digest) for blob in old])

    def test_f01_the_part_cannot_be_made(self):
        self.start()
        blob = self.blob(4 * MIB, "no room")
        full = self.faults.lay("create", "parts/*", "errno ENOSPC")
        reply = self.get(blob)
        self.expect_right(reply, blob)
        self.assertRegex(reply.cache_status, r"^entrepot; *fwd=bypass")
        self.expect_bitten(full)
        self.expect_not_stored(blob)
        self.faults.clear()
        self.expect_recovery(blob)

    def fill_while_three_follow(self, lay_fault):
        """Three clients follow a fill that has come half way when the disk is full."""
        blob, gate = self.blob(6 * MIB, "half way"), self.make_gate()
        self.upstream.on("GET", blob.digest, quirks.stall(3 * MIB, gate), times=1)
        crowd = Crowd([lambda on_bytes: self.get(blob, on_bytes=on_bytes)] * 3)
        crowd.wait_for(MIB)
        rule = lay_fault()
        gate.set()
        replies = crowd.wait_ended()
        self.assertEqual({reply.status for reply in replies}, {200})
        self.expect_right_or_short(replies, blob)
        self.assertTrue(any(reply.complete for reply in replies), "nobody's stream went on")
        if rule:
            self.expect_bitten(rule)
            self.expect_not_stored(blob)
        return blob

    @case.short
    def test_f02_full_in_the_middle_of_a_fill(self):
        self.start()
        blob = self.fill_while_three_follow(lambda: self.faults.lay("write", "parts/*", "errno ENOSPC"))
        self.faults.clear()
        self.expect_recovery(blob)

    def test_f02_at_each_of_the_first_writes(self):
        self.start()
        for number in (1, 2, 5):
            with self.subTest(write=number):
                blob = self.blob(3 * MIB, f"write {number}")
                once = self.faults.lay("write", "parts/*", "errno ENOSPC", number, number)
                self.expect_right(self.get(blob), blob)
                self.expect_bitten(once)
                self.faults.clear()
        self.expect_recovery()

    def test_f02_somebody_else_fills_the_disk_in_the_middle(self):
        self.start_on_ext4(24)
        blob = self.fill_while_three_follow(self.ext4.fill)
        self.ext4.make_room()
        self.expect_recovery(blob)

    @case.short
    def test_f03_no_room_for_a_commit(self):
        self.start()
        here, blob = self.blob(MIB, "here"), self.blob(MIB, "not committed")
        self.store_blobs(here)
        full = self.faults.lay("write", "index/*", "errno ENOSPC")
        self.expect_right(self.get(blob), blob)
        wait.until(lambda: full.happened, "the commit to fail")
        self.expect_not_stored(blob)
        self.expect_hit(here)
        self.expect_right(self.get(blob), blob)
        self.expect_alive()
        self.faults.clear()
        self.expect_recovery(blob)

    def test_f01_a_manifest_that_could_not_be_stored_is_stored_later(self):
        """It is in memory meanwhile; that must not keep it from the disk for ever."""
        self.start()
        manifest = self.manifest("no room")
        full = self.faults.lay("create", "parts/*", "errno ENOSPC")
        self.expect_right(self.get(manifest), manifest)
        wait.until(lambda: full.happened, "storing it to fail")
        self.faults.clear()
        self.expect_recovery(manifest)

    def test_f03_no_room_for_the_journal(self):
        self.start()
        here, blob = self.blob(MIB, "here"), self.blob(MIB, "not committed")
        self.store_blobs(here)
        full = self.faults.lay("write", "refs.log*", "errno ENOSPC")
        self.expect_right(self.get(blob), blob)
        wait.until(lambda: full.happened, "the commit to fail")
        self.expect_not_stored(blob)
        self.expect_hit(here)
        self.faults.clear()
        self.expect_recovery(blob)

    @case.short
    def test_f04_no_inodes_left(self):
        self.start_on_ext4(24, inodes=64)
        here, blob = self.blob(MIB, "here"), self.blob(4 * MIB, "no inode")
        self.store_blobs(here)
        self.ext4.use_up_inodes()
        reply = self.get(blob)
        self.expect_right(reply, blob)
        self.assertRegex(reply.cache_status, r"^entrepot; *fwd=bypass")
        self.pull_everything(self.entrepot.client(), "library/hut", self.hut)
        self.expect_hit(here)
        self.ext4.make_room()
        self.expect_recovery(blob)

    def test_f05_over_quota(self):
        self.start()
        here = self.blob(MIB, "here")
        self.store_blobs(here)
        for calls in ("create", "write", "write,create,mkdir,link"):
            with self.subTest(calls):
                blob = self.blob(3 * MIB, calls)
                over = self.faults.lay(calls, "*", "errno EDQUOT")
                self.expect_right(self.get(blob), blob)
                wait.until(lambda: over.happened, f"the control: {over.line} to happen")
                self.expect_hit(here)
                self.expect_alive()
                self.faults.clear()
                self.expect_recovery(blob)


class GoneDiskTest(DiskCase):
    @case.short
    def test_f10_read_only(self):
        """ext4 turns itself read-only after an error, and stays so until it is mounted again."""
        self.start_on_ext4(48, cache__max_size="24MiB")
        here, missing = self.blob(MIB, "here"), [self.blob(4 * MIB, f"missing {number}") for number in range(8)]
        self.store_blobs(here)
        self.ext4.remount("abort")
        with self.assertRaises(OSError):
            (self.cache / "control").touch()
        for blob in missing:  # more than the budget: evictions would be due
            self.expect_right(self.get(blob), blob)
            self.assertEqual(self.entrepot.state(blob.digest), "absent")
            self.expect_hit(here)
        self.pull_everything(self.entrepot.client(), "library/hut", self.hut)
        self.expect_alive()
        self.entrepot.kill()
        self.ext4.power_on()
        self.entrepot.start()
        self.expect_recovery(missing[0])

    def test_f10_read_only_in_the_middle_of_fills(self):
        """And writable again, with no new start: by errno, for ext4 cannot be remounted while files are open for writing."""
        self.start()
        here = self.blob(MIB, "here")
        self.store_blobs(here)
        blob, gate = self.blob(6 * MIB, "half way"), self.make_gate()
        self.upstream.on("GET", blob.digest, quirks.stall(3 * MIB, gate), times=1)
        crowd = Crowd([lambda on_bytes: self.get(blob, on_bytes=on_bytes)] * 3)
        crowd.wait_for(MIB)
        read_only = self.faults.lay("create,write,ftruncate,link,rename,unlink,mkdir,fallocate", "*", "errno EROFS")
        gate.set()
        self.expect_right_or_short(crowd.wait_ended(), blob)
        self.expect_bitten(read_only)
        self.expect_hit(here)
        self.expect_right(self.get(blob), blob)
        self.faults.clear()
        self.expect_recovery(blob)

    @case.short
    def test_f11_unmounted(self):
        self.start_on_ext4(48)
        here, blobs = self.blob(MIB, "here"), [self.blob(MIB, f"later {number}") for number in range(5)]
        self.store_blobs(here)
        self.ext4.unmount(lazily=True)
        self.assertFalse(self.cache.exists(), "the control: it is gone")
        for blob in (here, *blobs):
            self.expect_right(self.get(blob), blob)
        self.pull_everything(self.entrepot.client(), "library/hut", self.hut)
        self.expect_alive()
        self.assertEqual(list(self.ext4.mount_point.iterdir()), [], "what is below the mount point is not ours")
        self.ext4.mount()
        self.expect_recovery(*blobs)

    def test_f11_removed(self):
        """There is no going back: until a restart everything goes past the cache."""
        self.start()
        here, blobs = self.blob(MIB, "here"), [self.blob(MIB, f"later {number}") for number in range(5)]
        self.store_blobs(here)
        shutil.rmtree(self.cache)
        for blob in (here, *blobs, here):
            self.expect_right(self.get(blob), blob)
        self.pull_everything(self.entrepot.client(), "library/hut", self.hut)
        self.expect_alive()
        self.entrepot.stop()
        self.entrepot.start()
        self.expect_recovery(*blobs)

    def test_f11_removed_under_load(self):
        self.start()
        blobs = [self.blob(MIB, f"load {number}") for number in range(12)]
        self.store_blobs(*blobs[:6])
        removed = threading.Event()

        def load(number):
            for turn in range(6):
                blob = blobs[(number + turn) % len(blobs)]
                self.expect_right_or_short([self.get(blob)], blob)
                if turn == 2 and number == 0:
                    shutil.rmtree(self.cache, ignore_errors=True)
                    removed.set()

        at_once([lambda n=number: load(n) for number in range(4)])
        self.assertTrue(removed.is_set())
        self.expect_alive()
        for blob in blobs:
            self.expect_right(self.get(blob), blob)

    def test_f11_nothing_may_be_opened(self):
        """As chmod 000 does to who is not root."""
        self.start()
        here, blob = self.blob(MIB, "here"), self.blob(MIB, "later")
        self.store_blobs(here)
        forbidden = self.faults.lay("open,create,mkdir,link,rename,unlink", "*", "errno EACCES")
        self.expect_right(self.get(here), here)
        self.expect_right(self.get(blob), blob)
        self.pull_everything(self.entrepot.client(), "library/hut", self.hut)
        self.expect_bitten(forbidden)
        self.expect_alive()
        self.faults.clear()
        self.expect_hit(here)
        self.expect_recovery(blob)
