"""hooks.prefetch: what was pushed is here before anybody asks."""

import json

from harness import case, quirks, wait
from harness.content import digest_of
from harness.image import OCI_INDEX
from test_hooks import REPOSITORY, HookCase, quay


class PrefetchTest(HookCase):
    def setUp(self):
        super().setUp()
        self.hut = self.store.image("hut")
        self.upstream.tag(REPOSITORY, self.hut)

    def start_it(self, **more):
        self.start(hooks__prefetch=True, **more)

    def announce(self, *tags: str):
        self.assertEqual(self.hook(quay(*tags)), (200, {"revalidated": len(tags)}))

    def everything(self) -> set[str]:
        """All platforms of `hut`: what its index names, and what that names."""
        index = self.document(self.hut.root.digest)
        manifests = [self.document(one["digest"]) for one in index["manifests"]]
        self.assertEqual(len(manifests), 2)
        parts = [part for manifest in manifests for part in (manifest["config"], *manifest["layers"])]
        return {self.hut.root.digest, *(one["digest"] for one in (*index["manifests"], *parts))}

    def document(self, digest: str) -> dict:
        return json.loads(self.store.path(digest).read_bytes())

    def count(self, result: str) -> int:
        return int(self.proxy.metric("entrepot_prefetches_total", result=result) or 0)

    def wait_for(self, result: str, count: int = 1):
        wait.until(lambda: self.count(result) == count, f"{count} prefetches to be {result}")

    @case.short
    def test_all_of_it_is_here_when_the_first_client_comes(self):
        self.start_it()
        self.announce(self.hut.tag)
        self.wait_for("done")
        asked = [f"{seen.method} {seen.path.rsplit('/', 1)[1]}" for seen in self.upstream.seen()]
        self.assertEqual(asked[0], f"HEAD {self.hut.tag}")
        self.assertEqual(sorted(asked[1:]), sorted(f"GET {digest}" for digest in self.everything()), "each once")
        self.upstream.stop_listening()
        for reply in self.pull_everything(self.proxy.client(), REPOSITORY, self.hut):
            self.assert_hit(reply)

    def test_what_is_here_is_not_fetched_again(self):
        self.start_it()
        self.announce(self.hut.tag)
        self.wait_for("done")
        self.upstream.forget()
        self.announce(self.hut.tag)
        self.wait_for("done", 2)
        self.assertEqual([seen.method for seen in self.upstream.seen()], ["HEAD"])

    def test_a_client_shares_what_is_under_way(self):
        self.start_it()
        gate = self.make_gate()
        self.upstream.on("GET", "/blobs/", quirks.stall(10, gate), times=1)
        self.announce(self.hut.tag)
        [seen] = wait.until(lambda: self.upstream.seen("GET", "/blobs/"), "the first blob to be fetched")
        digest = seen.path.rsplit("/", 1)[1]

        def open_gate(count: int):
            if count:
                gate.set()
        reply = self.proxy.client().get(f"/v2/{REPOSITORY}/blobs/{digest}", on_bytes=open_gate)
        self.assertEqual(reply.digest, digest)
        self.wait_for("done")
        self.assertEqual(len(self.upstream.seen("GET", digest)), 1)

    def test_a_push_while_an_older_one_is_being_fetched(self):
        self.start_it()
        gate = self.make_gate()
        self.upstream.on("GET", "/blobs/", quirks.stall(10, gate), times=1)
        self.announce(self.hut.tag)
        wait.until(lambda: self.upstream.seen("GET", "/blobs/"), "the first blob to be fetched")
        self.push(1, self.hut.tag)
        self.announce(self.hut.tag)
        self.announce(self.hut.tag)
        gate.set()
        self.wait_for("done", 2)
        self.assertEqual(len(self.upstream.seen("GET", self.images[1].digest)), 1)
        self.upstream.stop_listening()
        self.assertEqual(self.get(self.hut.tag).digest, self.images[1].digest)

    def test_an_index_that_names_what_is_not_there(self):
        there = self.content.add(json.dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": []}).encode(), OCI_INDEX)
        sparse = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [
            {"mediaType": OCI_INDEX, "digest": digest, "size": 10} for digest in (digest_of(b"not there"), there.digest)]}
        index = self.content.add(json.dumps(sparse).encode(), OCI_INDEX)
        self.upstream.tag_digest(REPOSITORY, "sparse", index.digest)
        self.start_it()
        self.announce("sparse")
        self.wait_for("done")
        self.assertIn("2 manifests, 0 blobs; 2 of them new (0 bytes of blobs), 1 missing upstream", self.proxy.log())
        self.proxy.wait_committed([there.digest])

    def test_a_failure_is_told_and_the_next_goes_on(self):
        self.start_it()
        self.upstream.on("GET", "/manifests/", quirks.failing(403), times=1)
        self.upstream.tag(REPOSITORY, self.hut, "v2")
        self.announce(self.hut.tag, "gone", "v2")
        self.wait_for("done")
        self.assertEqual(self.count("failed"), 2)
        self.assertEqual(self.proxy.log().count("could not be prefetched"), 2)

    def test_a_tag_that_cannot_be_asked_for_is_not_done(self):
        """What it was before is here, and is not what was pushed."""
        self.start_it()
        self.pull_everything(self.proxy.client(), REPOSITORY, self.hut)
        self.upstream.on("HEAD", "/manifests/", quirks.failing(503))
        self.announce(self.hut.tag)
        self.wait_for("failed")
        self.assertEqual(self.count("done"), 0)

    def test_an_index_of_more_than_an_image_has(self):
        many = [{"mediaType": OCI_INDEX, "digest": digest_of(str(number).encode()), "size": 1} for number in range(1500)]
        index = self.content.add(json.dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": many}).encode(), OCI_INDEX)
        self.upstream.tag_digest(REPOSITORY, "many", index.digest)
        self.start_it()
        self.announce("many")
        self.wait_for("failed")
        self.assertLessEqual(len(self.upstream.seen("GET", "/manifests/")), 1000)

    def test_an_image_that_the_cache_cannot_hold(self):
        blob = self.content.make(24 << 20)
        config = self.content.add(b"{}")
        manifest = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
                    "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": config.digest, "size": 2},
                    "layers": [{"mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": blob.digest, "size": blob.size}]}
        large = self.content.add(json.dumps(manifest).encode(), manifest["mediaType"])
        self.upstream.tag_digest(REPOSITORY, "large", large.digest)
        self.start_it(cache__max_size="16MiB")
        self.announce("large")
        self.wait_for("failed")
        self.assertEqual(self.proxy.client().get(f"/v2/{REPOSITORY}/blobs/{blob.digest}").digest, blob.digest, "past the cache")

    def test_the_proxy_stops_while_one_hangs(self):
        self.start_it()
        gate = self.make_gate()
        self.upstream.on("GET", "/blobs/", quirks.stall(10, gate))
        self.announce(self.hut.tag)
        wait.until(lambda: self.upstream.seen("GET", "/blobs/"), "the first blob to be fetched")
        self.proxy.stop()
        self.assertNotIn("could not be prefetched", self.proxy.log())
