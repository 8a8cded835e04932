"""The base of the tests of simulated registries."""

import json
import pathlib

from harness import case, secrets, skopeo
from harness.image import OCI_INDEX
from harness.own_etc import OwnEtc

from . import hosts


class RegistryCase(case.TestCase):
    def setUp(self):
        super().setUp()
        self.address = self.make_network().ADDRESS
        self.etc = OwnEtc(self.scratch / "etc")
        self.hosts = hosts.NamedHosts(self.authority, self.etc)
        self.hut = self.store.image("hut")
        self.password = secrets.make("upstream password")
        self.basic = secrets.basic("reader", self.password)
        self.pulls = 0
        self.trusted = self.scratch / "trusted"
        self.trusted.mkdir()
        (self.trusted / "ca.crt").write_text(self.authority.ca_file.read_text())

    def serve(self, kind, **options):
        """A service with a public and a private image."""
        service = kind(self.hosts, self.content, **options)
        for server in service.servers:
            self._serve(server)
        return service

    def start(self, url: str, name: str = "entrepot", environment: dict | None = None, tag_ttl: str = "0s",
              upstream: str = "", **more):
        """entrepot over TLS; the upstream has the name of the url's host, unless told otherwise."""
        table = {"name": upstream or url.split("//")[1], "url": url, "ca_file": str(self.authority.ca_file),
                 "allow_private": [self.hosts.NETWORK], "tag_ttl": tag_ttl, **more}
        self.addCleanup(self.expect_no_secrets_in, self.scratch / name / "cache")
        return self.make_entrepot(table, name=name, tls=self.authority.server(f"{name} itself", f"IP:{self.address}"),
                                  etc=self.etc, environment=environment, server__listen=[f"{self.address}:0"], server__threads=1)

    def expect_no_secrets_in(self, cache: pathlib.Path):
        """What entrepot has written: the index, and blobs, of which these tests have small ones."""
        for path in cache.rglob("*"):
            if path.is_file():
                self.assertEqual(secrets.found_in(path.read_bytes().decode("latin-1")), [], path)

    def own(self, username: str = "reader") -> dict:
        return {"access": "shared", "allow_unauthenticated_private": True, "username": username,
                "password_file": secrets.write(self.scratch / "password", self.password)}

    def pull(self, proxy, reference: str) -> dict[str, int]:
        self.pulls += 1
        return skopeo.copy(f"{proxy.address}/{reference}", self.scratch / f"pull-{self.pulls}", authorities=self.trusted)

    def pull_hut(self, proxy, repository: str):
        found = self.pull(proxy, f"{repository}:latest")
        self.assertEqual(set(self.hut.digests) - found.keys(), set())

    def refuse(self, proxy, reference: str, *wanted: str):
        with self.assertRaises(AssertionError) as refused:
            self.pull(proxy, reference)
        self.assertTrue(any(text in str(refused.exception) for text in wanted), refused.exception)

    def cold_and_warm(self, service, proxy, repository: str, *, token: str = "", storages: set[str] = frozenset()):
        """Pulls `hut`. Cold: the tag's HEAD, again with a token of `token` ("host GET path"), then each manifest and each blob by
        one GET, and a blob's again at one of the storages. Warm: the tag's HEAD alone."""
        upstream = service.registry.name
        self.pull_hut(proxy, f"{upstream}/{repository}")
        manifests = f"{upstream} %s /v2/{repository}/manifests/%s"
        index, amd64, arm64 = (short(digest) for digest in (self.hut.root.digest, *self.platforms()))
        tag = manifests % ("HEAD", "latest")
        in_order = [*([tag, token] if token else []), tag, *(manifests % ("GET", short) for short in (index, amd64, arm64))]
        in_any_order = [f"{upstream} GET /v2/{repository}/blobs/{short(blob)}" for blob in self.blobs()]
        traffic = service.traffic()
        self.assertEqual([line for line in traffic if line in in_order], in_order)
        self.assertEqual(sorted(line for line in traffic if "/blobs/" in line), sorted(in_any_order))
        led_to = [line for line in traffic if line not in in_order and "/blobs/" not in line and " POST " not in line]
        self.assertLessEqual({line.split()[0] for line in led_to}, storages)
        if storages:
            self.assertEqual(sorted(line.rsplit("/", 1)[1] for line in led_to), sorted(short(blob) for blob in self.blobs()))
        self.look_at_requests(service)
        service.forget()
        self.pull_hut(proxy, f"{upstream}/{repository}")
        self.assertEqual(service.traffic(), [tag])

    def look_at_requests(self, service):
        """What holds for each of them."""
        for server in service.servers:
            for seen in server.seen():
                self.assertTrue((seen.header("User-Agent") or "").startswith("entrepot/"), seen.text())
                self.assertIn(seen.header("Accept-Encoding"), (None, "identity"))
                self.assertNotIn(seen.header("Accept"), (None, "") if "/manifests/" in seen.path else ())
                self.assertIsNone(seen.header("Cookie") or seen.header("Referer") or seen.header("X-Forwarded-For"))

    def make_index(self, number: int):
        """One that no other number gives."""
        index = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [], "annotations": {"number": str(number)}}
        return self.content.add(json.dumps(index).encode(), OCI_INDEX)

    def only(self, service, label: str, *hosts: str):
        """Secrets of that kind were shown to these hosts, and to nobody else."""
        self.assertEqual(service.who_saw(label), set(hosts), label)

    def platforms(self) -> list[str]:
        return [one["digest"] for one in json.loads(self.store.path(self.hut.root.digest).read_bytes())["manifests"]]

    def blobs(self) -> set[str]:
        """Of both platforms."""
        manifests = [json.loads(self.store.path(digest).read_bytes()) for digest in self.platforms()]
        return {part["digest"] for manifest in manifests for part in (manifest["config"], *manifest["layers"])}


def short(digest: str) -> str:
    return digest[:len("sha256:") + 10]
