"""Private repositories, and where the credential for them goes: to whom it was meant for, and to nobody else."""

from harness import case, client, entrepot, paths, process, quirks, reader, secrets, wait


@case.short
class PrivateTest(reader.ReaderCase):
    def shared(self, url: str, **more) -> dict:
        """An upstream whose credential everybody who reaches entrepot may use."""
        return self.with_credential(url, "shared", allow_unauthenticated_private=True, **more)

    def send_blobs_elsewhere(self, upstream, storage):
        for blob in self.hut.blobs:
            upstream.on("GET", blob.digest, storage.redirect(blob.digest))

    def test_basic(self):
        behind = self.make_registry(basic=("reader", self.password))
        upstream, storage = self.make_upstream(behind=behind), self.make_storage()
        self.send_blobs_elsewhere(upstream, storage)
        proxy = self.make_entrepot(self.shared(upstream.url))
        self.pull_everything(proxy.client(), "keys/hut", self.hut)

        self.assertIn(self.basic, {r.header("Authorization") for r in upstream.seen("GET", "/keys/hut/")})
        self.assertEqual(len(storage.seen("GET")), len(self.hut.blobs))
        self.assertEqual(storage.leaked, [])

    def test_bearer(self):
        upstream, _, tokens = self.with_token_service()
        storage = self.make_storage()
        self.send_blobs_elsewhere(upstream, storage)
        proxy = self.make_entrepot(self.shared(upstream.url, trusted_realms=[tokens.address]))
        self.pull_everything(proxy.client(), "keys/hut", self.hut)

        self.assertEqual({r.header("Authorization") for r in tokens.seen("GET")}, {self.basic})
        self.assertEqual({scope for r in tokens.seen("GET") for scope in r.query["scope"]}, {"repository:keys/hut:pull"})
        brought = {r.header("Authorization") for r in upstream.seen() if r.header("Authorization")}
        self.assertTrue(brought and all(value.startswith("Bearer ") for value in brought),
                        "the registry asks for tokens; the password is not for it")
        self.assertEqual(len(storage.seen("GET")), len(self.hut.blobs))
        self.assertEqual(storage.leaked, [])

    def test_one_token_serves_a_whole_pull(self):
        upstream, _, tokens = self.with_token_service()
        proxy = self.make_entrepot(self.shared(upstream.url, trusted_realms=[tokens.address]))
        replies = client.at_once([lambda b=b: proxy.client().get(f"/v2/keys/hut/blobs/{b.digest}")
                                  for b in self.hut.blobs])
        self.assertEqual([r.digest for r in replies], [b.digest for b in self.hut.blobs])
        self.assertEqual(len(tokens.seen("GET")), 1)

    def test_a_refused_password_is_not_tried_again_and_again(self):
        """Token services lock out who does. One that was mended is tried at once."""
        upstream, _, tokens = self.with_token_service()
        secrets.write(self.scratch / "password", secrets.make("wrong upstream password"))
        proxy = self.make_entrepot(self.shared(upstream.url, trusted_realms=[tokens.address]))
        for _ in range(5):
            self.assertGreaterEqual(proxy.client().get("/v2/keys/hut/manifests/latest").status, 400)
        self.assertEqual(len(tokens.seen("GET")), 1)
        secrets.write(self.scratch / "password", self.password)
        self.pull_everything(proxy.client(), "keys/hut", self.hut)

    def test_a_docker_hub_without_a_credential(self):
        upstream, _, tokens = self.with_token_service()
        proxy = self.make_entrepot(self.hub(upstream.url, trusted_realms=[tokens.address]))
        self.pull_everything(proxy.client(), "library/hut", self.hut)
        self.assertEqual({r.header("Authorization") for r in tokens.seen("GET")}, {None})
        refused = proxy.client().get("/v2/keys/hut/manifests/latest")
        self.assertIn(refused.status, (401, 403, 404))
        self.assertIn(refused.json()["errors"][0]["code"], ("UNAUTHORIZED", "DENIED", "NAME_UNKNOWN", "MANIFEST_UNKNOWN"))

    def test_a_realm_elsewhere_that_nobody_trusts_gets_no_credential(self):
        """The positive control is test_bearer: the same realm, trusted, does get it."""
        upstream, _, tokens = self.with_token_service()
        proxy = self.make_entrepot(self.shared(upstream.url))
        reply = proxy.client().get("/v2/keys/hut/manifests/latest")
        self.assertNotEqual(reply.status, 200)
        self.assertEqual([r.text() for r in tokens.seen() if r.header("Authorization")], [])

    def test_a_redirect_to_another_port_of_the_same_host_gets_no_credential(self):
        """For manifests too: some registries redirect those."""
        upstream = self.make_upstream(behind=self.make_registry(basic=("reader", self.password)))
        elsewhere = self.make_upstream()
        elsewhere.tag("keys/hut", self.hut)
        moved = quirks.redirect(f"{elsewhere.url}/v2/keys/hut/manifests/latest")
        upstream.on("GET", "/manifests/", moved)
        upstream.on("HEAD", "/manifests/", moved)
        proxy = self.make_entrepot(self.shared(upstream.url))
        reply = proxy.client().get("/v2/keys/hut/manifests/latest")
        self.assertEqual((reply.status, reply.digest), (200, self.hut.root.digest))
        self.assertTrue(elsewhere.seen())
        self.assertEqual([r.text() for r in elsewhere.seen() if r.header("Authorization")], [])

    def test_redirects_into_private_networks_need_permission(self):
        upstream, storage = self.make_upstream(), self.make_storage()
        self.send_blobs_elsewhere(upstream, storage)
        settings = self.hub(upstream.url)
        del settings["allow_private"]
        proxy = self.make_entrepot(settings)
        reply = proxy.client().get(f"/v2/library/hut/blobs/{self.hut.layers[0].digest}")
        self.assertIn(reply.status, (502, 503))
        self.assertEqual(storage.seen(), [])

    def test_a_password_that_changes_on_disk_is_read_again(self):
        first = self.make_registry("first", basic=("reader", self.password))
        new = secrets.make("new upstream password")
        second = self.make_registry("second", basic=("reader", new))
        upstream = self.make_upstream(behind=first)
        proxy = self.make_entrepot(self.shared(upstream.url))
        target = "/v2/keys/hut/manifests/"
        self.assertEqual(proxy.client().get(target + self.hut.root.digest).status, 200)
        upstream._behind = second
        secrets.write(self.password_file, new)
        self.assertEqual(proxy.client().get(target + self.hut.manifest.digest).status, 200)

    def test_a_username_without_shared_access_is_refused(self):
        credential = {"username": "reader", "password_file": self.password_file}
        for name, more in (("access", {}), ("allow_unauthenticated_private", {"access": "shared"})):
            with self.subTest(name), self.assertRaisesRegex(AssertionError, f"ended with 1:(?s:.)*{name}"):
                self.make_entrepot(self.hub("http://127.0.0.1:9", **credential, **more), name=f"refused-{name}")

    def test_a_proxys_password_is_not_shown_when_its_url_is_unusable(self):
        password = secrets.make("proxy password")
        environment = {"HTTP_PROXY": "", "http_proxy": f"http://me:{password}@127.0.0.1:80a"}
        proxy = self.make_entrepot(self.hub(self.make_upstream().url, proxy="env"), environment=environment)
        reply = proxy.client().get("/v2/library/hut/manifests/latest")
        self.assertEqual(reply.status, 502)
        self.assertNotIn(password, reply.body.decode())
        wait.until(lambda: "the proxy's URL is unusable" in proxy.log(), "the log to tell")

    def test_check_config_masks_secrets(self):
        configuration = self.scratch / "shown.toml"
        configuration.write_text(entrepot.to_toml([self.shared("http://127.0.0.1:9")]))
        shown = process.run([paths.BINARY, "check-config", "--config", configuration])
        self.assertIn("password_file", shown)
        self.assertNotIn(self.password, shown)
