"""HTTP/2 to the upstreams that offer it: for what is brief. Blobs stay with HTTP/1.1."""

import itertools
import json

from harness import answers, client, nginx, quirks, wait
from harness.client import at_once
from harness.image import OCI_INDEX
from simulator import quay
from simulator.case import RegistryCase

_HOST = "registry.example.test"


class QuayTest(RegistryCase):
    def setUp(self):
        super().setUp()
        self.quay = self.serve(quay.Quay)
        self.quay.publish("team/hut", self.hut)

    def test_what_is_brief_shares_one_connection(self):
        self.pull_hut(self.start("https://quay.io"), "quay.io/team/hut")
        seen = self.quay.registry.seen()
        brief = [one for one in seen if "/blobs/" not in one.path]
        self.assertEqual({one.version for one in brief}, {"HTTP/2"})
        self.assertEqual(len({one.connection for one in brief}), 1)
        self.assertGreaterEqual(len(brief), 6, "the tag, twice, a token, an index and two manifests")
        self.assertEqual({one.version for one in seen if "/blobs/" in one.path}, {"HTTP/1.1"})
        self.assertEqual({one.version for one in self.quay.cdn.seen()}, {"HTTP/1.1"})

    def test_its_limit_for_http_1_is_not_met(self):
        self.quay.registry.http1_manifests = 10
        tags = [f"v{number}" for number in range(40)]
        for number, tag in enumerate(tags):
            self.quay.registry.tag_digest("team/hut", tag, self.make_index(number).digest)
        proxy = self.start("https://quay.io")
        replies = [proxy.client().get(f"/v2/quay.io/team/hut/manifests/{tag}") for tag in tags]
        self.assertEqual({reply.status for reply in replies}, {200})
        naive = client.Client(f"https://{self.hosts.addresses['quay.io']}", ca_file=self.authority.ca_file)
        token = {"Authorization": "Bearer " + naive.get("/v2/auth?scope=repository:team/hut:pull").json()["token"]}
        replies = [naive.get("/v2/team/hut/manifests/latest", headers=token) for _ in range(11)]
        self.assertEqual([reply.status for reply in replies], [200] * 10 + [429], "one that speaks HTTP/1.1 meets it")


