"""The stand-ins show what they stand in for: what a client meets that does not know a registry's peculiarities. entrepot's own
requests never do (test_registries); these are the controls."""

import base64
import gzip
import http.client
import json
import urllib.parse

from harness import case
from harness.image import DOCKER_MANIFEST, OCI_INDEX
from simulator import ecr, github, gitlab, google, hosts, hub, kubernetes, quay

_SCHEMA_1 = "application/vnd.docker.distribution.manifest.v1+prettyjws"


@case.short
class SimulatorTest(case.TestCase):
    def setUp(self):
        super().setUp()
        self.hut = self.store.image("hut")
        self.blob = self.hut.layers[-1].digest

    def serve(self, kind):
        service = kind(hosts.LocalHosts(), self.content, users={"reader": "secret"})
        for server in service.servers:
            self._serve(server)
        service.publish("library/hut", self.hut)
        service.publish("team/hut", self.hut, private=True)
        return service

    def ask(self, url: str, method: str = "GET", body: bytes | None = None, **headers: str):
        """status, headers, body; no redirect is followed."""
        parts = urllib.parse.urlsplit(url)
        connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=30)
        connection.request(method, f"{parts.path}?{parts.query}", body, {name.replace("_", "-"): value for name, value in headers.items()})
        response = connection.getresponse()
        found = response.status, dict((name.lower(), value) for name, value in response.getheaders()), response.read()
        connection.close()
        return found

    def token(self, realm: str, repository: str, user: str = "") -> str:
        headers = {"Authorization": "Basic " + base64.b64encode(f"{user}:secret".encode()).decode()} if user else {}
        status, _, body = self.ask(f"{realm}?scope=repository:{repository}:pull", **headers)
        return "Bearer " + json.loads(body)["token"] if status == 200 else f"status {status}"

    def test_hub(self):
        service = self.serve(hub.Hub)
        url, realm = service.registry.url, service.tokens.realm
        token = self.token(realm, "library/hut")
        path = f"{url}/v2/library/hut/manifests/latest"
        for accept, kind in (("", _SCHEMA_1), ("*/*", _SCHEMA_1), (OCI_INDEX, OCI_INDEX), (DOCKER_MANIFEST, None)):
            _, headers, _ = self.ask(path, Authorization=token, Accept=accept)
            digest = self.hut.manifest.digest if kind is None else None
            self.assertEqual(headers["content-type"], kind or self.hut.manifest.media_type)
            self.assertIn(digest, (None, headers["docker-content-digest"]))
        self.assertEqual(self.ask(path, "HEAD", Authorization=token)[1]["ratelimit-remaining"], "96;w=21600")
        status, headers, _ = self.ask(f"{url}/v2/hut/manifests/latest", Authorization=self.token(realm, "hut", "reader"))
        self.assertEqual(status, 401)
        self.assertIn("insufficient_scope", headers["www-authenticate"])
        private = self.ask(f"{url}/v2/team/hut/manifests/latest", Authorization=self.token(realm, "team/hut", "reader"), Accept=OCI_INDEX)
        self.assertRegex(private[1]["docker-ratelimit-source"], r"^[0-9-]{36}$")
        places = [self.ask(f"{url}/v2/library/hut/blobs/{self.blob}", Authorization=token)[1]["location"] for _ in range(3)]
        self.assertEqual(len({urllib.parse.urlsplit(place).netloc for place in places}), 3)
        answers = [self.ask(place, Authorization=token)[0] for place in places]
        self.assertEqual(answers, [200, 400, 200], "one of its storages takes one kind of authentication alone")
        for storage in service.cdns:
            storage.forget()

    def test_quay(self):
        service = self.serve(quay.Quay)
        url = service.registry.url
        status, _, body = self.ask(f"{url}/v2/auth?scope=repository:library/hut:pull")
        self.assertEqual((status, list(json.loads(body))), (200, ["token"]))
        token = "Bearer " + json.loads(body)["token"]
        path = f"{url}/v2/library/hut/manifests/latest"
        self.assertEqual(self.ask(path, Authorization=token, Accept="*/*")[1]["content-type"], _SCHEMA_1)
        self.assertNotIn("etag", self.ask(path, Authorization=token, Accept=OCI_INDEX)[1])
        status, headers, _ = self.ask(f"{url}/v2/library/hut/blobs/{self.blob}", Authorization=token)
        self.assertEqual((status, headers["cache-control"], headers["connection"]), (302, "max-age=31536000", "close"))
        service.registry.is_direct = False
        packed = self.ask(f"{url}/v2/library/hut/blobs/{self.blob}", Authorization=token, Accept_Encoding="gzip")
        self.assertEqual(len(gzip.decompress(packed[2])), self.hut.layers[-1].size)

    def test_ecr(self):
        service = self.serve(ecr.Ecr)
        url = service.registry.url
        self.assertIn("Basic", self.ask(f"{url}/v2/")[1]["www-authenticate"])
        self.assertEqual(self.ask(service.bucket.signed(self.blob), "HEAD")[0], 403)
        self.assertEqual(self.ask(service.bucket.signed(self.blob), Authorization="Basic x")[0], 400)
        service.bucket.forget()

    def test_ecr_public(self):
        service = self.serve(ecr.EcrPublicService)
        url = service.registry.url
        token = "Bearer " + json.loads(self.ask(f"{url}/token/?scope=aws")[2])["token"]
        self.assertEqual(self.ask(f"{url}/v2/library/hut/blobs/{self.blob}", "HEAD", Authorization=token)[0], 401)
        self.assertEqual(self.ask(f"{url}/v2/library/hut/blobs/{self.blob}", Authorization=token)[0], 307)

    def test_artifact_registry(self):
        service = self.serve(google.ArtifactRegistry)
        url = service.registry.url
        self.assertNotIn("service", self.ask(f"{url}/v2/")[1]["www-authenticate"])
        self.assertEqual(self.ask(f"{url}/v2/token", "POST", b"")[0], 404)
        token = self.token(f"{url}/v2/token", "library/hut")
        self.assertEqual(self.ask(f"{url}/v2/library/hut/manifests/latest", Authorization=token, Accept="*/*")[0], 404)
        status, headers, _ = self.ask(f"{url}/v2/library/hut/blobs/{self.blob}", Authorization=token)
        self.assertEqual((status, headers["location"][0]), (302, "/"))
        self.assertEqual(self.ask(url + headers["location"])[0], 200, "its ticket is enough")

    def test_ghcr(self):
        service = self.serve(github.Ghcr)
        realm = service.registry.tokens.realm
        self.assertEqual(self.token(realm, "team/hut"), "status 403")
        service.registry.tokens.status_without_rights = 401
        self.assertEqual(self.token(realm, "team/hut"), "status 401")
        self.assertTrue(self.token(realm, "team/hut", "reader").startswith("Bearer"))
        service.directory.users["reader"] = "another"
        self.assertEqual(self.token(realm, "library/hut", "reader"), "status 403", "even for what is public")

    def test_kubernetes(self):
        service = self.serve(kubernetes.Kubernetes)
        url = service.registry.url
        for method in ("GET", "HEAD"):
            status, headers, _ = self.ask(f"{url}/v2/library/hut/manifests/latest", method)
            self.assertEqual((status, headers["location"]),
                             (307, f"{service.manifests.url}/v2/k8s-artifacts-prod/images/library/hut/manifests/latest"))
        self.assertEqual(self.ask(f"{url}/v2/", "POST", b"")[0], 405)

    def test_gitlab(self):
        service = self.serve(gitlab.GitLab)
        service.registry.signs_manifests = True
        token = self.token(service.tokens.realm, "library/hut")
        status, headers, _ = self.ask(f"{service.registry.url}/v2/library/hut/manifests/latest", "HEAD", Authorization=token, Accept=OCI_INDEX)
        self.assertEqual((status, self.ask(headers["location"], "HEAD")[0], self.ask(headers["location"])[0]), (302, 403, 200))
        several = self.ask(f"{service.tokens.realm}?scope=repository:library/hut:pull&scope=repository:library/x:pull")
        first = "Bearer " + json.loads(several[2])["token"]
        self.assertFalse(service.tokens.accepts(first, "repository:library/hut:pull"), "the last scope alone counts")
