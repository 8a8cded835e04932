"""The main job: real clients pull a real image through entrepot, cold and warm."""

from harness import case, skopeo


class DockerTest(case.TestCase):
    def pull_cold_and_warm(self, registry, **upstream):
        entrepot = self.make_entrepot(self.hub(registry.url, **upstream))
        house = self.store.image("house")

        cold = self.make_dockerd(entrepot.url, "dockerd-cold")
        self.assertEqual(cold.pull("house:latest"), house.root.digest)
        self.assertEqual(cold.run_container("house", "echo", "it runs"), "it runs")
        self.assertEqual(registry.count("GET", "/blobs/", 200), len(house.blobs))
        self.assertEqual(registry.count("GET", "/manifests/", 200), len(house.manifests))
        cold_image = cold.inspect("house:latest")
        cold.stop()
        entrepot.wait_committed(house.digests)

        before = len(registry.requests())
        warm = self.make_dockerd(entrepot.url, "dockerd-warm")
        self.assertEqual(warm.pull("house:latest"), house.root.digest)
        self.assertEqual(warm.run_container("house", "cat", "/etc/motd"), "an entrepot test image")
        asked = [(r.method, r.target) for r in registry.requests()[before:]]
        self.assertEqual([request for request in asked if request[0] == "GET"], [], "a warm pull fetched something")

        warm_image = warm.inspect("house:latest")
        self.assertEqual(warm_image["Id"], house.config.digest)
        self.assertEqual(warm_image["Id"], cold_image["Id"])
        self.assertEqual(warm_image["RepoDigests"], [f"house@{house.root.digest}"])
        self.assertEqual(warm_image["RootFS"], cold_image["RootFS"])

    def test_a_docker_daemon_pulls_cold_and_another_pulls_warm(self):
        self.pull_cold_and_warm(self.make_registry())

    def test_the_same_over_tls_with_a_ca_file(self):
        registry = self.make_registry(tls=self.authority.server("registry", "IP:127.0.0.1"))
        self.pull_cold_and_warm(registry, ca_file=self.authority.ca_file)

    def test_by_prefix(self):
        """`docker pull HOST:PORT/quay.io/…`: no mirror, any registry. The daemon has one mirror for Docker Hub all the same."""
        registry = self.make_registry()
        quay = {"name": "quay.io", "url": registry.url, "allow_private": ["127.0.0.0/8"]}
        entrepot = self.make_entrepot(self.hub("http://127.0.0.1:9"), quay)
        hut, house = self.store.image("hut"), self.store.image("house")
        daemon = self.make_dockerd(None)
        self.assertEqual(daemon.pull(f"{entrepot.address}/quay.io/library/house:latest"), house.root.digest)
        self.assertEqual(daemon.pull(f"{entrepot.address}/quay.io/library/hut@{hut.root.digest}"), hut.root.digest)
        for name in ("quay.example/library/hut:latest", "localhost/hut:latest"):
            self.assertIn("not configured here", daemon.docker("pull", f"{entrepot.address}/{name}", check=False))

    def test_containerd_with_a_hosts_directory(self):
        """ctr, which says `ns`; with a path in the mirror's URL, too, and with `override_path`."""
        registry = self.make_registry()
        quay = {"name": "quay.io", "url": registry.url, "allow_private": ["127.0.0.0/8"]}
        entrepot = self.make_entrepot(self.hub("http://127.0.0.1:9"), quay)
        daemon, house = self.make_dockerd(None), self.store.image("house")
        shapes = {"ns": (entrepot.url, False), "prefix": (f"{entrepot.url}/quay.io", False),
                  "override": (f"{entrepot.url}/v2/quay.io", True), "override-short": (f"{entrepot.url}/quay.io", True)}
        for name, (url, overrides) in shapes.items():
            with self.subTest(name):
                digests = daemon.fetch_by_containerd("quay.io/library/house:latest", url, overrides)
                self.assertLessEqual(set(house.digests), digests)
                entrepot.wait_committed(digests)
        fetched = [r.target for r in registry.requests() if r.method == "GET" and r.path != "/v2/"]
        self.assertEqual(len(fetched), len(set(fetched)), "something was fetched twice")

    def test_docker_schema_2_keeps_its_type_and_digest(self):
        registry = self.make_registry()
        entrepot = self.make_entrepot(self.hub(registry.url))
        hut = self.store.image("hut", "docker")
        daemon = self.make_dockerd(entrepot.url)
        self.assertEqual(daemon.pull("hut:docker"), hut.root.digest)
        self.assertEqual(daemon.pull(f"hut@{hut.root.digest}"), hut.root.digest)
        reply = entrepot.client().get("/v2/library/hut/manifests/docker")
        self.assertEqual(reply.header("Content-Type"), hut.root.media_type)


