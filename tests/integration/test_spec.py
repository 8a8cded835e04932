"""The pull and discovery side of the OCI distribution-spec v1.1, endpoint by endpoint, through the cache: statuses, headers,
error codes; by tag and by digest, sha256 and sha512, cold and warm."""

import json

from harness import case, quirks

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
REPOSITORY = "org/spec"
ALGORITHMS = {"sha256": 64, "sha512": 128}


class SpecCase(case.OneUpstream):
    def add_image(self, algorithm: str, size: int = 100_000):
        """A layer and a manifest that names it, both by that algorithm."""
        layer = self.content.add(bytes(f"layer by {algorithm} ", "ascii") * (size // 16), algorithm=algorithm)
        config = self.content.add(b"{}", "application/vnd.oci.empty.v1+json", algorithm)
        document = {"schemaVersion": 2, "mediaType": MANIFEST,
                    "config": {"mediaType": config.media_type, "digest": config.digest, "size": config.size},
                    "layers": [{"mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": layer.digest, "size": layer.size}]}
        manifest = self.content.add(json.dumps(document).encode(), MANIFEST, algorithm)
        return manifest, layer, config

    def expect_object(self, reply, digest: str, media_type: str, size: int):
        self.assertEqual(reply.status, 200, reply.body)
        self.assertEqual(reply.header("Docker-Content-Digest"), digest)
        self.assertEqual(reply.header("Content-Type"), media_type)
        self.assertEqual(reply.header("Content-Length"), str(size))
        self.assertEqual(reply.header("ETag"), f'"{digest}"')
        self.assertTrue(reply.cache_status.startswith("entrepot; "), reply.cache_status)

    def expect_error(self, reply, status: int, code: str):
        self.assertEqual((reply.status, reply.header("Content-Type")), (status, "application/json"))
        self.assertEqual(reply.json()["errors"][0]["code"], code)
        self.assertTrue(reply.json()["errors"][0]["message"])
        self.assertTrue(reply.cache_status.startswith("entrepot; detail="), reply.cache_status)


@case.short
class PullTest(SpecCase):
    def test_end_1_the_api(self):
        for target in ("/v2/", "/v2", "/docker.io/v2/"):
            for method in ("GET", "HEAD"):
                self.assertEqual(self.client.request(method, target).status, 200, target)

    def test_end_2_blobs(self):
        for algorithm in ALGORITHMS:
            for size in (10, 64 * 1024, 200_000):
                with self.subTest(algorithm=algorithm, size=size):
                    blob = self.content.add(bytes([size % 251]) * size, algorithm=algorithm)
                    target = f"/v2/{REPOSITORY}/blobs/{blob.digest}"
                    octets = "application/octet-stream"
                    self.expect_object(self.client.head(target), blob.digest, octets, size)
                    self.assertEqual(self.entrepot.state(blob.digest), "absent")
                    for turn in ("cold", "warm", "hot"):
                        reply = self.client.get(target)
                        self.expect_object(reply, blob.digest, octets, size)
                        self.assertEqual((reply.digest, reply.header("Accept-Ranges")), (blob.digest, "bytes"), turn)
                        self.entrepot.wait_committed([blob.digest])
                    self.expect_object(self.client.head(target), blob.digest, octets, size)
                    encoded = self.client.get(target.replace(":", "%3A"))
                    self.assertEqual(encoded.header("Docker-Content-Digest"), blob.digest)

    def test_end_3_manifests(self):
        for algorithm in ALGORITHMS:
            with self.subTest(algorithm):
                manifest, layer, config = self.add_image(algorithm)
                target = f"/v2/{REPOSITORY}/manifests/{manifest.digest}"
                for method in ("HEAD", "GET", "HEAD", "GET"):
                    reply = self.client.request(method, target, headers={"Accept": "text/nonsense"})
                    self.expect_object(reply, manifest.digest, MANIFEST, manifest.size)
                for blob in (layer, config):
                    self.assertEqual(self.client.get(f"/v2/{REPOSITORY}/blobs/{blob.digest}").digest, blob.digest)
                # A tag's digest is by sha256, whatever is inside.
                by_tag = self.content.add(b"".join(self.content.chunks(manifest.digest, 0, manifest.size - 1)), MANIFEST)
                self.upstream.tag_digest(REPOSITORY, algorithm, by_tag.digest)
                for method in ("HEAD", "GET", "HEAD", "GET"):
                    reply = self.client.request(method, f"/v2/{REPOSITORY}/manifests/{algorithm}")
                    self.expect_object(reply, by_tag.digest, MANIFEST, manifest.size)

    def test_what_does_not_exist(self):
        for algorithm, digits in ALGORITHMS.items():
            absent = f"{algorithm}:{'0' * digits}"
            self.expect_error(self.client.get(f"/v2/{REPOSITORY}/blobs/{absent}", keep_body=True), 404, "BLOB_UNKNOWN")
            self.expect_error(self.client.get(f"/v2/{REPOSITORY}/manifests/{absent}", keep_body=True), 404, "MANIFEST_UNKNOWN")
            self.assertEqual(self.client.head(f"/v2/{REPOSITORY}/blobs/{absent}").status, 404)
        self.expect_error(self.client.get(f"/v2/{REPOSITORY}/manifests/absent", keep_body=True), 404, "MANIFEST_UNKNOWN")
        self.expect_error(self.client.get("/v2/org/absent/tags/list", keep_body=True), 404, "NAME_UNKNOWN")

    def test_what_cannot_exist(self):
        good = "sha256:" + "a" * 64
        for target, code in ((f"/v2/{REPOSITORY}/blobs/sha256:short", "DIGEST_INVALID"),
                             (f"/v2/{REPOSITORY}/blobs/{good.upper()}", "DIGEST_INVALID"),
                             (f"/v2/{REPOSITORY}/blobs/sha512:{'a' * 64}", "DIGEST_INVALID"),
                             (f"/v2/{REPOSITORY}/manifests/md5:{'a' * 32}", "DIGEST_INVALID"),
                             (f"/v2/{REPOSITORY}/manifests/{'a' * 129}", "TAG_INVALID"),
                             (f"/v2/{REPOSITORY}/manifests/-tag", "TAG_INVALID"),
                             (f"/v2/Org/spec/blobs/{good}", "NAME_INVALID"),
                             (f"/v2/org//spec/blobs/{good}", "NAME_INVALID"),
                             (f"/v2/{'a/' * 130}b/manifests/x", "NAME_INVALID"),
                             (f"/v2/{REPOSITORY}/referrers/{good[:-1]}", "DIGEST_INVALID")):
            with self.subTest(target):
                self.expect_error(self.client.get(target, keep_body=True), 400, code)
        self.assertEqual(self.upstream.seen(), [], "what cannot exist is not asked for")

    def test_writes(self):
        digest = "sha256:" + "a" * 64
        for method, target in (("POST", f"/v2/{REPOSITORY}/blobs/uploads/"), ("POST", f"/v2/{REPOSITORY}/blobs/uploads/?digest={digest}"),
                               ("POST", f"/v2/{REPOSITORY}/blobs/uploads/?mount={digest}&from=org/other"),
                               ("PATCH", f"/v2/{REPOSITORY}/blobs/uploads/1"), ("PUT", f"/v2/{REPOSITORY}/blobs/uploads/1?digest={digest}"),
                               ("PUT", f"/v2/{REPOSITORY}/manifests/latest"), ("DELETE", f"/v2/{REPOSITORY}/manifests/latest"),
                               ("DELETE", f"/v2/{REPOSITORY}/blobs/{digest}"), ("DELETE", f"/v2/{REPOSITORY}/blobs/uploads/1")):
            with self.subTest(method=method, target=target):
                reply = self.client.request(method, target, keep_body=True)
                self.expect_error(reply, 405, "UNSUPPORTED")
                self.assertEqual(reply.header("Allow"), "GET, HEAD")
        self.assertEqual(self.upstream.seen(), [])


class UpstreamErrorTest(SpecCase):
    """What the upstream says no with, and what the client gets. Never a challenge: docker would answer it with the
    credentials of Docker Hub."""

    def test_errors(self):
        for number, (status, code, wanted, wanted_code) in enumerate((
                (401, "UNAUTHORIZED", 403, "DENIED"), (403, "DENIED", 403, "DENIED"), (404, "NAME_UNKNOWN", 404, "NAME_UNKNOWN"),
                (404, "MANIFEST_UNKNOWN", 404, "MANIFEST_UNKNOWN"), (429, "TOOMANYREQUESTS", 429, "TOOMANYREQUESTS"),
                (500, "UNKNOWN", 502, "UNAVAILABLE"), (503, "UNAVAILABLE", 502, "UNAVAILABLE"))):
            with self.subTest(status=status, code=code):
                digest = f"sha256:{number + 1:064x}"
                self.upstream.behave()
                self.upstream.on("*", "/v2/", quirks.failing(status, code, retry_after=7 if status == 429 else None),
                                 quirks.add_header("WWW-Authenticate", 'Basic realm="upstream"' if status == 401 else None))
                reply = self.client.get(f"/v2/{REPOSITORY}/manifests/{digest}")
                self.expect_error(reply, wanted, wanted_code)
                self.assertEqual(reply.header("WWW-Authenticate"), "")
                if status == 429:
                    self.assertEqual(reply.header("Retry-After"), "7")
                self.assertNotIn(self.upstream.address, reply.body.decode() if wanted >= 500 else "")
