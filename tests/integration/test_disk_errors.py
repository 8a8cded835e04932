"""A disk that gives errors or is slow: streams go on or end short, nothing unsure is kept, and everybody whom the disk does not
concern is served as ever. What each row of the fault matrix asks is in its test's name."""

import time

from harness import case, disk, process, quirks, wait
from harness.crowd import Crowd
from harness.disk_case import MIB, DiskCase

# Not what a loop may do itself: the probe never waits, and what is sent was in memory a moment ago.
WRITES = "create,write,fsync,fdatasync,ftruncate,link,rename,unlink,mkdir"


class ErrorTest(DiskCase):
    @case.short
    def test_f06_writes_fail(self):
        self.start()
        here, blobs = self.blob(MIB, "here"), [self.blob(2 * MIB, f"blob {number}") for number in range(5)]
        self.store_blobs(here)
        broken = self.faults.lay("write", "parts/*", "errno EIO")
        for blob in blobs:
            self.expect_right(self.get(blob), blob)
            self.expect_hit(here)
        self.expect_bitten(broken)
        for blob in blobs:
            self.expect_not_stored(blob)
        self.expect_alive()
        self.faults.clear()
        self.expect_recovery(*blobs)

    def test_f06_the_health_says_that_the_disk_is_degraded(self):
        """Ready all the while; but whoever watches is told."""
        self.start()
        blobs = [self.blob(2 * MIB, f"blob {number}") for number in range(5)]
        self.faults.lay("write", "parts/*", "errno EIO")
        for blob in blobs:
            self.expect_right(self.get(blob), blob)
        ready = self.entrepot.admin().get("/readyz?verbose")
        self.assertEqual(ready.status, 200)
        self.assertIn("degraded", ready.body.decode())

    def test_f06_one_write_in_the_middle_fails(self):
        self.start()
        blob, gate = self.blob(6 * MIB, "half way"), self.make_gate()
        self.upstream.on("GET", blob.digest, quirks.stall(3 * MIB, gate), times=1)
        crowd = Crowd([lambda on_bytes: self.get(blob, on_bytes=on_bytes)] * 3)
        crowd.wait_for(MIB)
        once = self.faults.lay("write", "parts/*", "errno EIO", 1, 1)
        gate.set()
        replies = crowd.wait_ended()
        self.expect_right_or_short(replies, blob)
        self.expect_bitten(once)
        self.faults.clear()
        self.expect_recovery(blob)

    @case.short
    def test_f07_a_sync_fails_once_and_is_not_tried_again(self):
        self.start()
        blob = self.blob(2 * MIB, "not synced")
        name = f"parts/{blob.digest.replace(':', '-')}"
        once = self.faults.lay("fdatasync", name, "errno EIO", 1, 1)
        self.expect_right(self.get(blob), blob)
        wait.until(lambda: once.happened, "the sync to fail")
        self.expect_not_stored(blob)
        self.assertEqual(once.matched, 1, "the same pages were synced again")
        self.expect_right(self.get(blob), blob)
        self.entrepot.wait_committed([blob.digest])
        self.assertEqual((once.matched, self.fetches(blob)), (2, 2), "fetched again, into a new file")
        self.faults.clear()
        self.expect_recovery()

    def test_f07_the_sync_of_a_directory_fails(self):
        self.start()
        here = self.blob(MIB, "here")
        self.store_blobs(here)
        for number, glob in enumerate(("blobs/sha256/*", "blobs/sha256")):
            with self.subTest(glob):
                blob = self.blob(2 * MIB, f"not synced {number}")
                broken = self.faults.lay("fsync", glob, "errno EIO", 1, 1)
                self.expect_right(self.get(blob), blob)
                wait.until(lambda: broken.happened, "the sync to fail")
                self.expect_not_stored(blob)
                self.expect_hit(here)
                self.faults.clear()
                self.expect_recovery(blob)

    @case.short
    def test_f08_sending_fails_in_the_middle(self):
        self.start()
        blob = self.blob(8 * MIB, "unreadable")
        self.store_blobs(blob)
        broken = self.faults.lay("sendfile", "*", "errno EIO", 4)
        reply = self.get(blob)
        self.expect_bitten(broken)
        self.assertFalse(reply.complete, "the bytes cannot have come from here")
        self.faults.clear()
        wait.until(lambda: self.is_fetched_again(blob), "it to be fetched again", 10, 0.2)
        self.entrepot.wait_committed([blob.digest])
        self.expect_hit(blob)
        self.expect_recovery()

    def is_fetched_again(self, blob) -> bool:
        reply = self.get(blob)
        self.expect_right_or_short([reply], blob)
        return reply.complete and self.fetches(blob) > 0

    def test_f08_reading_cold_pages_fails(self):
        """As a bad sector does: always, until it is written anew."""
        self.start()
        blob = self.blob(4 * MIB, "unreadable")
        self.store_blobs(blob)
        path = f"blobs/sha256/{blob.digest[7:9]}/*"
        cold = self.faults.lay("probe", path, "errno EAGAIN")
        broken = self.faults.lay("read", path, "errno EIO")
        self.expect_right_or_short([self.get(blob)], blob)
        self.expect_bitten(cold, broken)
        wait.until(lambda: self.is_fetched_again(blob), "it to be fetched past the file that cannot be read", 10, 0.2)
        self.faults.clear()
        self.expect_recovery(blob)

    def test_f08_reading_a_manifest_fails(self):
        self.start()
        manifest = self.manifest("unreadable")
        self.store_blobs(manifest)
        self.entrepot.restart()  # out of memory
        broken = self.faults.lay("read", f"blobs/sha256/{manifest.digest[7:9]}/*", "errno EIO")
        self.expect_right(self.get(manifest), manifest)
        self.expect_bitten(broken)
        self.faults.clear()
        self.expect_recovery(manifest)

    @case.short
    def test_f09_the_sync_of_a_commit_fails(self):
        self.start()
        here = self.blob(MIB, "here")
        self.store_blobs(here)
        for calls in ("fdatasync", "write"):
            with self.subTest(calls):
                blob = self.blob(MIB, f"not committed {calls}")
                broken = self.faults.lay(calls, "index/*", "errno EIO")
                self.expect_right(self.get(blob), blob)
                wait.until(lambda: broken.happened, "the commit to fail")
                self.expect_not_stored(blob)
                self.expect_hit(here)
                self.expect_right(self.get(blob), blob)
                self.expect_alive()
                self.faults.clear()
                self.expect_recovery(blob)

    def test_f09_a_commit_fails_and_the_file_cannot_be_taken_away(self):
        """All of a disk gives errors from a moment on, as when its power goes."""
        self.start()
        here = self.blob(MIB, "here")
        self.store_blobs(here)
        blob = self.blob(MIB, "between")
        broken = self.faults.lay("write", "refs.log", "errno EIO")
        stuck = self.faults.lay("unlink,create,rename", "*", "errno EIO", 3)  # one to make the part, after its old name
        self.expect_right(self.get(blob), blob)
        wait.until(lambda: broken.happened and stuck.happened, "the commit and the way back to fail")
        self.expect_hit(here)
        for _ in range(3):
            self.expect_right(self.get(blob), blob)
        self.faults.clear()
        self.expect_recovery(blob)

    def test_f09_one_error_at_a_time_anywhere_in_a_commit(self):
        """Each call of a commit fails once, and what was acknowledged before is there after a kill -9."""
        self.start()
        here = self.blob(MIB, "here")
        self.store_blobs(here)
        for number in range(1, 7):
            with self.subTest(call=number):
                blob = self.blob(MIB, f"call {number}")
                once = self.faults.lay("write,fdatasync,fsync,ftruncate,create,open,mmap", "[ir]*", "errno EIO", number, number)
                self.expect_right(self.get(blob), blob)
                wait.until(lambda: once.happened or self.entrepot.state(blob.digest) == "committed", "the call to be reached")
                self.faults.clear()
                self.expect_recovery(blob)
        self.entrepot.restart("kill")
        self.expect_hit(here)

    def test_f18_the_map_of_the_index_is_full(self):
        """It takes evictions to go on, or nothing more is stored; nobody gets an error."""
        self.start(environment={"DISK_FAULTS_MAP_SIZE": str(160 << 10)})
        blobs = [self.blob(2000, f"small {number}") for number in range(400)]
        for blob in blobs:
            self.expect_right(self.get(blob), blob)
        self.assertGreater(self.entrepot.metric("entrepot_index_failures_total"), 0, "the control: the map was full")
        for blob in blobs[:20]:
            self.expect_right(self.get(blob), blob)
        self.expect_alive()

    def test_f20_readers_that_were_killed_do_not_make_the_index_grow(self):
        self.start()
        blobs = [self.blob(20_000, f"blob {number}") for number in range(20)]
        self.store_blobs(*blobs)
        sizes = []
        for cycle in range(12):
            crowd = Crowd([lambda on_bytes, b=blob: self.entrepot.client().attempt(self.target(b)) for blob in blobs * 2])
            self.entrepot.kill()
            crowd.wait_ended()
            self.entrepot.start()
            new = self.blob(20_000, f"cycle {cycle}")
            self.store_blobs(new)
            sizes.append((self.cache / "index" / "data.mdb").stat().st_size)
        self.assertLess(sizes[-1], 2 * sizes[1] + (256 << 10), sizes)

    def test_f21_parts_on_another_file_system(self):
        """A link does not reach from there to the blobs: refused at the start, or it works; not an error each time."""
        other = self.scratch / "other"
        disk.mount_small(other, "32m")
        self.addCleanup(disk.unmount, other)
        parts = self.scratch / "cache" / "parts"
        parts.mkdir(parents=True, mode=0o700)
        process.run(["mount", "--bind", other, parts])
        self.addCleanup(disk.unmount, parts)
        try:
            self.start()
        except AssertionError as refusal:
            self.assertRegex(str(refusal), r"entrepot ended with [1-9]")
            self.assertRegex(str(refusal), "parts")
            return
        blob = self.blob(MIB, "across")
        self.expect_right(self.get(blob), blob)
        self.entrepot.wait_committed([blob.digest], 10)


