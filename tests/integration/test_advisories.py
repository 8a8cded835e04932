"""Advisories of the kind "credentials leave for the wrong host" (A01-A10): the flaw that another program had, and that ours has
it not. Each has its control: the same set-up, and somebody who does have the flaw (`Naive`, or Debian's docker-registry), so that
the recorder is known to see what it must not see."""

import base64
import http.client
import json
import urllib.parse

from harness import answers, case, quirks, registry, secrets, wait
from harness.certificates import Authority
from harness.content import digest_of
from harness.image import OCI_MANIFEST
from harness.upstream import ScriptedUpstream
from simulator.advisory import AdvisoryCase, Recorder


class RealmTest(AdvisoryCase):
    def test_a01_a_realm_of_another_host(self):
        """CVE-2026-33540: distribution shows its password to any realm."""
        self.record("evil.test")
        self.record(f"{self.NAME}.evil.test")
        self.record(self.NAME, 8443)
        self.record(self.NAME, 80)
        self.record("www.example.test", 8443)
        for recorder in self.recorders:
            with self.subTest(recorder.url):
                self.want_token_of(f"{recorder.url}/token")
                proxy = self.start_own()
                self.assertEqual(self.get(proxy).status, 502)
                self.assertEqual(self.connections(), {})
                wait.until(lambda: (proxy.metric("entrepot_upstream_realm_rejected_total") or 0) >= 1, "the metric")
                proxy.stop()
        self.want_token_of(f"{self.recorders[0].url}/token")
        self.naive().get(f"https://{self.NAME}/v2/")
        self.assertIn("basic of reader", self.stolen())

    def test_a01_a_neighbour_below_a_public_suffix(self):
        ours = self._serve(ScriptedUpstream(self.content, **self.hosts.place("a.github.io")))
        self.record("b.github.io")
        ours.on("*", "/v2/", quirks.instead(lambda: answers.error(401, "UNAUTHORIZED", "", (
            "WWW-Authenticate", 'Bearer realm="https://b.github.io/token",service="x"'))))
        proxy = self.start("https://a.github.io", **self.own())
        self.assertEqual(proxy.client().get("/v2/a.github.io/x/manifests/latest").status, 502)
        self.assertEqual(self.connections(), {})
        self.naive().get("https://a.github.io/v2/")
        self.assertIn("basic of reader", self.stolen())

    def test_a02_what_a_token_service_gave_stays_there(self):
        """CVE-2026-48978, CVE-2026-24845: refresh tokens go to a realm that has changed; nothing of ours is POSTed."""
        refresh = secrets.make("token of ours for refreshing")
        honest = self._serve(Recorder(**self.hosts.place("auth.example.test")))
        given = {"token": secrets.make("token of the honest one"), "refresh_token": refresh, "expires_in": 300}
        honest.on("GET", "", quirks.instead(lambda: answers.with_body(200, "application/json", json.dumps(given).encode())))
        self.record("evil.test")
        self.want_token_of(f"{honest.url}/token")
        proxy = self.start_own()
        self.get(proxy)
        self.assertEqual([seen.method for seen in honest.seen()], ["GET"])
        self.want_token_of("https://evil.test/token")
        for _ in range(3):
            self.get(proxy)
        self.assertEqual(self.connections(), {})
        self.assertEqual([seen.text() for seen in self.upstream.seen() if refresh in seen.text()], [])
        self.naive().get(f"https://{self.NAME}/v2/")
        self.assertIn("basic of reader", self.stolen())

    def test_a08_the_token_service_is_verified(self):
        """CVE-2019-10214, CVE-2025-59347. The password is not on the wire before the handshake."""
        name = "auth.example.test"
        for flaw, certificate in (("expired", self.authority.server("expired", f"DNS:{name}", days=-1)),
                                  ("another's", self.authority.server("wrong", "DNS:other.example.test")),
                                  ("self-signed", self.stranger().server("stranger", f"DNS:{name}"))):
            with self.subTest(flaw):
                service = Recorder(**self.hosts.place(name, certificate=certificate))
                self.want_token_of(f"{service.url}/token")
                proxy = self.start_own()
                self.assertEqual(self.get(proxy).status, 502)
                self.assertGreater(service.connections, 0)
                self.assertEqual(service.seen(), [])
                self.naive().get(f"https://{self.NAME}/v2/")
                self.assertTrue(service.seen(), "who does not verify is heard")
                service.stop()
                proxy.stop()

    def stranger(self) -> Authority:
        """Whom nobody knows."""
        return Authority(self.scratch / "stranger")


