"""TLS on the listener: real clients with a test authority, certificates that change, handshakes that go wrong."""

import os
import re
import shutil
import socket
import ssl
import threading
import time

from harness import case, quirks, wait
from harness.certificates import Certificate
from harness.own_etc import OwnEtc
from harness.process import run

MIB = 1 << 20


class VerifiedTest(case.TestCase):
    """docker and podman verify a certificate only when the registry is not on loopback."""

    def setUp(self):
        super().setUp()
        address = self.make_network().ADDRESS
        registry = self.make_registry()
        self.certificate = self.authority.server("entrepot", "DNS:entrepot.test")
        quay = {"name": "quay.io", "url": registry.url, "allow_private": ["127.0.0.0/8"]}
        self.entrepot = self.make_entrepot(self.hub(registry.url), quay, tls=self.certificate, server__listen=[f"{address}:0"])
        self.address = f"entrepot.test:{self.entrepot.port}"
        self.hosts = f"127.0.0.1 localhost\n{address} entrepot.test\n"

    def make_etc(self, name: str, trusts: bool) -> OwnEtc:
        etc = OwnEtc(self.scratch / name)
        etc.write("hosts", self.hosts)
        if trusts:
            etc.trust(self.address, self.authority.ca_file)
        return etc

    def test_docker(self):
        house = self.store.image("house")
        daemon = self.make_dockerd(f"https://{self.address}", "dockerd", self.make_etc("etc", True))
        self.assertEqual(daemon.pull("house:latest"), house.root.digest)
        self.assertEqual(daemon.pull(f"{self.address}/quay.io/library/house:latest"), house.root.digest)
        daemon.stop()
        doubting = self.make_dockerd(None, "doubting", self.make_etc("doubting-etc", False))
        refused = doubting.docker("pull", f"{self.address}/quay.io/library/house:latest", check=False)
        self.assertIn("certificate signed by unknown authority", refused)

    def test_podman(self):
        house = self.store.image("house")
        podman = self.make_containers("podman", {"docker.io": self.address}, etc=self.make_etc("etc", True), insecure=False)
        self.assertIn(house.root.digest, podman.pull("docker.io/library/house:latest"))
        doubting = self.make_containers("podman", {}, "doubting", etc=self.make_etc("doubting-etc", False))
        with self.assertRaisesRegex(AssertionError, "certificate signed by unknown authority"):
            doubting.pull(f"{self.address}/library/house:latest")


