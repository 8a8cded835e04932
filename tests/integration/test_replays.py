"""Clients that can't be run here, as the requests that they are known to send and what they need of the answers: BuildKit,
crane and kaniko, oras, regclient, stargz, SOCI, nydus; and what containerd and containers/image do with ranges.

Each sequence is sent cold and again warm. What a client insists on is checked as it checks it; where it gives up after some
seconds, so does the socket here."""

import json
import threading

from harness import case, quirks
from harness.answers import Rate
from test_ranges import parts_of

KIB, MIB = 1 << 10, 1 << 20
MANIFEST_TYPES = ("application/vnd.docker.distribution.manifest.v2+json", "application/vnd.docker.distribution.manifest.list.v2+json",
                  "application/vnd.oci.image.manifest.v1+json", "application/vnd.oci.image.index.v1+json")


class ReplayCase(case.TestCase):
    def setUp(self):
        super().setUp()
        self.hut = self.store.image("hut")
        self.upstream = self.make_upstream()
        self.upstream.tag("library/hut", self.hut)
        self.entrepot = self.make_entrepot(self.hub(self.upstream.url))
        self.client = self.entrepot.client()

    def ask(self, method: str, target: str, agent: str, **headers):
        fields = {"User-Agent": agent, "Accept": "*/*", **{name.replace("_", "-"): value for name, value in headers.items()}}
        return self.client.request(method, target, headers=fields, keep_body=True)

    def expect_manifest(self, reply, blob, method: str):
        """What every client needs: type, length and digest, also of a HEAD."""
        self.assertEqual((reply.status, reply.error), (200, ""), reply.body)
        self.assertEqual(reply.header("Content-Type"), blob.media_type)
        self.assertEqual(reply.header("Content-Length"), str(blob.size))
        self.assertEqual(reply.header("Docker-Content-Digest"), blob.digest)
        if method == "GET":
            self.assertEqual(reply.digest, blob.digest)
        else:
            self.assertEqual(reply.size, 0)

    def expect_blob(self, reply, blob):
        self.assertEqual((reply.status, reply.error, reply.digest), (200, "", blob.digest))
        self.assertEqual(reply.header("Content-Length"), str(blob.size))
        self.assertEqual(reply.header("Accept-Ranges"), "bytes")
        for never in ("Content-Encoding", "Transfer-Encoding", "Set-Cookie", "Strict-Transport-Security"):
            self.assertEqual(reply.header(never), "", never)

    def expect_range(self, reply, blob, first: int, last: int):
        self.assertEqual((reply.status, reply.error), (206, ""))
        self.assertEqual(reply.header("Content-Range"), f"bytes {first}-{last}/{blob.size}")
        self.assertEqual(reply.header("Content-Length"), str(last + 1 - first))
        self.assertEqual(reply.header("Accept-Ranges"), "bytes")
        self.assertEqual(reply.digest, self.content.slice_digest(blob.digest, first, last))

    def twice(self, sequence):
        """Cold and warm: the second time nothing is fetched."""
        sequence()
        self.entrepot.wait_committed(self.hut.digests)
        before = len(self.upstream.seen("GET"))
        sequence()
        self.assertEqual([seen.target for seen in self.upstream.seen("GET")[before:]], [], "a warm pull fetched something")

    def sent(self, blob) -> int:
        return sum(seen.sent for seen in self.upstream.seen("GET", blob.digest))


