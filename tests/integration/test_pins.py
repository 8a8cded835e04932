"""pin and unpin: what is pinned is neither evicted nor purged, whatever happens, until it is unpinned."""

import os
import shutil

from harness import case, quirks, wait
from harness.made_image import make_image, make_layer
from harness.manage_case import ManageCase

KIB, MIB = 1 << 10, 1 << 20
PREFIX = "docker.io/library"


@case.short
class PinTest(ManageCase):
    def fill(self, budget: int):
        """Pulls others until whatever may be evicted has been."""
        for number in range(2 * budget // (50 * KIB)):
            blob = self.content.make(50 * KIB, f"filler {number} {self.id()}")
            self.assertEqual(self.proxy.client().get(f"/v2/library/filler/blobs/{blob.digest}").status, 200)

    def are_here(self, name: str) -> bool:
        return set(self.images[name].digests) <= self.files()

    def test_pinned_is_not_evicted(self):
        self.start("app:1", "app:2", "app:3", cache__max_size="3MiB")
        told = self.proxy.tell("pin", "app:1", "app:2")
        self.assertEqual([(image["image"], image["blobs"], image["missing"]) for image in told["images"]],
                         [(f"{PREFIX}/app:1", 5, 0), (f"{PREFIX}/app:2", 5, 0)])
        self.fill(3 * MIB)
        wait.until(lambda: not self.own_digests("app:3") & self.files(), "what is not pinned to be evicted")
        self.assertTrue(self.are_here("app:1") and self.are_here("app:2"))
        self.assertTrue(self.proxy.images()[f"{PREFIX}/app:1"]["pinned"])
        self.assertEqual(self.proxy.tell("stats")["pinned_images"], 2)

        self.assertEqual(self.proxy.tell("unpin", "app:1")["images"][0]["blobs"], 4, "the layer that app:2 needs stays pinned")
        self.proxy.restart("kill")
        self.fill(3 * MIB)
        wait.until(lambda: not self.own_digests("app:1") & self.files(), "what is pinned no more to be evicted")
        self.assertTrue(self.are_here("app:2"))
        for reply in self.fetch("app:2"):
            self.assert_hit(reply)

    def test_pins_outlive_the_index(self):
        self.start("app:1", "app:2", cache__max_size="3MiB")
        self.proxy.tell("pin", "app:1")
        self.proxy.stop()
        shutil.rmtree(self.proxy.cache / "index")
        self.proxy.start()
        self.assertEqual([image["pinned"] for image in self.proxy.images().values()], [True, False])
        self.fill(3 * MIB)
        self.assertTrue(self.are_here("app:1"))
        self.assertEqual(len(self.proxy.tell("unpin", "app:1")["images"]), 1)
        self.assertEqual(self.proxy.tell("stats")["pinned_bytes"], 0)

    def test_what_refers_to_it_is_pinned_too(self):
        self.start("app:1", cache__max_size="3MiB")
        image = self.images["app:1"]
        signature = make_image(self.content, "signature", [make_layer(self.content, KIB, "signature")], subject=image.root)
        for part in signature.manifests:
            self.assertEqual(self.proxy.client().get(f"/v2/library/app/manifests/{part.digest}").status, 200)
        for part in signature.blobs:
            self.assertEqual(self.proxy.client().get(f"/v2/library/app/blobs/{part.digest}").status, 200)
        self.proxy.wait_committed(signature.digests)
        self.assertEqual(self.proxy.tell("pin", "app:1")["images"][0]["blobs"], 5 + 3)
        self.fill(3 * MIB)
        self.assertTrue(set(signature.digests) <= self.files())

    def test_a_damaged_one_stays_pinned(self):
        """It is fetched again, and is pinned then as it was before."""
        self.start("app:1", cache__max_size="3MiB")
        self.proxy.tell("pin", "app:1")
        pinned = self.proxy.tell("stats")["pinned_bytes"]
        victim = self.images["app:1"].layers[1].digest
        os.truncate(next((self.proxy.cache / "blobs").rglob(victim.split(":")[1])), 3)
        self.fetch("app:1")
        self.proxy.wait_committed([victim])
        self.assertEqual(self.proxy.tell("stats")["pinned_bytes"], pinned)
        self.fill(3 * MIB)
        self.assertTrue(self.are_here("app:1"))
        self.proxy.tell("unpin", "*")
        self.assertEqual(self.proxy.tell("stats")["pinned_bytes"], 0)

    def test_purging_keeps_what_is_pinned(self):
        self.start("app:1", "app:2")
        self.proxy.tell("pin", "app:1")
        ended = self.proxy.run("purge", "app")
        self.assertEqual(ended.returncode, 1)
        self.assertIn(f"{PREFIX}/app:1 is pinned, and is kept", ended.stderr)
        self.wait_gone(self.own_digests("app:2"))
        self.assertEqual(list(self.proxy.images()), [f"{PREFIX}/app:1"])
        for reply in self.fetch("app:1"):
            self.assert_hit(reply)

    def test_what_is_pinned_is_not_purged_piecemeal(self):
        """Not by the digest of a part, not by another image that has it too, and not what refers to it: else it would be kept and
        nobody could be given it."""
        self.start("app:1", "app:2")
        image = self.images["app:1"]
        signature = make_image(self.content, "signature", [make_layer(self.content, KIB, "signature")], subject=image.root)
        self.upstream.tag("library/app", signature)
        for part in signature.manifests:
            self.assertEqual(self.proxy.client().get(f"/v2/library/app/manifests/{part.digest}").status, 200)
        self.proxy.wait_committed([signature.root.digest])
        self.proxy.tell("pin", "app:1")
        for asked in (f"app@{image.manifest.digest}", image.layers[1].digest, signature.root.digest, "app:2", "app"):
            self.proxy.run("purge", asked)
        self.upstream.stop_listening()
        for reply in self.fetch("app:1"):
            self.assert_hit(reply)
        self.assertEqual(self.proxy.client().get(f"/v2/library/app/manifests/{signature.root.digest}").status, 200)
        self.assertFalse(self.own_digests("app:2") & self.files())

    def test_one_that_has_lost_a_manifest_keeps_its_pins(self):
        """Whatever else is unpinned meanwhile."""
        self.start("app:1", "app:2", cache__max_size="3MiB")
        self.proxy.tell("pin", "app:1", "app:2")
        self.proxy.stop()
        lost = self.images["app:1"].manifest.digest
        next((self.proxy.cache / "blobs").rglob(lost.split(":")[1])).unlink()
        self.assertEqual(self.proxy.tell("verify", "--repair")["damaged"], 1)
        self.proxy.tell("unpin", "app:2")
        self.proxy.start()
        self.fill(3 * MIB)
        self.assertTrue(self.own_digests("app:1") - {lost} <= self.files())
        self.fetch("app:1")
        self.fill(3 * MIB)
        self.assertTrue(self.are_here("app:1"))
        self.proxy.tell("unpin", "app:1")
        self.assertEqual(self.proxy.tell("stats")["pinned_bytes"], 0)

    def test_what_has_lost_its_tag_can_be_unpinned(self):
        self.start("app:1")
        image = self.images["app:1"]
        self.upstream.tag_digest("library/app", "amd64", image.manifest.digest)
        self.assertEqual(self.proxy.client().get("/v2/library/app/manifests/amd64").status, 200)
        self.proxy.tell("pin", "app:amd64")
        self.proxy.tell("purge", "app:1")
        self.proxy.run("purge", "app:amd64")
        name = f"app@{image.manifest.digest}"
        self.upstream.on("*", "app/manifests/amd64", quirks.failing(404, "MANIFEST_UNKNOWN"))
        self.proxy.restart()
        self.assertTrue(self.proxy.images(name))
        self.proxy.tell("unpin", name)
        self.assertEqual(self.proxy.tell("stats")["pinned_bytes"], 0)

    def test_of_a_cache_that_is_not_served(self):
        self.start("app:1", cache__max_size="3MiB")
        self.proxy.stop()
        self.proxy.tell("pin", "app:1")
        self.proxy.start()
        self.fill(3 * MIB)
        self.assertTrue(self.are_here("app:1"))

    def test_dry_runs_and_nothing_to_do(self):
        self.start("app:1")
        self.assertTrue(self.proxy.tell("pin", "app:1", "--dry-run")["dry_run"])
        self.assertEqual(self.proxy.run("unpin", "app:1").returncode, 1)
        self.proxy.tell("pin", "app:1")
        self.proxy.tell("pin", "app:1")
        self.assertTrue(self.proxy.tell("unpin", "app:1", "--dry-run")["dry_run"])
        self.assertTrue(self.proxy.images()[f"{PREFIX}/app:1"]["pinned"])
        self.assertEqual(self.proxy.run("pin", "app:9").returncode, 1)