class ScriptedTest(RegistryCase):
    """What a stream or its connection may come to."""

    def setUp(self):
        super().setUp()
        self.upstream = self.make_upstream(**self.hosts.place(_HOST))
        self.upstream.offer_http2()
        self.upstream.tag("team/hut", self.hut)
        self.path = f"/v2/{_HOST}/team/hut"
        self.manifest = f"{self.path}/manifests/{self.hut.root.digest}"

    def start_it(self, **more):
        return self.start(f"https://{_HOST}", **more)

    def test_many_at_once(self):
        indexes = [self.make_index(number) for number in range(60)]
        proxy = self.start_it()
        gets = [lambda digest=index.digest: proxy.client().get(f"{self.path}/manifests/{digest}") for index in indexes]
        self.assertEqual([reply.digest for reply in at_once(gets)], [index.digest for index in indexes])
        self.assertEqual({seen.version for seen in self.upstream.seen()}, {"HTTP/2"})
        self.assertLess(self.upstream.connections, len(indexes), "most have one that is there")

    def test_a_stream_that_is_always_cut_is_no_answer(self):
        proxy = self.start_it()
        self.upstream.on("GET", self.hut.root.digest, quirks.cut(100, "stream"))
        self.assertIn(proxy.client().get(self.manifest).status, (502, 504))
        self.upstream.behave()
        self.assertEqual(proxy.client().get(self.manifest).digest, self.hut.root.digest)

    def test_cut_once_it_is_asked_for_again(self):
        for how in ("stream", "fin", "rst"):
            for after in (0, 50):
                with self.subTest(how=how, after=after):
                    proxy = self.start_it(name=f"entrepot-{how}-{after}")
                    self.upstream.on("GET", self.hut.root.digest, quirks.cut(after, how), times=1)
                    self.assertEqual(proxy.client().get(self.manifest).digest, self.hut.root.digest)

    def test_a_connection_that_ended_while_it_was_kept(self):
        proxy = self.start_it()
        self.assertEqual(proxy.client().get(self.manifest).status, 200)
        self.upstream.stop_listening()
        self.upstream.listen_again()
        index = self.make_index(1)
        self.assertEqual(proxy.client().get(f"{self.path}/manifests/{index.digest}").digest, index.digest)

    def test_wrong_bytes(self):
        proxy = self.start_it()
        self.upstream.on("GET", self.hut.root.digest, quirks.flip(10))
        self.assertEqual(proxy.client().get(self.manifest).status, 502)

    def test_silence(self):
        """Who has kept silent may be gone: the next request has another connection."""
        proxy = self.start_it(header_timeout="1s")
        self.upstream.on("GET", self.hut.root.digest, quirks.silence())
        self.assertEqual(proxy.client().get(self.manifest).status, 504)
        self.upstream.behave()
        silent = {seen.connection for seen in self.upstream.seen()}
        self.upstream.forget()
        self.assertEqual(proxy.client().get(self.manifest).digest, self.hut.root.digest)
        self.assertEqual({seen.connection for seen in self.upstream.seen()} & silent, set())

    def test_a_blob_that_is_under_way_keeps_its_connection_to_itself(self):
        """Nothing is asked on a connection of HTTP/1.1 in the middle of a body, also when the host speaks HTTP/2."""
        proxy, blob, gate = self.start_it(), self.content.make(1 << 20), self.make_gate()
        self.upstream.on("GET", blob.digest, quirks.stall(300_000, gate))
        indexes = [self.make_index(number) for number in range(8)]

        def ask_and_open():
            wait.until(lambda: self.upstream.seen("GET", blob.digest), "the blob to be under way")
            for number, index in enumerate(indexes):
                if number == 4:  # the connection of HTTP/2 goes, and the next one is younger than the blob's
                    self.upstream.on("GET", index.digest, quirks.hang_up(), times=1)
                self.assertEqual(proxy.client().get(f"{self.path}/manifests/{index.digest}").digest, index.digest)
            gate.set()
        reply, _ = at_once([lambda: proxy.client().get(f"{self.path}/blobs/{blob.digest}"), ask_and_open])
        self.assertEqual(reply.digest, blob.digest)
        [taken] = {seen.connection for seen in self.upstream.seen("GET", blob.digest)}
        self.assertEqual([seen.path for seen in self.upstream.seen() if seen.connection == taken], [f"/v2/team/hut/blobs/{blob.digest}"])
        self.assertEqual({seen.version for seen in self.upstream.seen("GET", "/manifests/")}, {"HTTP/2"})

    def test_a_manifest_of_3_mib(self):
        index = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [], "annotations": {"x": "x" * 3 * 1024 * 1024}}
        large = self.content.add(json.dumps(index).encode(), OCI_INDEX)
        self.assertEqual(self.start_it().client().get(f"{self.path}/manifests/{large.digest}").digest, large.digest)

    def test_a_manifest_without_end(self):
        proxy = self.start_it()
        endless = quirks.instead(lambda: answers.Answer(200, [("Content-Type", OCI_INDEX)], itertools.repeat(b" " * 65536)))
        self.upstream.on("GET", self.hut.root.digest, endless)
        self.assertEqual(proxy.client().get(self.manifest).status, 502)
        seen = self.upstream.seen("GET", self.hut.root.digest)[0]
        wait.until(lambda: seen.ended, "the upstream to be left")
        self.assertLess(seen.sent, 40 * 1024 * 1024, "the limit of a manifest, and what is on its way")
        one, two = self.upstream.seen("GET", self.hut.root.digest)[:2]
        self.assertNotEqual(one.connection, two.connection, "what is on its way is not waited for")


class NginxTest(RegistryCase):
    """docker-registry behind nginx: a real server's HTTP/2, with GOAWAY each ten requests."""

    def test_a_pull_and_many_manifests(self):
        place = self.hosts.place(_HOST)
        registry = self.make_registry()
        front = nginx.Nginx(self.scratch / "nginx", self.log_folder / "nginx.log", place["at"], place["tls"], registry.url, 10)
        self.addCleanup(front.stop)
        proxy = self.start(f"https://{_HOST}")
        for _ in range(25):
            proxy.client().get(f"/v2/{_HOST}/library/hut/manifests/latest")
        self.pull_hut(proxy, f"{_HOST}/library/hut")
        passed = front.passed()
        brief = [one for one in passed if "/manifests/" in one.path and one.version == "HTTP/2.0"]
        self.assertEqual({one.status for one in passed}, {200})
        self.assertEqual({one.version for one in passed if "/blobs/" in one.path}, {"HTTP/1.1"})
        self.assertEqual(brief[0], next(one for one in passed if "/manifests/" in one.path))
        # The others may take a connection that a blob left behind: it is there, and a new one costs a handshake.
        self.assertGreaterEqual(len({one.connection for one in brief}), 2, "a GOAWAY was met")
