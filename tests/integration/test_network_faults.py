"""What goes wrong on the way to an upstream (F42, F59-F61): lost packets, names, certificates. In a network of the test's own."""

import socket
import ssl

from harness import case, wait
from harness.client import at_once
from harness.dns import NameServer
from harness.process import run
from harness.upstream import ScriptedUpstream
from simulator.advisory import AdvisoryCase


class NetworkCase(AdvisoryCase):
    def setUp(self):
        super().setUp()
        self.path = f"/v2/{self.NAME}/library/hut/manifests/latest"

    def drop(self, address: str):
        """As if the packets to there were lost."""
        run(["iptables" if ":" not in address else "ip6tables", "-A", "INPUT", "-d", address, "-j", "DROP"])

    def start_with(self, url: str, **more):
        self.starts += 1
        return self.start(url, name=f"entrepot-{self.starts}", connect_timeout="2s", header_timeout="5s", **more)

    def ask(self, proxy, name: str, tag: str = "latest"):
        return proxy.client().get(f"/v2/{name}/library/hut/manifests/{tag}")


class LostPacketsTest(NetworkCase):
    def test_f42_packets_that_are_lost(self):
        """One upstream's do not hold up another: both are asked at once, and the other is done first."""
        lost = self._serve(ScriptedUpstream(self.content, **self.hosts.place("lost.example.test")))
        self.drop(self.hosts.addresses["lost.example.test"])
        tables = [{"name": name, "url": f"https://{name}", "ca_file": str(self.authority.ca_file), "connect_timeout": "2s",
                   "allow_private": [self.hosts.NETWORK]} for name in (self.NAME, "lost.example.test")]
        proxy = self.make_entrepot(*tables, etc=self.etc)
        done = []
        at_once([lambda: done.append(("lost", self.ask(proxy, "lost.example.test").status)),
                 lambda: done.append(("right", self.ask(proxy, self.NAME).status))])
        self.assertEqual(done[0], ("right", 200))
        self.assertIn(done[1], (("lost", 502), ("lost", 504)))
        self.assertEqual(lost.connections, 0)


class NamesTest(NetworkCase):
    """F59, F60: our own name server says it."""

    OTHER = "other.example.test"

    def setUp(self):
        super().setUp()
        self.etc.write("resolv.conf", "nameserver 127.0.0.1\noptions timeout:1 attempts:1\n")
        self.etc.write("nsswitch.conf", "hosts: files dns\n")
        self.upstream = self._serve(ScriptedUpstream(self.content, **self.hosts.place(self.OTHER)))
        self.upstream.tag("library/hut", self.hut)
        self.place = self.hosts.addresses.pop(self.OTHER)
        self.hosts.place("nothing.example.test")  # writes /etc/hosts without it

    def serve_names(self, addresses, **more) -> NameServer:
        made = NameServer({self.OTHER: [addresses]} if addresses is not None else {}, **more)
        self.addCleanup(made.stop)
        return made

    def test_f59_names_that_are_not_answered(self):
        proxies = []
        for what, addresses, more in (("NXDOMAIN", None, {}), ("no address", [], {}), ("SERVFAIL", [], {"code": 2}),
                                      ("nothing at all", [], {"is_silent": True}), ("nonsense", [], {"is_nonsense": True})):
            with self.subTest(what):
                names = self.serve_names(addresses, **more)
                proxies.append(self.start_with(f"https://{self.OTHER}"))
                self.assertIn(self.ask(proxies[-1], self.OTHER).status, (502, 504))
                names.stop()
        self.serve_names([self.place])
        for proxy in proxies:
            wait.until(lambda: self.ask(proxy, self.OTHER).status == 200, "the name to be looked up again", 60)

    def test_f59_a_name_with_many_addresses(self):
        """As many as one UDP answer holds; with 200 it says that it is cut, and this name server has no TCP."""
        names = self.serve_names([self.place] * 28)
        self.assertEqual(self.ask(self.start_with(f"https://{self.OTHER}"), self.OTHER).status, 200)
        names.stop()
        self.serve_names([self.place] * 200)
        self.assertIn(self.ask(self.start_with(f"https://{self.OTHER}"), self.OTHER).status, (502, 504))

    @case.short
    def test_f60_the_first_address_is_dead(self):
        for dead in ("127.1.0.200", "127.1.0.201"):
            if dead.endswith("201"):
                self.drop(dead)
            names = self.serve_names([dead, self.place])
            proxy = self.start_with(f"https://{self.OTHER}")
            self.assertEqual(self.ask(proxy, self.OTHER).status, 200, dead)
            self.assertEqual([name for name, _ in self.upstream.seen()[-1].headers].count("Accept"), 1)
            proxy.stop()
            names.stop()

    def test_f60_ipv6_leads_nowhere(self):
        run(["ip", "address", "add", "fd00:1::1/128", "dev", "lo"])
        self.drop("fd00:1::1")
        self.etc.write("hosts", f"fd00:1::1 {self.OTHER}\n{self.place} {self.OTHER}\n")
        proxy = self.start_with(f"https://{self.OTHER}", allow_private=[self.hosts.NETWORK, "fd00:1::/32"])
        self.assertEqual(self.ask(proxy, self.OTHER).status, 200)


class CertificatesTest(NetworkCase):
    def test_f61_what_is_no_proof(self):
        name = "tls.example.test"
        weak = self.authority.server("weak", f"DNS:{name}", digest="sha1")
        for flaw, certificate, versions in (
                ("expired", self.authority.server("expired", f"DNS:{name}", days=-1), None),
                ("another's", self.authority.server("wrong", "DNS:else.test"), None),
                ("old versions", self.authority.server("old", f"DNS:{name}"), ssl.TLSVersion.TLSv1_1),
                ("SHA-1", weak, None)):
            with self.subTest(flaw):
                server = ScriptedUpstream(self.content, **self.hosts.place(name, certificate=certificate))
                if versions:
                    server._tls.minimum_version, server._tls.maximum_version = ssl.TLSVersion.TLSv1, versions
                    server._tls.set_ciphers("ALL:@SECLEVEL=0")
                proxy = self.start_with(f"https://{name}")
                self.assertIn(self.ask(proxy, name).status, (502, 504))
                self.assertEqual(server.seen(), [])
                self.assertGreater(server.connections, 0)
                server.stop()
                right = self._serve(ScriptedUpstream(self.content, **self.hosts.place(name)))
                right.tag("library/hut", self.hut)
                wait.until(lambda: self.ask(proxy, name).status == 200, "the new certificate to be believed", 60)
                right.stop()
                proxy.stop()

    def test_f61_a_handshake_that_says_nothing(self):
        name = "silent.example.test"
        self.hosts.place(name)
        with socket.create_server((self.hosts.addresses[name], 443)):
            proxy = self.start_with(f"https://{name}")
            self.assertIn(self.ask(proxy, name).status, (502, 504))
