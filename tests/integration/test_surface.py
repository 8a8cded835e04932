"""The HTTP surface as product.md promises it: verbs, errors, headers, addressing."""

import pathlib
import re
import resource
import socket

from harness import case


@case.short
class SurfaceTest(case.TestCase):
    def setUp(self):
        super().setUp()
        self.hut = self.store.image("hut")
        self.upstream = self.make_upstream(behind=self.make_registry())
        self.entrepot = self.make_entrepot(self.hub(self.upstream.url))
        self.client = self.entrepot.client()
        self.layer = self.hut.layers[0]
        self.blob = f"/v2/library/hut/blobs/{self.layer.digest}"

    def code(self, reply) -> str:
        self.assertIn("application/json", reply.header("Content-Type"))
        return reply.json()["errors"][0]["code"]

    def raw(self, text: str) -> bytes:
        with socket.create_connection(("127.0.0.1", self.entrepot.port), 30) as connection:
            connection.sendall(text.encode())
            data = b""
            while chunk := connection.recv(65536):
                data += chunk
            return data

    def test_the_ping(self):
        reply = self.client.get("/v2/")
        self.assertEqual(reply.status, 200)
        self.assertEqual(reply.header("Docker-Distribution-Api-Version"), "registry/2.0")

    def test_write_verbs_are_refused_with_allow(self):
        digest = self.hut.root.digest
        for method, target in (("POST", "/v2/library/hut/blobs/uploads/"), ("PUT", "/v2/library/hut/manifests/latest"),
                               ("PATCH", "/v2/library/hut/blobs/uploads/1"), ("DELETE", f"/v2/library/hut/manifests/{digest}"),
                               ("POST", "/v2/"), ("DELETE", self.blob)):
            with self.subTest(method=method, target=target):
                reply = self.client.request(method, target, keep_body=True)
                self.assertEqual((reply.status, self.code(reply)), (405, "UNSUPPORTED"))
                self.assertEqual({verb.strip() for verb in reply.header("Allow").split(",")}, {"GET", "HEAD"})
        self.assertEqual(self.upstream.seen(), [])

    def test_the_body_of_a_write_is_not_waited_for(self):
        answer = self.raw("PUT /v2/library/hut/manifests/latest HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n")
        self.assertIn(b" 405 ", answer.split(b"\r\n")[0])

    def test_what_does_not_exist(self):
        absent = "sha256:" + "0" * 64
        for target, status, codes in (
                ("/v2/library/nothing/manifests/latest", 404, ("NAME_UNKNOWN", "MANIFEST_UNKNOWN")),
                (f"/v2/library/hut/manifests/{absent}", 404, ("MANIFEST_UNKNOWN",)),
                (f"/v2/library/hut/blobs/{absent}", 404, ("BLOB_UNKNOWN",)),
                ("/v2/registry.example/hut/manifests/latest", 404, ("NAME_UNKNOWN",)),
                ("/v2/library/hut/manifests/latest?ns=registry.example", 404, ("NAME_UNKNOWN",)),
                ("/v2/library/hut/blobs/sha256:short", 400, ("DIGEST_INVALID",)),
                ("/v2/Library/HUT/manifests/latest", 400, ("NAME_INVALID",))):
            with self.subTest(target=target):
                reply = self.client.get(target, keep_body=True)
                self.assertEqual(reply.status, status, reply.body)
                self.assertIn(self.code(reply), codes)
        self.assertEqual(self.client.get("/nothing/here", keep_body=True).status, 404)

    def test_an_unknown_registry_is_never_dialled(self):
        self.client.get("/v2/registry.example/library/hut/manifests/latest")
        self.client.get("/v2/library/hut/manifests/latest?ns=registry.example")
        self.assertEqual(self.upstream.seen(), [])

    def test_headers_of_blobs(self):
        for turn in ("miss", "hit"):
            reply = self.client.get(self.blob)
            self.assertEqual(reply.header("Docker-Content-Digest"), self.layer.digest)
            self.assertEqual(reply.header("Content-Length"), str(self.layer.size))
            self.assertEqual(reply.header("ETag"), f'"{self.layer.digest}"')
            self.assertEqual(reply.header("Accept-Ranges"), "bytes")
            self.assertTrue(reply.header("Content-Type"))
            (self.assert_miss if turn == "miss" else self.assert_hit)(reply)
            self.entrepot.wait_committed([self.layer.digest])
        self.assertEqual(len(self.upstream.seen("GET", self.layer.digest)), 1)

    def test_headers_of_manifests(self):
        for reference in ("latest", self.hut.root.digest):
            for method in ("GET", "HEAD"):
                reply = self.client.request(method, f"/v2/library/hut/manifests/{reference}")
                self.assertEqual(reply.status, 200)
                self.assertEqual(reply.header("Docker-Content-Digest"), self.hut.root.digest)
                self.assertEqual(reply.header("Content-Length"), str(self.hut.root.size))
                self.assertEqual(reply.header("Content-Type"), self.hut.root.media_type)
                self.assertEqual(reply.header("ETag"), f'"{self.hut.root.digest}"')

    def test_a_digest_is_served_whatever_the_client_accepts(self):
        reply = self.client.get(f"/v2/library/hut/manifests/{self.hut.root.digest}", headers={"Accept": "*/*"})
        self.assertEqual((reply.status, reply.digest), (200, self.hut.root.digest))

    def test_head_of_an_uncached_blob_starts_no_fill(self):
        reply = self.client.head(self.blob)
        self.assertEqual((reply.status, reply.header("Content-Length")), (200, str(self.layer.size)))
        self.assertEqual(self.entrepot.state(self.layer.digest), "absent")
        self.assertEqual(list((self.entrepot.cache / "parts").glob("*")), [])
        self.assertEqual(self.client.head(f"/v2/library/hut/blobs/sha256:{'0' * 64}").status, 404)

    def test_ranges_of_a_cached_blob(self):
        self.client.get(self.blob)
        self.entrepot.wait_committed([self.layer.digest])
        content, size = self.store.path(self.layer.digest).read_bytes(), self.layer.size
        for asked, first, last in (("bytes=0-99", 0, 99), ("bytes=100-", 100, size - 1), ("bytes=-5", size - 5, size - 1),
                                   (f"bytes=10-{size * 2}", 10, size - 1)):
            with self.subTest(asked):
                reply = self.client.get(self.blob, headers={"Range": asked}, keep_body=True)
                self.assertEqual((reply.status, reply.header("Content-Range")), (206, f"bytes {first}-{last}/{size}"))
                self.assertEqual(reply.body, content[first:last + 1])
        reply = self.client.get(self.blob, headers={"Range": f"bytes={size}-"}, keep_body=True)
        self.assertEqual((reply.status, reply.header("Content-Range")), (416, f"bytes */{size}"))

    def test_the_shapes_of_a_mirror_url(self):
        for target in ("/v2/hut/manifests/latest", "/v2/library/hut/manifests/latest",
                       "/v2/docker.io/library/hut/manifests/latest", "/v2/library/hut/manifests/latest?ns=docker.io",
                       "/v2/docker.io/hut/manifests/latest"):
            with self.subTest(target):
                reply = self.client.get(target)
                self.assertEqual((reply.status, reply.digest), (200, self.hut.root.digest), reply.body)
                if "ns=" in target:
                    self.assertEqual(reply.header("OCI-Namespace"), "docker.io")
        self.assertEqual({r.path.split("/manifests/")[0] for r in self.upstream.seen(None, "/manifests/")}, {"/v2/library/hut"})

    def test_tags_are_answered_without_asking_again(self):
        for _ in range(3):
            self.client.get("/v2/library/hut/manifests/latest")
            self.client.head("/v2/library/hut/manifests/latest")
        self.assertEqual(len(self.upstream.seen("GET", "/manifests/")), 1)
        self.assertLessEqual(len(self.upstream.seen("HEAD", "/manifests/")), 1)

    def test_keep_alive_pipelining_and_http_1_0(self):
        kept = self.entrepot.client(keep=True)
        for _ in range(3):
            self.assertEqual(kept.get(self.blob).digest, self.layer.digest)
        answer = self.raw("GET /v2/ HTTP/1.1\r\nHost: x\r\n\r\n" * 2 + "GET /v2/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        self.assertEqual(answer.count(b"HTTP/1.1 200 "), 3)
        self.assertIn(b" 200 ", self.raw("GET /v2/ HTTP/1.0\r\n\r\n").split(b"\r\n")[0])
        old = self.raw(f"GET {self.blob} HTTP/1.0\r\n\r\n")
        self.assertEqual(len(old.split(b"\r\n\r\n", 1)[1]), self.layer.size)

    def test_requests_that_are_not_http(self):
        for text in ("GET http://registry.example/v2/ HTTP/1.1\r\nHost: x\r\n\r\n", "nonsense\r\n\r\n",
                     "GET /v2/ HTTP/1.1\r\n\r\n"):
            with self.subTest(text):
                self.assertIn(b" 400 ", self.raw(text).split(b"\r\n")[0])

    def test_the_table_of_descriptors_never_grows_while_serving(self):
        """The loop that accepts would sleep in the kernel for 10 to 20 ms, each time."""
        hard = min(resource.prlimit(self.entrepot.pid, resource.RLIMIT_NOFILE)[1], 65536)
        status = pathlib.Path(f"/proc/{self.entrepot.pid}/status").read_text()
        self.assertGreaterEqual(int(re.search(r"FDSize:\s+(\d+)", status)[1]), hard)

    def test_admin(self):
        admin = self.entrepot.admin()
        self.assertEqual((admin.get("/healthz").status, admin.get("/readyz").status), (200, 200))
        self.assertIn(b"# TYPE", admin.get("/metrics").body)

    def test_the_control_socket_is_for_its_owner(self):
        self.assertEqual((self.entrepot.cache / "control.sock").stat().st_mode & 0o777, 0o600)
        self.assertEqual(self.entrepot.state(self.layer.digest), "absent")
        self.client.get(self.blob)
        self.entrepot.wait_committed([self.layer.digest])
