"""F13: a disk that does not answer at all. Requests go past it, each within seconds, and nothing is lost when it is back."""

import json
import threading

from harness import case, quirks, wait
from harness.crowd import Crowd
from harness.disk_case import INDEX, MIB, DiskCase

EVERYTHING = "open,read,create,write,fsync,fdatasync,ftruncate,link,rename,unlink,mkdir"


class HungDiskTest(DiskCase):
    """What is expected of a request while the disk hangs is expected before `clear`: that it does not wait for the disk. Stopping checks
    that no loop stalled."""

    def start_with_what_is_here(self, **settings):
        self.start(**settings)
        self.here = self.blob(MIB, "here")
        self.store_blobs(self.here)
        self.pull_everything(self.entrepot.client(), "library/hut", self.hut)
        self.entrepot.wait_committed(self.hut.digests)
        self.entrepot.restart()  # nobody remembers what the disk knows
        self.upstream.forget()

    def hang(self):
        self.hold(EVERYTHING)

    def hold(self, calls: str):
        self.hung = self.faults.lay(calls, "*", "hold")
        self.addCleanup(self.faults.clear)  # before the end of entrepot, which waits for the disk

    def expect_still_hung(self):
        self.assertGreater(self.hung.matched, 0, "the control: the disk was asked")
        self.expect_alive()

    @case.short
    def test_f13_requests_go_past_a_disk_that_hangs(self):
        self.start_with_what_is_here()
        self.hang()
        missing = self.blob(2 * MIB, "missing")
        for blob in (self.here, missing, self.manifest("missing"), self.here):
            reply = self.get(blob)
            self.expect_right(reply, blob)
            self.assert_miss(reply)
        self.assertEqual(self.entrepot.client().head(self.target(self.here)).status, 200)
        self.pull_everything(self.entrepot.client(), "library/hut", self.hut)
        self.assertEqual(self.entrepot.client().get("/v2/library/hut/tags/list").status, 200)
        self.expect_still_hung()
        self.faults.clear()
        self.expect_recovery(missing)
        self.expect_hit(self.here)

    def test_f13_many_at_once(self):
        """More than there are threads that could wait for the disk; and later ones need not wait at all."""
        self.start_with_what_is_here()
        self.hang()
        blobs = [self.blob(MIB, f"one of many {number}") for number in range(24)]
        for _ in range(2):
            crowd = Crowd([lambda on_bytes, b=blob: self.get(b, on_bytes=on_bytes) for blob in (self.here, *blobs)])
            for reply, blob in zip(crowd.wait_ended(), (self.here, *blobs)):
                self.expect_right(reply, blob)
        self.expect_still_hung()
        waiting = self.entrepot.metric("entrepot_disk_jobs_waiting")
        self.assertLess(waiting, 100, "of a disk that hangs nothing more is asked")
        self.assertLess(self.entrepot.log().count(" error "), 20)
        self.faults.clear()
        self.expect_recovery(*blobs)

    def test_f13_streams_go_on_past_a_disk_that_hangs(self):
        """Those of a fill that is under way: its followers have bytes already."""
        self.start_with_what_is_here()
        blob = self.blob(16 * MIB, "under way")
        gate = threading.Event()
        self.addCleanup(gate.set)
        self.upstream.on("GET", blob.digest, quirks.stall(8 * MIB, gate), times=1)
        crowd = Crowd([lambda on_bytes: self.get(blob, on_bytes=on_bytes)] * 3)
        crowd.wait_for(4 * MIB)
        self.hang()
        gate.set()
        for reply in crowd.wait_ended():
            self.expect_right(reply, blob)
        self.expect_still_hung()
        self.faults.clear()
        self.expect_recovery(blob)

    def test_f13_a_wrong_byte_stays_one(self):
        """One that a stream was given before the disk hung, by an upstream that is right when it is asked again: what comes then does not
        make it a whole blob."""
        self.start_with_what_is_here()
        blob = self.blob(16 * MIB, "wrong")
        gate = threading.Event()
        self.addCleanup(gate.set)
        self.upstream.on("GET", blob.digest, quirks.flip(MIB), quirks.stall(8 * MIB, gate), times=1)
        crowd = Crowd([lambda on_bytes: self.get(blob, on_bytes=on_bytes)] * 3)
        crowd.wait_for(4 * MIB)
        self.hang()
        gate.set()
        for reply in crowd.wait_ended():
            self.assertFalse(reply.complete)
        self.assertGreater(self.fetches(blob), 1, "the control: it went on past the disk")
        self.expect_still_hung()
        self.faults.clear()
        self.expect_recovery(blob)

    def test_f13_what_was_written_before_a_crash_goes_past_it_too(self):
        """Its reading hangs, which must be waited for before it is given; and only so long."""
        self.start()
        here = self.blob(4 * MIB, "here")
        self.store_blobs(here)
        self.entrepot.restart("kill")
        self.upstream.forget()
        self.hold("read")
        for _ in range(2):
            reply = self.get(here)
            self.expect_right(reply, here)
            self.assert_miss(reply)
        self.expect_still_hung()
        self.faults.clear()
        self.expect_recovery(here)

    def test_f13_manifests_are_not_piled_up(self):
        """Large ones among them, which are given from their files when the disk lets them be written."""
        self.start_with_what_is_here()
        self.hang()
        annotation = "x" * 100_000
        large = [self.content.add(json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": [],
                                              "annotations": {"name": f"{self.id()} {number} {annotation}"}}).encode(), INDEX)
                 for number in range(40)]
        for some in (large[:30], large[30:]):
            crowd = Crowd([lambda on_bytes, m=manifest: self.get(m, on_bytes=on_bytes) for manifest in some])
            for reply, manifest in zip(crowd.wait_ended(), some):
                self.expect_right(reply, manifest)
        self.expect_still_hung()
        self.assertLess(self.entrepot.metric("entrepot_disk_jobs_waiting"), 100)
        self.faults.clear()
        self.expect_recovery(large[-1])

    def test_f13_a_sync_that_never_ends_keeps_nobody_waiting(self):
        self.start_with_what_is_here()
        self.hold("fsync,fdatasync")
        for blob in [self.blob(MIB, f"not synced {number}") for number in range(20)]:
            self.expect_right(self.get(blob), blob)
        self.expect_hit(self.here)
        self.expect_still_hung()
        self.faults.clear()
        self.expect_recovery()

    def test_f13_the_same_offline_waits(self):
        """There is nobody else to ask: the disk may take its time, and then it is a hit."""
        self.start_with_what_is_here()
        self.entrepot.stop()
        self.entrepot.set_key("cache.offline", True)
        self.entrepot.start()
        self.hang()
        crowd = Crowd([lambda on_bytes: self.get(self.here, on_bytes=on_bytes)] * 6)
        wait.until(lambda: self.hung.matched >= 4, "the disk to be asked")
        self.faults.clear()
        for reply in crowd.wait_ended():
            self.expect_right(reply, self.here)
            self.assert_hit(reply)