class SkopeoTest(case.TestCase):
    def test_skopeo_copies_every_platform_cold_and_warm(self):
        registry = self.make_registry()
        entrepot = self.make_entrepot(self.hub(registry.url))
        house = self.store.image("house")
        straight = skopeo.copy(f"{registry.address}/library/house:latest", self.scratch / "straight")

        before = len(registry.requests())
        cold = skopeo.copy(f"{entrepot.address}/library/house:latest", self.scratch / "cold")
        self.assertEqual(cold, straight)
        self.assertEqual(skopeo.root_digest(self.scratch / "cold"), house.root.digest)
        fetched = [r.target for r in registry.requests()[before:] if r.method == "GET" and r.path != "/v2/"]
        self.assertEqual(len(fetched), len(set(fetched)), "something was fetched twice")
        entrepot.wait_committed(straight)

        before = len(registry.requests())
        warm = skopeo.copy(f"{entrepot.address}/library/house:latest", self.scratch / "warm")
        self.assertEqual(warm, straight)
        self.assertEqual([r.target for r in registry.requests()[before:] if r.method == "GET"], [])

    def test_skopeo_with_a_mirror_in_its_registries_conf(self):
        registry = self.make_registry()
        entrepot = self.make_entrepot(self.hub(registry.url))
        hut = self.store.image("hut")
        pulled = skopeo.copy("docker.io/library/hut:latest", self.scratch / "pulled", mirror=entrepot.address)
        self.assertLessEqual(set(hut.digests), pulled.keys())


@case.short
class ClientTest(case.TestCase):
    def test_cold_then_warm(self):
        registry = self.make_registry()
        entrepot = self.make_entrepot(self.hub(registry.url))
        hut = self.store.image("hut")
        for reply in self.pull_everything(entrepot.client(), "library/hut", hut)[:1]:
            self.assert_miss(reply)
        entrepot.wait_committed(hut.digests)
        before = registry.count("GET", "/v2/.")
        for reply in self.pull_everything(entrepot.client(), "library/hut", hut):
            self.assert_hit(reply)
        self.assertEqual(registry.count("GET", "/v2/."), before)

    def test_a_large_image_over_tls(self):
        registry = self.make_registry(tls=self.authority.server("registry", "IP:127.0.0.1"))
        entrepot = self.make_entrepot(self.hub(registry.url, ca_file=self.authority.ca_file))
        house = self.store.image("house")
        self.pull_everything(entrepot.client(), "library/house", house)
        self.assertEqual(registry.count("GET", "/blobs/"), len(house.blobs))

    def test_an_upstream_with_an_unknown_authority_is_not_believed(self):
        registry = self.make_registry(tls=self.authority.server("registry", "IP:127.0.0.1"))
        entrepot = self.make_entrepot(self.hub(registry.url))
        reply = entrepot.client().get("/v2/library/hut/manifests/latest")
        self.assertIn(reply.status, (502, 503, 504))
        self.assertEqual(registry.count("GET", ""), 0)
