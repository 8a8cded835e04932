"""Advisories of the kind "it can be made to ask what only it can reach" (A11-A18). Recorders listen at the addresses that matter,
in a network of the test's own; each test ends with somebody who does ask there, so that the recorder is known to work.

A11, an upstream that is itself private: its url is what the operator wrote, and is allowed by that (product.md); nobody else can
name one. A14, a test button for upstreams: there is none.
"""

from harness import answers, quirks
from harness.dns import NameServer
from harness.process import run
from harness.upstream import ScriptedUpstream
from simulator.advisory import AdvisoryCase, Recorder

METADATA = ("169.254.169.254", "100.100.100.200", "10.0.0.1", "fd00:ec2::254")


class ReachCase(AdvisoryCase):
    """The upstream speaks plain HTTP, so that its word for it may be http, too; nothing but its own network is allowed."""

    def setUp(self):
        super().setUp()
        self.upstream = self.serve_plain(self.NAME)
        self.blob = self.hut.layers[0].digest
        self.path = f"/v2/library/hut/blobs/{self.blob}"

    def serve_plain(self, name: str):
        made = self._serve(ScriptedUpstream(self.content, **self.hosts.place(name, 80)))
        made.tag("library/hut", self.hut)
        return made

    def start_plain(self, **more):
        self.starts += 1
        return self.start(f"http://{self.NAME}", name=f"entrepot-{self.starts}", **more)

    def record_at(self, address: str, port: int = 80):
        if not address.startswith("127.") and address != "::1":
            run(["ip", "address", "add", f"{address}/{128 if ':' in address else 32}", "dev", "lo"])
        made = self._serve(Recorder(name=f"[{address}]" if ":" in address else address, at=(address, port)))
        self.recorders.append(made)
        return made

    def lead_to(self, location: str, path: str = ""):
        self.upstream.behave()
        self.upstream.on("*", path or self.path, quirks.instead(lambda: answers.Answer(307, [("Location", location)], None, 0)))

    def reached(self, url: str):
        """The control."""
        self.naive().get(url)
        self.assertTrue(self.connections())


class MetadataTest(ReachCase):
    """A12, A13: CVE-2026-0600, CVE-2022-27907, CVE-2026-33990. By realm, Location, Link, a layer's urls, and ns."""

    def setUp(self):
        super().setUp()
        for address in METADATA:
            self.record_at(address)

    def test_a12_a13_no_metadata_service_is_asked(self):
        for recorder in list(self.recorders):
            url = recorder.url
            with self.subTest(url):
                proxy = self.start_plain()
                client = proxy.client()
                self.lead_to(f"{url}/latest")
                self.assertEqual(self.get(proxy, f"blobs/{self.blob}").status, 502)
                self.lead_to(f"{url}/latest", "/manifests/")
                self.assertEqual(self.get(proxy).status, 502)
                self.want_token_of(f"{url}/token")
                self.assertGreaterEqual(self.get(proxy).status, 400)
                self.upstream.behave()
                self.upstream.on("GET", "/tags/list", quirks.add_header("Link", f'<{url}/v2/x/tags/list?last=a>; rel="next"'))
                listed = self.get(proxy, "tags/list")
                self.assertEqual(listed.status, 200)
                self.assertNotIn(url, listed.header("Link"))
                client.get(f"/v2/library/hut/manifests/latest?ns={url.split('//')[1]}")
                client.get(f"/v2/{url.split('//')[1]}/library/hut/manifests/latest")
                self.assertEqual(self.connections(), {})
                proxy.stop()
        self.reached(self.recorders[0].url)

    def test_a15_the_next_page_is_the_same_hosts(self):
        """ggcr #2332. Following it ourselves, as completing a list would: never elsewhere."""
        self.upstream.on("GET", "/tags/list", quirks.add_header("Link", '<http://169.254.169.254/v2/x/tags/list?last=a>; rel="next"'))
        proxy = self.start_plain()
        page = self.get(proxy, "tags/list")
        following = page.header("Link").partition("<")[2].partition(">")[0]
        self.assertTrue(following.startswith("/"), "a client is sent to us alone")
        self.assertGreaterEqual(proxy.client().get(following).status, 200)
        self.assertEqual(self.connections(), {})
        self.reached("http://169.254.169.254/v2/x/tags/list")