@case.short
class PullSequencesTest(ReplayCase):
    def test_buildkit(self):
        """containerd's resolver, `ns` and, with a path in the mirror's URL, the name in front of the repository."""
        agent = "buildkit/v0.12"
        for base in ("/v2/library/hut", "/v2/docker.io/library/hut"):
            def sequence(base=base):
                head = self.ask("HEAD", f"{base}/manifests/latest?ns=docker.io", agent, Accept=", ".join((*MANIFEST_TYPES, "*/*")))
                self.expect_manifest(head, self.hut.root, "HEAD")
                self.assertEqual(head.header("OCI-Namespace"), "docker.io")
                for manifest in self.hut.manifests:
                    self.expect_manifest(self.ask("GET", f"{base}/manifests/{manifest.digest}?ns=docker.io", agent,
                                                  Accept=f"{manifest.media_type}, */*"), manifest, "GET")
                for blob in self.hut.blobs:
                    self.expect_blob(self.ask("GET", f"{base}/blobs/{blob.digest}?ns=docker.io", agent,
                                              Accept_Encoding="zstd;q=1.0, gzip;q=0.8, deflate;q=0.5"), blob)
            self.twice(sequence)

    def test_dockerd_with_the_containerd_store_asks_for_attestations(self):
        subject = self.hut.root.digest
        for target in (f"/v2/library/hut/referrers/{subject}?artifactType=application/vnd.in-toto&ns=docker.io",
                       f"/v2/library/hut/manifests/{subject.replace(':', '-')}?ns=docker.io"):
            self.assertEqual(self.ask("GET", target, "containerd/1.7").status, 404 if "manifests" in target else 200)

    def test_crane_and_kaniko(self):
        for base, agent in (("/v2/library/hut", "crane/v0.19 go-containerregistry/v0.19"),
                            ("/v2/docker.io/library/hut", "kaniko/v1.23 go-containerregistry/v0.19")):
            def sequence(base=base, agent=agent):
                self.assertEqual(self.ask("GET", "/v2/", agent).status, 200)
                accept = ",".join(MANIFEST_TYPES)
                self.expect_manifest(self.ask("HEAD", f"{base}/manifests/latest", agent, Accept=accept), self.hut.root, "HEAD")
                self.expect_manifest(self.ask("GET", f"{base}/manifests/latest", agent, Accept=accept), self.hut.root, "GET")
                self.expect_manifest(self.ask("GET", f"{base}/manifests/{self.hut.manifest.digest}", agent, Accept=accept),
                                     self.hut.manifest, "GET")
                for blob in self.hut.blobs:
                    self.expect_blob(self.ask("GET", f"{base}/blobs/{blob.digest}", agent), blob)
            self.twice(sequence)

    def test_oras(self):
        def sequence():
            accept = ", ".join((*MANIFEST_TYPES, "application/vnd.oci.artifact.manifest.v1+json"))
            self.expect_manifest(self.ask("HEAD", "/v2/library/hut/manifests/latest", "oras/1.2", Accept=accept), self.hut.root, "HEAD")
            self.expect_manifest(self.ask("GET", f"/v2/library/hut/manifests/{self.hut.root.digest}", "oras/1.2", Accept=accept),
                                 self.hut.root, "GET")
            self.expect_manifest(self.ask("GET", f"/v2/library/hut/manifests/{self.hut.manifest.digest}", "oras/1.2", Accept=accept),
                                 self.hut.manifest, "GET")
            for blob in self.hut.blobs:
                self.expect_blob(self.ask("GET", f"/v2/library/hut/blobs/{blob.digest}", "oras/1.2"), blob)
                last = min(blob.size - 1, 9)
                self.expect_range(self.ask("GET", f"/v2/library/hut/blobs/{blob.digest}", "oras/1.2", Range=f"bytes=2-{last}"),
                                  blob, 2, last)
        self.twice(sequence)
        # It finds out whether there is a referrers API by asking for those of nothing.
        probe = self.ask("GET", f"/v2/library/hut/referrers/sha256:{'0' * 64}", "oras/1.2")
        self.assertEqual((probe.status, probe.header("Content-Type")), (200, "application/vnd.oci.image.index.v1+json"))
        self.assertEqual(json.loads(probe.body)["manifests"], [])

    def test_regclient(self):
        """Its resumed ranges end one byte behind the end (RFC 9110 section 14.1.2 says what that means)."""
        agent = "regclient/regctl (v0.7.0)"

        def sequence():
            ns = "?ns=registry-1.docker.io"
            accept = ", ".join(MANIFEST_TYPES)
            self.expect_manifest(self.ask("HEAD", f"/v2/library/hut/manifests/latest{ns}", agent, Accept=accept), self.hut.root, "HEAD")
            for manifest in self.hut.manifests:
                self.expect_manifest(self.ask("GET", f"/v2/library/hut/manifests/{manifest.digest}{ns}", agent, Accept=accept),
                                     manifest, "GET")
            for blob in self.hut.blobs:
                target = f"/v2/library/hut/blobs/{blob.digest}{ns}"
                self.expect_range(self.ask("GET", target, agent, Range=f"bytes={blob.size // 2}-{blob.size}"),
                                  blob, blob.size // 2, blob.size - 1)
                self.expect_blob(self.ask("GET", target, agent), blob)
        self.twice(sequence)


class LazySequencesTest(ReplayCase):
    """Snapshotters: ranges of blobs that nobody has pulled."""

    def slow_blob(self, bytes_per_second: int, size: int = 48 * MIB):
        blob = self.content.make(size, f"lazy {bytes_per_second}")
        self.upstream.on("GET", blob.digest, quirks.trickle(bytes_per_second))
        return blob, f"/v2/library/hut/blobs/{blob.digest}"

    def within(self, seconds: float, target: str, agent: str, asked: str):
        """A client that gives a connection up when nothing comes for so long."""
        connection = self.client.connect()
        connection.timeout = seconds
        connection.request("GET", target, headers={"User-Agent": agent, "Range": asked, "Accept-Encoding": "identity"})
        response = connection.getresponse()
        body = response.read()
        connection.close()
        return response, body

    def test_stargz(self):
        blob, target = self.slow_blob(8 * MIB)
        agent = "containerd-stargz-grpc/0.15"
        probe = self.ask("GET", target, agent, Range="bytes=0-1", Accept_Encoding="identity")
        self.expect_range(probe, blob, 0, 1)
        head = self.ask("HEAD", target, agent)
        self.assertEqual((head.status, head.header("Content-Length")), (200, str(blob.size)))
        chunk, data = 50_000, b"".join(self.content.chunks(blob.digest, 0, blob.size - 1))
        spans = [(at, at + chunk - 1) for at in range(30 * MIB, 30 * MIB + 40 * chunk, 2 * chunk)]
        reply = self.ask("GET", target, agent, Range="bytes=" + ",".join(f"{a}-{b}" for a, b in spans), Accept_Encoding="identity")
        self.assertEqual(parts_of(reply), [(a, b, blob.size, data[a:b + 1]) for a, b in spans])
        self.expect_range(self.ask("GET", target, agent, Range="bytes=0-1", Accept_Encoding="identity"), blob, 0, 1)

    def test_soci_waits_3_seconds_for_a_head(self):
        blob, target = self.slow_blob(2 * MIB)
        self.assertEqual(self.ask("HEAD", target, "soci-snapshotter/0.9").header("Content-Length"), str(blob.size))
        for first, last in ((0, 1), (40 * MIB, 40 * MIB + 2 * MIB - 1), (20 * MIB, 20 * MIB + 99)):
            response, body = self.within(3, target, "soci-snapshotter/0.9", f"bytes={first}-{last}")
            self.assertEqual((response.status, response.headers["Content-Range"]), (206, f"bytes {first}-{last}/{blob.size}"))
            self.assertEqual(response.headers["Accept-Ranges"], "bytes")
            self.assertEqual(body, b"".join(self.content.chunks(blob.digest, first, last)))

    def test_nydus_waits_5_seconds_for_all(self):
        blob, target = self.slow_blob(2 * MIB)
        for first in (0, 44 * MIB, 10 * MIB + 5):
            last = first + MIB - 1
            answered = []
            # The 5 s are for the whole: a thread that is still at it then has failed.
            asking = threading.Thread(target=lambda: answered.append(self.within(5, target, "nydusd/1.0.0", f"bytes={first}-{last}")),
                                      daemon=True)
            asking.start()
            asking.join(5)
            self.assertTrue(answered, f"no complete answer for bytes from {first} on")
            response, body = answered[0]
            self.assertEqual(response.status, 206)
            self.assertEqual(body, b"".join(self.content.chunks(blob.digest, first, last)))

    def test_zstd_chunked(self):
        """containers/image: all that it lacks of a layer by one request of up to 1,024 ranges, of a blob that is not cached."""
        blob = self.content.make(24 * MIB, "zstd chunked")
        target = f"/v2/library/hut/blobs/{blob.digest}"
        data = b"".join(self.content.chunks(blob.digest, 0, blob.size - 1))
        spans = [(at, at + 2000) for at in range(4 * MIB, 4 * MIB + 1024 * 16 * KIB, 16 * KIB)]
        reply = self.ask("GET", target, "containers/5.29 (github.com/containers/image)", Range="bytes=" + ",".join(f"{a}-{b}" for a, b in spans))
        self.assertEqual(reply.status, 206)
        self.assertEqual(parts_of(reply), [(a, b, blob.size, data[a:b + 1]) for a, b in spans])
        self.entrepot.wait_committed([blob.digest])
        # The main stream is given up once, for what lies behind the ranges; what then is in the buffers of its connection
        # was sent in vain, and is several MiB on loopback.
        self.assertLessEqual(self.sent(blob), 1.25 * blob.size + 8 * MIB)

    def test_containerd_opens_the_end_and_drops_it_early(self):
        blob = self.content.make(64 * MIB, "dropped early")
        self.upstream.on("GET", blob.digest, quirks.shared(Rate(100 * MIB)))
        target = f"/v2/library/hut/blobs/{blob.digest}?ns=docker.io"
        size, wrong = 4 * MIB, []

        def part(first: int):
            reply = self.client.request("GET", target, headers={"Range": f"bytes={first}-", "User-Agent": "containerd/2.1"},
                                        keep_body=True, stop_after=min(size, blob.size - first))
            got = reply.body[:size]
            if reply.status != 206 or got != b"".join(self.content.chunks(blob.digest, first, min(first + size, blob.size) - 1)):
                wrong.append((first, reply.status, len(got)))

        parts = [threading.Thread(target=part, args=(first,)) for first in range(0, blob.size, size)]
        for one in parts:
            one.start()
        for one in parts:
            one.join()
        self.assertEqual(wrong, [])
        self.entrepot.wait_committed([blob.digest])
        self.assertLessEqual(self.sent(blob), 1.25 * blob.size)