@case.short
class TlsTest(case.TestCase):
    def setUp(self):
        super().setUp()
        self.upstream = self.make_upstream()
        self.pairs = [self.authority.server(f"pair-{n}", "IP:127.0.0.1") for n in range(2)]
        self.served = self.authority.server("served", "IP:127.0.0.1")
        self.entrepot = self.make_entrepot(self.hub(self.upstream.url), tls=self.served)

    def connect(self, **options) -> ssl.SSLSocket:
        context = ssl.create_default_context(cafile=str(self.authority.ca_file))
        for name, value in options.items():
            setattr(context, name, value)
        raw = socket.create_connection(("127.0.0.1", self.entrepot.port), timeout=30)
        return context.wrap_socket(raw, server_hostname="127.0.0.1")

    def serial(self) -> str:
        with self.connect() as connection:
            return connection.getpeercert()["serialNumber"]

    def test_blobs_of_all_sizes_cold_and_warm(self):
        kept = self.entrepot.client(keep=True)
        for size in (0, 1, 16 * 1024, 64 * 1024, 64 * 1024 + 1, 5 * MIB + 3):
            blob = self.content.make(size, "tls")
            for turn in ("cold", "warm", "hot"):
                with self.subTest(size=size, turn=turn):
                    reply = kept.get(f"/v2/library/tls/blobs/{blob.digest}")
                    self.assertEqual((reply.status, reply.digest, reply.error), (200, blob.digest, ""))
                    self.entrepot.wait_committed([blob.digest])

    def test_a_slow_reader_gets_every_byte(self):
        blob = self.content.make(300_000, "slow")
        target = f"/v2/library/tls/blobs/{blob.digest}"
        for _ in range(2):
            reply = self.entrepot.client().get(target, receive_buffer=8192)
            self.assertEqual((reply.status, reply.digest), (200, blob.digest))

    def test_versions_and_protocols(self):
        """IA06 is among them."""
        for version, is_good in ((ssl.TLSVersion.TLSv1_3, True), (ssl.TLSVersion.TLSv1_2, True), (ssl.TLSVersion.TLSv1_1, False)):
            context = ssl.create_default_context(cafile=str(self.authority.ca_file))
            context.minimum_version = context.maximum_version = version
            context.set_ciphers("ALL:@SECLEVEL=0")
            with self.subTest(version), socket.create_connection(("127.0.0.1", self.entrepot.port), timeout=30) as raw:
                if is_good:
                    with context.wrap_socket(raw, server_hostname="127.0.0.1") as connection:
                        self.assertEqual(connection.version(), version.name.replace("_", "."))
                else:
                    with self.assertRaisesRegex(ssl.SSLError, "alert protocol version"):
                        context.wrap_socket(raw, server_hostname="127.0.0.1")
        for offered, chosen in ((["h2", "http/1.1"], "http/1.1"), (["http/1.1"], "http/1.1"), ([], None)):
            with self.subTest(offered):
                context = ssl.create_default_context(cafile=str(self.authority.ca_file))
                if offered:
                    context.set_alpn_protocols(offered)
                with socket.create_connection(("127.0.0.1", self.entrepot.port), timeout=30) as raw:
                    with context.wrap_socket(raw, server_hostname="127.0.0.1") as connection:
                        self.assertEqual(connection.selected_alpn_protocol(), chosen)
        context = ssl.create_default_context(cafile=str(self.authority.ca_file))
        context.set_alpn_protocols(["h2"])
        with socket.create_connection(("127.0.0.1", self.entrepot.port), timeout=30) as raw:
            with self.assertRaisesRegex(ssl.SSLError, "no application protocol"):
                context.wrap_socket(raw, server_hostname="127.0.0.1")

    def test_there_is_no_early_data(self):
        """IA15: a session that can be resumed does not allow any (RFC 8446 section 4.2.10)."""
        said = run(["openssl", "s_client", "-connect", f"127.0.0.1:{self.entrepot.port}", "-tls1_3", "-CAfile", self.authority.ca_file,
                    "-ign_eof"], input="GET /v2/ HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        self.assertIn("Post-Handshake New Session Ticket", said)
        self.assertEqual(set(re.findall(r"Max Early Data: (\d+)", said)), {"0"})

    def test_who_speaks_plainly_is_told(self):
        with socket.create_connection(("127.0.0.1", self.entrepot.port), timeout=30) as raw:
            raw.sendall(b"GET /v2/ HTTP/1.1\r\nHost: x\r\n\r\n")
            answer = b"".join(iter(lambda: raw.recv(4096), b""))
        self.assertTrue(answer.startswith(b"HTTP/1.1 400 "), answer)
        self.assertIn(b"HTTPS", answer)
        self.assertEqual(self.upstream.seen(), [])

    def test_nonsense_ends_the_connection_and_nothing_else(self):
        """IA13 (records without bytes, and larger than they may be) and others."""
        hello = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"
        for bytes_ in (b"\x00" * 200, b"\xff" * 5000, hello + b"\x00" * 600, b"\x16\x03\x01\xff\xff" + b"a" * 70000, b"\x15\x03\x01\x00\x02\x02\x28",
                       b"\x16\x03\x01\x00\x00" * 10000):
            with self.subTest(bytes_[:8]), socket.create_connection(("127.0.0.1", self.entrepot.port), timeout=30) as raw:
                try:
                    raw.sendall(bytes_)
                    while raw.recv(4096):
                        pass
                except OSError:
                    pass
        self.assertEqual(self.entrepot.client().get("/v2/").status, 200)
        self.assertGreaterEqual(self.entrepot.metric("entrepot_http_failed_handshakes_total"), 5)

    def test_names_of_all_sorts_are_asked_for(self):
        """IA07, SNI (RFC 6066 section 3): there is one certificate, whatever name is asked for; nonsense gets an alert."""
        for name in (b"127.0.0.1", b"unknown.test", b"a" * 300, b"nul\0.test", b"", b"\xff\xfe", None):
            with self.subTest(name), socket.create_connection(("127.0.0.1", self.entrepot.port), timeout=30) as raw:
                raw.sendall(client_hello(name))
                self.assertIn(raw.recv(1), (b"\x16", b"\x15"))   # a handshake goes on, or an alert
        self.assertEqual(self.entrepot.client().get("/v2/").status, 200)

    def test_who_says_nothing_is_not_waited_for(self):
        """IA05. The deadline of a handshake is that of a request's head: 10 s and a sweep."""
        silent = [socket.create_connection(("127.0.0.1", self.entrepot.port), timeout=60) for _ in range(3)]
        for connection, sent in zip(silent, (0, 5, 100)):
            connection.sendall(client_hello(b"a" * 200)[:sent])
        self.assertEqual(self.entrepot.client().get("/v2/").status, 200)
        for connection in silent:
            self.assertEqual(connection.recv(1), b"")
            connection.close()
        self.assertGreaterEqual(self.entrepot.metric("entrepot_http_limits_total", limit="header_timeout"), 3)

    def test_a_cut_download_has_no_proper_end(self):
        blob = self.content.make(3 * MIB, "cut")
        self.upstream.on("GET", blob.digest, quirks.flip(MIB))
        reply = self.entrepot.client().get(f"/v2/library/tls/blobs/{blob.digest}")
        self.assertFalse(reply.complete)

    def put(self, file, source):
        """As careful programs write: beside it, then renamed."""
        beside = file.with_suffix(".new")
        shutil.copyfile(source, beside)
        os.rename(beside, file)

    def serials(self) -> list[str]:
        return [run_serial(pair.certificate) for pair in self.pairs]

    def test_a_new_certificate_is_served_and_half_a_pair_is_not(self):
        before = self.serial()
        connection = self.connect()   # keeps what it has
        self.put(self.served.certificate, self.pairs[0].certificate)
        wait.until(lambda: "the old one stays" in self.entrepot.log(), "the half pair to be refused")
        self.assertEqual(self.serial(), before)
        self.put(self.served.key, self.pairs[0].key)
        wait.until(lambda: self.serial() == self.serials()[0], "the new certificate")
        # Written in place, a piece at a time.
        for file, source in ((self.served.key, self.pairs[1].key), (self.served.certificate, self.pairs[1].certificate)):
            text = source.read_bytes()
            with open(file, "wb", buffering=0) as opened:
                for at in range(0, len(text), 100):
                    opened.write(text[at:at + 100])
                    time.sleep(0.01)
        wait.until(lambda: self.serial() == self.serials()[1], "the certificate that was written in place")
        for nonsense in (b"", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"):
            self.served.certificate.write_bytes(nonsense)
            time.sleep(0.2)
            self.assertEqual(self.serial(), self.serials()[1])
        self.served.certificate.unlink()
        time.sleep(0.2)
        self.assertEqual(self.serial(), self.serials()[1])
        connection.sendall(b"GET /v2/ HTTP/1.1\r\nHost: x\r\n\r\n")
        self.assertTrue(connection.recv(4096).startswith(b"HTTP/1.1 200 "))
        connection.close()


class ReloadTest(case.TestCase):
    RELOADS = 1000

    def setUp(self):
        super().setUp()
        # As Kubernetes mounts a secret: the files are links through a link, which is replaced by one rename.
        self.folder = self.scratch / "secret"
        self.folder.mkdir()
        self.pairs = [self.authority.server(f"pair-{n}", "IP:127.0.0.1") for n in range(2)]
        self.serials = [run_serial(pair.certificate) for pair in self.pairs]
        for n, pair in enumerate(self.pairs):
            (self.folder / f"..{n}").mkdir()
            shutil.copyfile(pair.certificate, self.folder / f"..{n}/tls.crt")
            shutil.copyfile(pair.key, self.folder / f"..{n}/tls.key")
        for name in ("tls.crt", "tls.key"):
            (self.folder / name).symlink_to(f"..data/{name}")
        self.swap(0)
        self.upstream = self.make_upstream()
        self.entrepot = self.make_entrepot(self.hub(self.upstream.url), log__level="info",
                                           tls=Certificate(self.folder / "tls.crt", self.folder / "tls.key"))

    def swap(self, to: int):
        (self.folder / "..new").symlink_to(f"..{to}")
        os.rename(self.folder / "..new", self.folder / "..data")

    def serial(self) -> str:
        context = ssl.create_default_context(cafile=str(self.authority.ca_file))
        with socket.create_connection(("127.0.0.1", self.entrepot.port), timeout=30) as raw:
            with context.wrap_socket(raw, server_hostname="127.0.0.1") as connection:
                return connection.getpeercert()["serialNumber"]

    def test_a_thousand_certificates_under_load(self):
        blob = self.content.make(100_000, "reloads")
        target = f"/v2/library/tls/blobs/{blob.digest}"
        is_over, failures, pulls = threading.Event(), [], [0] * 4

        def pull(worker: int):
            while not is_over.is_set():
                try:
                    reply = self.entrepot.client().get(target)   # a handshake each
                    if (reply.status, reply.digest) != (200, blob.digest):
                        failures.append(reply)
                    pulls[worker] += 1
                except Exception as error:
                    failures.append(error)

        workers = [threading.Thread(target=pull, args=(n,)) for n in range(len(pulls))]
        for worker in workers:
            worker.start()
        try:
            for n in range(1, self.RELOADS + 1):
                self.swap(n % 2)
                wait.until(lambda: self.serial() == self.serials[n % 2], f"certificate {n}", every=0.002)
        finally:
            is_over.set()
            for worker in workers:
                worker.join()
        self.assertEqual(failures, [])
        self.assertNotIn("the old one stays", self.entrepot.log())
        print(f"{self.RELOADS} reloads, {sum(pulls)} handshakes with a download", end=" ... ")
        self.assertGreater(min(pulls), 0)


def client_hello(name: bytes | None) -> bytes:
    """A TLS 1.2 ClientHello (RFC 5246 section 7.4.1.2) that asks for that name."""
    def sized(data: bytes, size: int) -> bytes:
        return len(data).to_bytes(size, "big") + data

    extensions = [(10, sized(b"\x00\x17", 2)), (11, sized(b"\x00", 1)), (13, sized(b"\x04\x03\x08\x04\x04\x01", 2))]
    if name is not None:
        extensions.append((0, sized(b"\x00" + sized(name, 2), 2)))
    body = (b"\x03\x03" + bytes(range(32)) + b"\x00" + sized(b"\xc0\x2b\xc0\x2f", 2) + b"\x01\x00"
            + sized(b"".join(kind.to_bytes(2, "big") + sized(data, 2) for kind, data in extensions), 2))
    return b"\x16\x03\x01" + sized(b"\x01" + sized(body, 3), 2)


def run_serial(certificate) -> str:
    return run(["openssl", "x509", "-in", certificate, "-noout", "-serial"]).strip().removeprefix("serial=")