class SlowDiskTest(DiskCase):
    """Stopping checks that no loop stalled meanwhile."""

    def hold_syncs_of(self, count: int):
        """As many fills whose bytes do not come to rest; and their clients."""
        blobs = [self.blob(2 * MIB, f"slow {number}") for number in range(count)]
        held = [self.faults.lay("fsync,fdatasync", f"parts/sha256-{blob.digest[7:]}", "hold") for blob in blobs]
        self.addCleanup(self.faults.clear)
        crowd = Crowd([lambda on_bytes, b=blob: self.get(b, on_bytes=on_bytes) for blob in blobs])
        wait.until(lambda: all(rule.matched for rule in held), "every one of them to be synced")
        return blobs, crowd

    def expect_whole(self, blobs, crowd):
        self.faults.clear()
        for reply, blob in zip(crowd.wait_ended(), blobs):
            self.expect_right(reply, blob)
        self.expect_recovery(*blobs)

    @case.short
    def test_f12_others_do_not_wait_for_slow_syncs(self):
        """Neither hits, nor misses, nor what goes past the cache: all of it while they last."""
        self.start(cache__max_size="40MiB")
        here, later, too_large = self.blob(MIB, "here"), self.blob(MIB, "later"), self.blob(48 * MIB, "past the cache")
        self.store_blobs(here)
        blobs, crowd = self.hold_syncs_of(8)
        self.expect_hit(here)
        self.expect_right(self.get(later), later)
        self.expect_right(self.get(too_large), too_large)
        self.expect_alive()
        self.assertNotIn("committed", [self.entrepot.state(blob.digest) for blob in blobs], "the control: they wait still")
        self.expect_whole(blobs, crowd)

    def test_f12_others_do_not_wait_for_slow_reads(self):
        self.start()
        slow_blob, here, missing = self.blob(4 * MIB, "slow"), self.blob(MIB, "here"), self.blob(MIB, "missing")
        self.store_blobs(slow_blob, here)
        path = f"blobs/sha256/{slow_blob.digest[7:9]}/{slow_blob.digest[7:]}"
        self.faults.lay("probe", path, "errno EAGAIN")
        slow = self.faults.lay("read", path, "hold")
        self.addCleanup(self.faults.clear)
        crowd = Crowd([lambda on_bytes: self.get(slow_blob, on_bytes=on_bytes)] * 4)
        wait.until(lambda: slow.matched, "a read to begin")
        self.expect_hit(here)
        self.expect_right(self.get(missing), missing)
        self.assertEqual([reply for reply in crowd.replies if reply], [], "the control: they wait still")
        self.faults.clear()
        for reply in crowd.wait_ended():
            self.expect_right(reply, slow_blob)
        self.expect_recovery()