class SpellingTest(ReachCase):
    def test_a16_names_that_are_too_long(self):
        """CVE-2024-24806: libuv cut names at 256 bytes, so that what is behind a long one was looked up."""
        self.record_at("127.0.0.1")
        proxy = self.start_plain()
        for length in (254, 255, 256, 257, 300, 1000):
            label = "a" * 49 + "."
            name = (label * 30)[:length - len(".127.0.0.1")] + ".127.0.0.1"
            for text in (name, "0x7f000001" + "." * (length - 10), ("0" * length) + "x7f000001"):
                self.lead_to(f"http://{text}/")
                self.assertEqual(self.get(proxy, f"blobs/{self.blob}").status, 502)
        self.assertEqual(self.connections(), {})
        self.reached("http://127.0.0.1/")

    def test_a17_spellings_of_one_address(self):
        """CVE-2026-44430, CVE-2024-29415. The decision is made on the binary address (also policy_test)."""
        self.record_at("127.0.0.1")
        self.record_at("::1")
        run(["ip", "address", "add", "2002:7f00:1::/128", "dev", "lo"])
        spellings = ("127.0.0.1", "127.1", "127.0.1", "0177.1", "0177.0.0.1", "0x7f.1", "0x7f.0.0.1", "0x7f000001", "2130706433",
                     "017700000001", "0", "0.0.0.0", "127.0.0.1.", "127.255.255.254", "00000177.0.0.1", "0x7F.0.0.0x1", "localhost",
                     "localhost.", "LOCALHOST", "x.localhost", "[::1]", "[0:0:0:0:0:0:0:1]", "[::ffff:127.0.0.1]",
                     "[::ffff:7f00:1]", "[::127.0.0.1]", "[64:ff9b::7f00:1]", "[64:ff9b::127.0.0.1]", "[2002:7f00:1::]",
                     "[fe80::1%25lo]", "[::]", "[0::0]", "%31%32%37.0.0.1", "127%2e0.0.1", "1\u0662\u0667.0.0.1", "127。0。0。1",
                     "4294967295", "256.256.256.256", "127.0.0.1%00.example.test", "127.0.0.1@example.test", "[127.0.0.1]")
        proxy = self.start_plain()
        for spelling in spellings:
            with self.subTest(spelling):
                self.lead_to(f"http://{spelling}/")
                self.assertEqual(self.get(proxy, f"blobs/{self.blob}").status, 502)
        self.assertEqual(self.connections(), {})
        self.reached("http://127.0.0.1/")


class RebindingTest(ReachCase):
    """A18. The address that is checked is the one that is dialled, each time."""

    def setUp(self):
        super().setUp()
        self.etc.write("resolv.conf", "nameserver 127.0.0.1\noptions timeout:1 attempts:1\n")
        self.etc.write("nsswitch.conf", "hosts: files dns\n")

    def name_server(self, answers: dict) -> NameServer:
        made = NameServer(answers)
        self.addCleanup(made.stop)
        return made

    def test_a18_a_name_that_changes_its_mind(self):
        allowed = self.serve_plain("cdn.example.test")
        place = self.hosts.addresses.pop("cdn.example.test")
        self.hosts.place(self.NAME, 80)  # /etc/hosts without it
        self.record_at("127.0.0.1")
        names = self.name_server({"cdn.example.test": [[place], ["127.0.0.1"]]})
        allowed.on("GET", "/x", quirks.instead(lambda: allowed._object("blobs", self.blob, None)))
        self.lead_to("http://cdn.example.test/x")
        proxy = self.start_plain()
        self.assertEqual(self.get(proxy, f"blobs/{self.blob}").digest, self.blob)
        proxy.stop()
        proxy = self.start_plain()  # it remembers no name
        self.assertEqual(self.get(proxy, f"blobs/{self.blob}").status, 502)
        self.assertGreaterEqual(len(names.asked), 2)
        self.assertEqual(self.connections(), {})
        self.reached("http://127.0.0.1/")

    def test_a18_a_second_address_that_is_private(self):
        """Where the first does not answer, the second is dialled: and judged."""
        self.record_at("127.0.0.1")
        names = self.name_server({"cdn.example.test": [["127.1.0.250", "127.0.0.1"]]})
        self.lead_to("http://cdn.example.test/x")
        proxy = self.start_plain()
        self.assertEqual(self.get(proxy, f"blobs/{self.blob}").status, 502)
        self.assertTrue(names.asked)
        self.assertEqual(self.connections(), {})
        self.reached("http://127.0.0.1/")
