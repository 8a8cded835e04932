"""cache.offline: nobody is asked, everything that is here is served, nothing is evicted."""

import json
import shutil

from harness import case, skopeo, wait
from harness.content import digest_of
from harness.image import OCI_INDEX
from harness.made_image import add_json, descriptor, make_image, make_layer

MIB = 1 << 20


@case.short
class OfflineTest(case.TestCase):
    def setUp(self):
        super().setUp()
        self.hut = self.store.image("hut")
        self.upstream = self.make_upstream()
        self.upstream.tag("library/hut", self.hut)

    def start(self, **settings):
        """Online, with a tag_ttl that is over at once."""
        return self.make_entrepot(self.hub(self.upstream.url, tag_ttl="0s"), **settings)

    def go_offline(self, proxy, meanwhile=lambda: None, **settings):
        proxy.stop()
        meanwhile()
        for key, value in {"cache.offline": True, **settings}.items():
            proxy.set_key(key, value)
        self.upstream.forget()
        self.connections = self.upstream.connections
        proxy.start()

    def expect_nobody_asked(self):
        self.assertEqual((self.upstream.seen(), self.upstream.connections), ([], self.connections))

    def test_what_is_here_is_served_and_nobody_is_asked(self):
        proxy = self.start()
        self.pull_everything(proxy.client(), "library/hut", self.hut)
        proxy.wait_committed(self.hut.digests)
        self.go_offline(proxy)
        for _ in range(2):
            for reply in self.pull_everything(proxy.client(), "library/hut", self.hut):
                self.assert_hit(reply)
        skopeo.copy(f"{proxy.address}/library/hut:{self.hut.tag}", self.scratch / "pull", everything=False)
        self.expect_nobody_asked()
        self.assertIn("offline", proxy.log())

    def test_misses_say_that_it_is_offline(self):
        proxy = self.start()
        self.pull_everything(proxy.client(), "library/hut", self.hut)
        proxy.wait_committed(self.hut.digests)
        unknown = digest_of(b"not here")
        other = self.content.make(1000).digest
        manifest = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [{"mediaType": OCI_INDEX, "digest": unknown, "size": 7}]}
        index = self.content.add(json.dumps(manifest).encode(), OCI_INDEX)
        self.upstream.tag_digest("library/sparse", "latest", index.digest)
        self.assertEqual(proxy.client().get("/v2/library/sparse/manifests/latest").status, 200)
        proxy.wait_committed([index.digest])
        self.go_offline(proxy)
        for method, path, code in (("GET", "/v2/library/hut/manifests/other", "MANIFEST_UNKNOWN"),
                                   ("GET", "/v2/library/other/manifests/latest", "MANIFEST_UNKNOWN"),
                                   ("GET", f"/v2/library/hut/manifests/{unknown}", "MANIFEST_UNKNOWN"),
                                   ("GET", f"/v2/library/hut/blobs/{other}", "BLOB_UNKNOWN"),
                                   ("GET", f"/v2/library/sparse/blobs/{unknown}", "BLOB_UNKNOWN"),
                                   ("GET", f"/v2/library/other/blobs/{self.hut.layers[0].digest}", "BLOB_UNKNOWN"),
                                   ("GET", "/v2/library/other/tags/list", "NAME_UNKNOWN"),
                                   ("HEAD", f"/v2/library/sparse/blobs/{unknown}", ""), ("HEAD", "/v2/library/hut/manifests/other", "")):
            with self.subTest(f"{method} {path}"):
                reply = proxy.client().request(method, path, keep_body=True)
                self.assertEqual(reply.status, 404)
                if code:
                    [error] = reply.json()["errors"]
                    self.assertEqual((error["code"], "offline" in error["message"]), (code, True), error)
        self.expect_nobody_asked()
        self.assertEqual(list((self.scratch / "entrepot/cache/parts").iterdir()), [])

    def test_a_tag_that_moved_meanwhile_is_what_it_was(self):
        proxy = self.start()
        known = proxy.client().get("/v2/library/hut/manifests/latest").digest
        proxy.wait_committed([known])
        self.upstream.tag_digest("library/hut", "latest", self.hut.manifest.digest)
        self.go_offline(proxy)
        self.assertEqual(proxy.client().get("/v2/library/hut/manifests/latest").digest, known)
        self.go_online(proxy)
        self.assertEqual(proxy.client().get("/v2/library/hut/manifests/latest").digest, self.hut.manifest.digest)

    def go_online(self, proxy):
        proxy.stop()
        proxy.set_key("cache.offline", False)
        proxy.start()

    def test_tags_and_referrers_are_what_is_here(self):
        proxy = self.start()
        tags = ["v1", "v2", "a", "latest", "V10"]
        for tag in tags:
            self.upstream.tag("library/hut", self.hut, tag)
            self.assertEqual(proxy.client().get(f"/v2/library/hut/manifests/{tag}").status, 200)
        self.upstream.tag("library/hut", self.hut, "unseen")
        self.upstream.tag("library/hut2", self.hut, "other")
        proxy.client().get("/v2/library/hut2/manifests/other")
        signature = {"mediaType": OCI_INDEX, "digest": digest_of(b"signature"), "size": 9, "artifactType": "x/signature"}
        fallback = self.content.add(json.dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [signature]}).encode(), OCI_INDEX)
        fallback_tag = self.hut.root.digest.replace(":", "-")
        self.upstream.tag_digest("library/hut", fallback_tag, fallback.digest)
        self.assertEqual(proxy.client().get(f"/v2/library/hut/manifests/{fallback_tag}").status, 200)
        proxy.wait_committed([fallback.digest])
        self.go_offline(proxy)
        everything = sorted([*tags, fallback_tag])
        listed = lambda query="": proxy.client().get(f"/v2/library/hut/tags/list{query}")  # noqa: E731
        self.assertEqual(listed().json(), {"name": "library/hut", "tags": everything})
        found, page = [], "/v2/library/hut/tags/list?n=2"
        while page:
            reply = proxy.client().get(page)
            self.assertLessEqual(len(reply.json()["tags"]), 2)
            found += reply.json()["tags"]
            page = (reply.header("Link") or "").partition("<")[2].partition(">")[0]
        self.assertEqual(found, everything)
        self.assertEqual(listed("?last=v1").json()["tags"], ["v2"])
        referrers = proxy.client().get(f"/v2/library/hut/referrers/{self.hut.root.digest}")
        self.assertEqual([one["digest"] for one in referrers.json()["manifests"]], [signature["digest"]])
        none = proxy.client().get(f"/v2/library/hut/referrers/{self.hut.manifest.digest}")
        self.assertEqual((none.status, none.json()["manifests"]), (200, []))
        self.expect_nobody_asked()

    def test_referrers_that_were_pulled_are_listed(self):
        """By what they say of themselves, in the repository in which they were pulled; those of the fallback tag beside them."""
        proxy = self.start()
        signed = make_image(self.content, "signature", [make_layer(self.content, 100, "signature")], subject=self.hut.root)
        document = json.loads(b"".join(self.content.chunks(signed.root.digest, 0, signed.root.size - 1))) | {"annotations": {"by": "somebody"}}
        del document["artifactType"]
        noted = add_json(self.content, document, signed.root.media_type)
        listed = {"mediaType": OCI_INDEX, "digest": digest_of(b"elsewhere"), "size": 9, "artifactType": "x/elsewhere"}
        fallback = add_json(self.content, {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [listed, descriptor(noted)]}, OCI_INDEX)
        fallback_tag = self.hut.root.digest.replace(":", "-")
        self.upstream.tag_digest("library/hut", fallback_tag, fallback.digest)
        for reference in (signed.root.digest, noted.digest, fallback_tag):
            self.assertEqual(proxy.client().get(f"/v2/library/hut/manifests/{reference}").status, 200)
        proxy.wait_committed([signed.root.digest, noted.digest, fallback.digest])
        self.go_offline(proxy)
        page = f"/v2/library/hut/referrers/{self.hut.root.digest}"
        self.assertCountEqual(proxy.client().get(page).json()["manifests"], [
            descriptor(signed.root) | {"artifactType": "application/vnd.example"},
            descriptor(noted) | {"artifactType": document["config"]["mediaType"], "annotations": {"by": "somebody"}},
            listed])
        filtered = proxy.client().get(f"{page}?artifactType=application/vnd.example").json()["manifests"]
        self.assertEqual([one["digest"] for one in filtered], [signed.root.digest])
        elsewhere = proxy.client().get(f"/v2/library/other/referrers/{self.hut.root.digest}")
        self.assertEqual(elsewhere.json()["manifests"], [])
        self.expect_nobody_asked()

    def test_nothing_is_evicted(self):
        """Also when there is more than the budget allows."""
        blobs = [self.content.make(4 * MIB, seed) for seed in range(6)]
        proxy = self.start(cache__max_size="64MiB")
        for blob in blobs:
            self.assertEqual(proxy.client().get(f"/v2/library/hut/blobs/{blob.digest}").digest, blob.digest)
        proxy.wait_committed([blob.digest for blob in blobs])
        self.go_offline(proxy, **{"cache.max_size": "16MiB"})
        for blob in blobs:
            self.assertEqual(proxy.client().get(f"/v2/library/hut/blobs/{blob.digest}").digest, blob.digest)
        self.expect_nobody_asked()

    def test_the_index_is_lost(self):
        proxy = self.start()
        self.pull_everything(proxy.client(), "library/hut", self.hut)
        proxy.wait_committed(self.hut.digests)
        self.go_offline(proxy, lambda: shutil.rmtree(self.scratch / "entrepot/cache/index"))

        def is_all_there() -> bool:
            paths = [f"manifests/{self.hut.tag}", *(f"blobs/{blob.digest}" for blob in self.hut.blobs)]
            return all(proxy.client().get(f"/v2/library/hut/{path}").status == 200 for path in paths)
        wait.until(is_all_there, "the index to be rebuilt")
        self.pull_everything(proxy.client(), "library/hut", self.hut)
        self.expect_nobody_asked()