class RedirectTest(AdvisoryCase):
    def setUp(self):
        super().setUp()
        self.upstream.require_basic("reader", self.password)
        self.blob = self.hut.layers[0]
        self.path = f"/v2/library/hut/blobs/{self.blob.digest}"
        self.honest = [self.record("cdn.test"), self.record(self.NAME, 8443)]
        for recorder in self.honest:
            recorder.on("GET", "", quirks.instead(lambda: self.upstream._object("blobs", self.blob.digest, None)))
        self.refused = [self.record("plain.test", 80), self.record(self.NAME, 80)]

    def lead_to(self, location: str):
        self.upstream.behave()
        self.upstream.on("GET", self.path, quirks.redirect(location))

    def test_a03_urls_of_foreign_layers(self):
        """CVE-2020-15157: they are never followed."""
        self.record("evil.test")
        content = b"a foreign layer"
        layer = {"mediaType": "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip", "size": len(content),
                 "digest": digest_of(content), "urls": ["https://evil.test/x"]}
        config = {"mediaType": self.hut.config.media_type, "digest": self.hut.config.digest, "size": self.hut.config.size}
        manifest = json.dumps({"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": config, "layers": [layer]}).encode()
        made = self.content.add(manifest, OCI_MANIFEST)
        proxy = self.start_own()
        self.assertEqual(self.get(proxy, f"manifests/{made.digest}").body, manifest)
        self.assertEqual(self.get(proxy, f"blobs/{layer['digest']}").status, 404)
        self.assertEqual(self.connections(), {})
        self.naive().get(layer["urls"][0])
        self.assertIn("basic of reader", self.stolen())

    def test_a04_a05_nothing_of_ours_goes_with_a_redirect(self):
        """CVE-2026-49349, CVE-2026-50151, CVE-2018-1000007, CVE-2022-27774, CVE-2022-27776: another host, another port or scheme
        of the same one."""
        for recorder in self.recorders:
            with self.subTest(recorder.url):
                self.lead_to(f"{recorder.url}/x?signature=1")
                proxy = self.start_own()
                reply = self.get(proxy, f"blobs/{self.blob.digest}")
                self.assertEqual(reply.status, 200 if recorder in self.honest else 502)
                self.assertEqual(bool(recorder.seen()), recorder in self.honest)
                self.assertEqual(self.stolen(), [])
                for seen in recorder.seen():
                    names = {name.lower() for name, _ in seen.headers}
                    self.assertLessEqual(names, {"host", "user-agent", "accept", "accept-encoding", "range", "if-range"})
                proxy.stop()
        self.lead_to("https://cdn.test/x")
        self.naive().get(f"https://{self.NAME}{self.path}")
        self.assertIn("basic of reader", self.stolen())

    def test_a04_a_target_that_asks_for_a_credential(self):
        cdn = self.honest[0]
        for challenge in ('Basic realm="x"', 'Bearer realm="https://cdn.test/token",service="x"'):
            cdn.behave()
            cdn.on("GET", "", quirks.instead(lambda: answers.error(401, "UNAUTHORIZED", "", ("WWW-Authenticate", challenge))))
            self.lead_to("https://cdn.test/x")
            proxy = self.start_own()
            self.assertGreaterEqual(self.get(proxy, f"blobs/{self.blob.digest}").status, 400)
            self.assertEqual({seen.path for seen in cdn.seen()}, {"/x"})
            self.assertEqual(self.stolen(), [])
            proxy.stop()
        self.naive().get("https://cdn.test/x")
        self.assertIn("basic of reader", self.stolen())

    def test_a10_hosts_that_are_spelt_to_be_read_twice(self):
        """curl's CVE-2022-27780. What is checked is what is dialled: also a property test, url_test's WhatIsCheckedIsWhatIsDialled."""
        self.record("evil.test")
        for target in ("https://cdn.test%2F@evil.test/", "https://cdn.test%00.evil.test/", "https://cdn.test\\@evil.test/",
                       "https://reader@evil.test/", "https://evil.test%2f.cdn.test/", "//evil.test:443@cdn.test/",
                       "https://ev\til.test/", "https://evil.test\\.cdn.test/"):
            with self.subTest(target):
                self.lead_to(target)
                proxy = self.start_own()
                self.assertEqual(self.get(proxy, f"blobs/{self.blob.digest}").status, 502)
                self.assertEqual(self.connections(), {})
                proxy.stop()
        self.naive().get("https://evil.test/")
        self.assertTrue(self.connections())

    def test_a09_there_is_no_falling_back_to_plain_http(self):
        """CVE-2014-5277, CVE-2025-59410: the port refuses TLS and speaks HTTP."""
        place = self.hosts.place("plain.example.test")
        plain = self._serve(Recorder(**{**place, "tls": None}))
        self.recorders.append(plain)
        proxy = self.start("https://plain.example.test", name="entrepot-plain", **self.own())
        self.assertIn(proxy.client().get("/v2/plain.example.test/x/manifests/latest").status, (502, 504))
        self.assertGreater(plain.connections, 0)
        self.assertEqual(plain.seen(), [])
        self.naive().get("http://plain.example.test:443/v2/")
        self.assertIn("basic of reader", self.stolen())


