"""`client_certificate`: who we are to a registry that asks for that, and to nobody else."""

from harness import paths, process, quirks
from harness.entrepot import to_toml
from harness.upstream import ScriptedUpstream, Storage
from simulator.case import RegistryCase


class ClientCertificateTest(RegistryCase):
    NAME = "registry.example.test"

    def setUp(self):
        super().setUp()
        self.upstream = self._serve(ScriptedUpstream(self.content, **self.hosts.place(self.NAME)))
        self.mirror = self._serve(ScriptedUpstream(self.content, **self.hosts.place("mirror.example.test")))
        self.storage = self._serve(Storage(self.content, **self.hosts.place("cdn.example.test")))
        self.upstream.ask_for_certificates(self.authority.ca_file, must_have_one=True)
        for other in (self.mirror, self.storage):
            other.ask_for_certificates(self.authority.ca_file, must_have_one=False)
        self.upstream.tag("library/hut", self.hut)
        self.upstream.on("GET", "/blobs/", quirks.redirect(lambda: self.storage.signed(self.upstream.seen()[-1].path.rsplit("/", 1)[1])))
        self.ours = self.authority.client("our-own-name")

    def identity(self) -> dict:
        return {"client_certificate": self.ours.certificate, "client_key": self.ours.key}

    def test_it_is_shown_to_the_registry_alone(self):
        proxy = self.start(f"https://{self.NAME}", mirrors=[self.mirror.url], **self.identity())
        self.pull_hut(proxy, f"{self.NAME}/library/hut")
        self.assertEqual({seen.client for seen in self.upstream.seen()}, {"our-own-name"})
        self.assertTrue(self.storage.seen())
        self.assertEqual({seen.client for seen in self.storage.seen()}, {""})
        self.upstream.stop()
        proxy.client().get(f"/v2/{self.NAME}/library/other/manifests/latest")
        self.assertTrue(self.mirror.seen())
        self.assertEqual({seen.client for seen in self.mirror.seen()}, {""})

    def test_without_one_nobody_gets_in(self):
        """The control."""
        proxy = self.start(f"https://{self.NAME}")
        self.assertIn(proxy.client().get(f"/v2/{self.NAME}/library/hut/manifests/latest").status, (502, 504))
        self.assertEqual(self.upstream.seen(), [])

    def test_what_is_wrong_with_it_is_said_at_the_start(self):
        other = self.authority.client("another")
        encrypted = self.scratch / "encrypted.key"
        process.run(["openssl", "pkcs8", "-topk8", "-in", self.ours.key, "-out", encrypted, "-passout", "pass:x"])
        for wrong, said in (({"client_key": other.key}, "is not the key of"), ({"client_key": encrypted}, "without a passphrase"),
                            ({"client_certificate": self.ours.key}, "holds no PEM certificate"),
                            ({"client_key": self.scratch / "nothing"}, "No such file")):
            with self.subTest(said), self.assertRaisesRegex(AssertionError, f"ended with 1(?s:.)*client_certificate(?s:.)*{said}"):
                self.start(f"https://{self.NAME}", name=said.replace(" ", "-"), **(self.identity() | wrong))

    def test_check_config(self):
        for keys, said in (({"client_certificate": "/a"}, "client_certificate: needs client_key"),
                           ({"client_key": "/a"}, "client_key: needs client_certificate"),
                           ({"client_certificate": "/a", "client_key": "/b", "url": "http://10.0.0.1"}, "needs an https:// url")):
            configuration = self.scratch / "wrong.toml"
            configuration.write_text(to_toml([{"name": "x", "url": "https://x.test", "default": True, **keys}]))
            self.assertIn(said, process.run([paths.BINARY, "check-config", "--config", configuration], check=False))
