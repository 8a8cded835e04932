"""What connections, streams, fills and manifests may cost in memory, all together: the highest that the process has ever had
(VmHWM) against the sum of what each may have.

    48 MiB + 8 KiB for each idle connection + 40 KiB with TLS + 192 KiB for each stream + 256 KiB for each fill
    + 64 MiB of manifests
"""

import concurrent.futures
import os
import resource
import socket
import ssl

from bad_input import manifests
from harness import case, disk, paths, wait

KIB, MIB = 1 << 10, 1 << 20
BASE = 48 * MIB
TLS_CONNECTIONS = int(os.environ.get("ENTREPOT_TEST_TLS_CONNECTIONS", "10000"))


class BoundsTest(case.TestCase):
    def setUp(self):
        super().setUp()
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        self.upstream = self.make_upstream()
        self.upstream.tag("library/hut", self.store.image("hut"))

    def make(self, **options):
        self.entrepot = self.make_entrepot(self.hub(self.upstream.url, tag_ttl="1h"), log__level="info", **options)
        self.client = self.entrepot.client()

    def expect_within(self, bound: int, what: str):
        peak = disk.peak_memory(self.entrepot.pid)
        print(f"{what}: {peak / MIB:.0f} of {bound / MIB:.0f} MiB", end=" ... ")
        if not paths.is_sanitized():
            self.assertLessEqual(peak, bound)

    def hold(self, count: int, context: ssl.SSLContext | None = None) -> list[socket.socket]:
        """So many connections that have asked once and are kept alive; a source address has 28,000 ports, some of them in use."""
        def one(number: int) -> socket.socket:
            connection = socket.create_connection(("127.0.0.1", self.entrepot.port), timeout=paths.patience(60),
                                                  source_address=(f"127.0.1.{1 + number % 8}", 0))
            self.addCleanup(connection.close)
            if context:
                connection = context.wrap_socket(connection, server_hostname="127.0.0.1")
            connection.sendall(b"GET /v2/library/hut/manifests/latest HTTP/1.1\r\nHost: a\r\n\r\n")
            self.assertEqual(connection.recv(12), b"HTTP/1.1 200")
            received = b""
            while b"\r\n\r\n" not in received:
                received += connection.recv(65536)
            return connection

        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            held = list(pool.map(one, range(count)))
        wait.until(lambda: self.entrepot.metric("entrepot_http_connections") >= count, f"{count} connections")
        self.assertEqual(self.client.get("/v2/library/hut/manifests/latest").status, 200)
        return held

    def test_ten_thousand_idle_connections(self):
        self.make()
        self.hold(10_000)
        self.expect_within(BASE + 10_000 * 8 * KIB, "10,000 idle connections")

    def test_idle_connections_over_tls(self):
        self.make(tls=self.authority.server())
        self.hold(TLS_CONNECTIONS, ssl.create_default_context(cafile=str(self.authority.ca_file)))
        self.expect_within(BASE + TLS_CONNECTIONS * 40 * KIB, f"{TLS_CONNECTIONS} idle connections over TLS")

    def test_slow_readers(self):
        """Of one large blob while it is being fetched, and of one that is cached."""
        readers, fills = 300, 1
        self.make()
        cached, cold = self.content.make(64 * MIB, "cached"), self.content.make(64 * MIB, "cold")
        self.assertEqual(self.client.get(f"/v2/library/a/blobs/{cached.digest}").digest, cached.digest)
        held = []
        for number in range(readers):
            blob = cold if number % 2 else cached
            connection = socket.socket()
            self.addCleanup(connection.close)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            connection.settimeout(paths.patience(60))
            connection.connect(("127.0.0.1", self.entrepot.port))
            connection.sendall(f"GET /v2/library/a/blobs/{blob.digest} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
            held.append(connection)
        for connection in held:
            self.assertEqual(connection.recv(12), b"HTTP/1.1 200")
        # Who reads fast is done; the others stand where they are.
        self.assertEqual(self.client.get(f"/v2/library/a/blobs/{cold.digest}").digest, cold.digest)
        for connection in held:
            self.assertEqual(len(connection.recv(1000)), 1000)
        self.expect_within(BASE + readers * 192 * KIB + fills * 256 * KIB, f"{readers} slow readers")

    def test_large_manifests(self):
        """Of 4 MiB, by many at once, cold and then cached, and read slowly."""
        count = 40
        self.make()
        made = [self.content.add(manifests.padded(4 * MIB - i), manifests.OCI_MANIFEST) for i in range(count)]
        for _ in range(2):
            with concurrent.futures.ThreadPoolExecutor(count) as pool:
                replies = pool.map(lambda blob: self.client.get(f"/v2/library/m/manifests/{blob.digest}", keep_body=False), made)
                for blob, reply in zip(made, replies):
                    self.assertEqual((reply.status, reply.digest), (200, blob.digest))
            self.entrepot.wait_committed([blob.digest for blob in made])
        slow = []
        for blob in made * 3:
            connection = socket.create_connection(("127.0.0.1", self.entrepot.port), timeout=paths.patience(60))
            self.addCleanup(connection.close)
            connection.sendall(f"GET /v2/library/m/manifests/{blob.digest} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
            self.assertEqual(connection.recv(12), b"HTTP/1.1 200")
            slow.append(connection)
        self.expect_within(BASE + 4 * MIB * 16 + len(slow) * 192 * KIB, f"{count} manifests of 4 MiB, {len(slow)} slow readers of them")