class NamesTest(AdvisoryCase):
    def test_a06_names_that_look_alike(self):
        """GO-2026-5865, GO-2026-6225, CVE-2024-35192: the credential is one authority's, spelt exactly so."""
        self.upstream.require_basic("reader", self.password)
        alike = (f"evil{self.NAME}", f"{self.NAME}.evil.test", f"xn--{self.NAME}", "example.test")
        for name in alike:
            self.record(name)
        proxy = self.start_own()
        spelt = (*alike, f"{self.NAME}.", f"{self.NAME}:444", f"{self.NAME}:80", f"user@{self.NAME}")
        for name in spelt:
            quoted = urllib.parse.quote(name, safe="")
            self.assertGreaterEqual(proxy.client().get(f"/v2/{quoted}/library/hut/manifests/latest").status, 400, name)
            self.assertGreaterEqual(proxy.client().get(f"/v2/library/hut/manifests/latest?ns={quoted}").status, 400, name)
        self.assertEqual(self.connections(), {})
        self.assertEqual(self.get(proxy).digest, self.hut.root.digest, "the control: it is shown to the one that it is for")

    def test_a07_one_registrys_credential_never_goes_to_another(self):
        """GO-2024-2912: the first fails, in every way."""
        other_password = secrets.make("upstream password of the other")
        other = self.record("other.example.test")
        other.on("*", "", quirks.instead(lambda: answers.error(401, "UNAUTHORIZED", "", ("WWW-Authenticate", 'Basic realm="x"'))))
        file = secrets.write(self.scratch / "other", other_password)
        theirs = {"name": "other", "url": "https://other.example.test", "username": "them", "password_file": file, "access": "shared",
                  "allow_unauthenticated_private": True, "ca_file": str(self.authority.ca_file), "allow_private": [self.hosts.NETWORK]}
        wrong = Recorder(**self.hosts.place("wrong.example.test", certificate=self.authority.server("else", "DNS:else.test")))
        self._serve(wrong)
        for url in ("https://nowhere.example.test", "https://wrong.example.test", f"https://{self.NAME}", f"https://{self.NAME}:1"):
            for fault in (quirks.failing(401), quirks.failing(404), quirks.html(), quirks.hang_up()):
                self.upstream.behave()
                self.upstream.on("*", "", fault)
                self.starts += 1
                ours = {"name": "ours", "url": url, "default": True, "mirrors": ["https://other.example.test"],
                        "ca_file": str(self.authority.ca_file), "allow_private": [self.hosts.NETWORK], **self.own()}
                proxy = self.make_entrepot(ours, theirs, name=f"entrepot-{self.starts}", etc=self.etc)
                for name in ("ours", "other"):
                    proxy.client().get(f"/v2/{name}/library/hut/manifests/latest")
                proxy.stop()
                if url != f"https://{self.NAME}":
                    break  # the fault is another
        self.assertTrue(other.seen())
        self.assertEqual([seen.text() for seen in other.seen() if self.password in seen.text() or self.basic.split()[1] in seen.text()], [])
        self.naive().get("https://other.example.test/v2/")
        self.assertIn("basic of reader", self.stolen())


class DistributionTest(case.TestCase):
    def test_a01_debians_registry_has_the_flaw(self):
        """The control of A01 with a real program: docker-registry as a pull-through cache shows its password to the realm."""
        password = secrets.make("upstream password")
        evil = self._serve(Recorder())
        upstream = self.make_upstream()
        challenge = ("WWW-Authenticate", f'Bearer realm="{evil.url}/token",service="x"')
        upstream.on("*", "/v2/", quirks.instead(lambda: answers.error(401, "UNAUTHORIZED", "", challenge)))
        folder = self.scratch / "pull-through"
        folder.mkdir()
        made = registry.Registry(folder, self.log_folder / "pull-through.log", remote=upstream.url, remote_credential=("reader", password))
        self.addCleanup(made.stop)
        connection = http.client.HTTPConnection(made.address, timeout=30)
        connection.request("GET", "/v2/library/hut/manifests/latest")
        connection.getresponse().read()
        shown = {base64.b64encode(f"reader:{password}".encode()).decode() in seen.text() for seen in evil.seen()}
        self.assertEqual(shown, {True})
