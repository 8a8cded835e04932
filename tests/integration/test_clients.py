"""The clients that people use, each pulling an index, an OCI image and a Docker schema 2 image, cold and warm, and asking
what is known of it: a change of that would be news."""

from harness import case, skopeo

class ClientsCase(case.TestCase):
    def setUp(self):
        super().setUp()
        self.registry = self.make_registry()
        quay = {"name": "quay.io", "url": self.registry.url, "allow_private": ["127.0.0.0/8"]}
        self.entrepot = self.make_entrepot(self.hub(self.registry.url), quay)
        self.images = {"index": self.store.image("house"), "schema 2": self.store.image("hut", "docker")}

    def references(self, prefix: str) -> dict[str, tuple[str, str, set[str]]]:
        """What is pulled: by name, the reference, the digest that it has, and all digests of it."""
        house, hut = self.images["index"], self.images["schema 2"]
        return {"index": (f"{prefix}house:latest", house.root.digest, set(house.digests)),
                "OCI image": (f"{prefix}house@{house.manifest.digest}", house.manifest.digest,
                              set(house.digests) - {house.root.digest}),
                "schema 2": (f"{prefix}hut:docker", hut.root.digest, set(hut.digests))}

    def fetched(self) -> list[str]:
        return [r.target for r in self.registry.requests() if r.method == "GET" and r.path != "/v2/"]

    def pull_cold_and_warm(self, client, prefix: str, expect_requests):
        """`client` pulls and forgets. `expect_requests(answered, kind)` looks at what a pull asked."""
        for turn in ("cold", "warm"):
            for kind, (reference, digest, digests) in self.references(prefix).items():
                with self.subTest(turn=turn, kind=kind):
                    answers, fetches = len(self.entrepot.answered()), len(self.fetched())
                    pulled = client.pull(reference)
                    # buildah tells the digest of the platform's manifest alone.
                    self.assertTrue({pulled} <= {digest} if isinstance(pulled, str) else pulled & digests, pulled)
                    self.entrepot.wait_committed(digests)
                    asked = self.entrepot.answered()[answers:]
                    self.assertEqual({a.status for a in asked} - {"200"}, set(), asked)
                    expect_requests(asked, kind)
                    if turn == "warm":
                        self.assertEqual(len(self.fetched()), fetches, "a warm pull fetched something")
                    client.forget()
        self.assertEqual(len(self.fetched()), len(set(self.fetched())), "something was fetched twice")

    def expect_order(self, asked, *patterns: str):
        """The first requests, as "METHOD /end-of-the-target"."""
        seen = [f"{a.method} {a.target}" for a in asked]
        self.assertGreaterEqual(len(seen), len(patterns), seen)
        for said, pattern in zip(seen, patterns):
            method, end = pattern.split(" ")
            self.assertTrue(said.startswith(method + " ") and said.endswith(end), f"{said} is not {pattern}, in {seen}")


class DockerdTest(ClientsCase):
    """wire.md B1: ping, HEAD of the tag, GET by digest; by digest no HEAD."""

    def expect(self, asked, kind: str):
        self.assertEqual({a.user_agent.split("/")[0] for a in asked}, {"docker"})
        ping = ["GET /v2/"]
        if kind == "OCI image":
            self.expect_order(asked, *ping, f"GET {self.images['index'].manifest.digest}")
        else:
            image = self.images[kind]
            self.expect_order(asked, *ping, f"HEAD /manifests/{image.tag}", f"GET /manifests/{image.root.digest}")
        self.assertNotIn("HEAD", {a.method for a in asked if "/blobs/" in a.target})

    def test_as_mirror(self):
        self.pull_cold_and_warm(self.make_dockerd(self.entrepot.url), "", self.expect)

    def test_by_prefix(self):
        daemon = self.make_dockerd(None)
        self.pull_cold_and_warm(daemon, f"{self.entrepot.address}/quay.io/library/", self.expect)


class ContainersTest(ClientsCase):
    """wire.md B4: ping, GET of the tag, never HEAD; with a mirror that is a prefix, too."""

    def expect(self, asked, kind: str):
        self.assertEqual({a.method for a in asked}, {"GET"})
        last = f"/manifests/{self.images['index'].manifest.digest}" if kind == "OCI image" else f"/manifests/{self.images[kind].tag}"
        self.expect_order(asked, "GET /v2/", f"GET {last}")

    def pull_by(self, program: str):
        client = self.make_containers(program, {"docker.io": self.entrepot.address, "quay.io": f"{self.entrepot.address}/quay.io"})
        self.pull_cold_and_warm(client, "docker.io/library/", self.expect)
        self.assertEqual({a.upstream for a in self.entrepot.answered() if a.upstream}, {"docker.io"})
        quay = f"quay.io/library/hut@{self.store.image('hut').manifest.digest}"
        self.assertIn(self.store.image("hut").manifest.digest, client.pull(quay))
        self.assertIn("quay.io", {a.upstream for a in self.entrepot.answered()})

    def test_podman(self):
        self.pull_by("podman")

    def test_buildah(self):
        self.pull_by("buildah")


class SkopeoTest(ClientsCase):
    def test_skopeo(self):
        client = skopeo.Skopeo(self.scratch / "skopeo", self.entrepot.address)
        self.pull_cold_and_warm(client, "docker.io/library/", lambda *asked: ContainersTest.expect(self, *asked))


class ContainerdTest(ClientsCase):
    """wire.md B3: no ping, HEAD of the tag, then by digest; `ns` names the registry."""

    def expect(self, asked, kind: str):
        self.assertEqual({a.user_agent.split("/")[0] for a in asked}, {"containerd"})
        self.assertNotIn("/v2/", {a.target for a in asked})
        self.assertEqual(asked[0].method, "HEAD")

    def test_ctr(self):
        client = Ctr(self.make_dockerd(None), self.entrepot.url)
        self.pull_cold_and_warm(client, "quay.io/library/", self.expect)
        self.assertEqual({a.upstream for a in self.entrepot.answered() if a.upstream}, {"quay.io"})


class Ctr:
    def __init__(self, daemon, url: str):
        self._daemon, self._url = daemon, url

    def pull(self, reference: str) -> set[str]:
        return self._daemon.fetch_by_containerd(reference, self._url, False)

    def forget(self):
        """Each fetch begins with nothing."""
