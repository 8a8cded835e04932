"""The harness itself: every quirk does what it says, and everything that can fail a test is shown to fail one."""

import hashlib
import pathlib
import socket
import threading
import time
import unittest

from harness import case, client, entrepot, quirks, registry, secrets, upstream, wait


class ScriptedUpstreamTest(case.TestCase):
    def setUp(self):
        super().setUp()
        self.tally = client.Tally(None)  # of its own: here wrong bodies are wanted
        self.upstream = self.make_upstream()
        self.client = client.Client(self.upstream.url, tally=self.tally, truth=self.content)
        self.layer = self.store.image("hut").layers[0]
        self.blob = f"/v2/library/hut/blobs/{self.layer.digest}"

    def get(self, *quirk, **options):
        self.upstream.on("GET", "/blobs/", *quirk, times=1)
        return self.client.get(self.blob, **options)

    def test_without_quirks_it_is_a_registry(self):
        hut = self.store.image("hut")
        self.upstream.tag("library/hut", hut)
        self.pull_everything(self.client, "library/hut", hut)
        self.assertEqual((self.tally.wrong, self.tally.cut), (0, 0))
        self.assertEqual(len(self.upstream.seen("GET", "/blobs/")), len(hut.blobs))
        self.assertEqual(self.client.head(self.blob).header("Content-Length"), str(self.layer.size))

    def test_cut_by_fin_or_rst_after_so_many_bytes(self):
        for how in ("fin", "rst"):
            for after in (0, 1, 1000, self.layer.size - 1):
                with self.subTest(how=how, after=after):
                    reply = self.get(quirks.cut(after, how))
                    self.assertEqual((reply.size, reply.complete), (after, False))
        self.assertEqual((self.tally.cut, self.tally.wrong), (8, 0))

    def test_a_reset_is_seen_as_a_reset(self):
        for how in ("fin", "rst"):
            self.upstream.on("GET", "/blobs/", quirks.cut(10, how), times=1)
            with socket.create_connection(("127.0.0.1", self.upstream.port)) as connection:
                connection.sendall(f"GET {self.blob} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
                if how == "rst":
                    with self.assertRaises(ConnectionResetError):
                        while connection.recv(65536):
                            pass
                else:
                    while connection.recv(65536):
                        pass

    def test_a_flipped_byte_is_counted_as_a_wrong_body(self):
        for count, at in enumerate((0, self.layer.size // 2, -1), start=1):
            reply = self.get(quirks.flip(at))
            self.assertTrue(reply.complete)
            self.assertNotEqual(reply.digest, self.layer.digest)
            self.assertEqual(self.tally.wrong, count)

    def test_a_flipped_byte_in_a_range_is_counted(self):
        reply = self.get(quirks.flip(100), headers={"Range": "bytes=100-"})
        self.assertEqual((reply.status, reply.size), (206, self.layer.size - 100))
        self.assertEqual(self.tally.wrong, 1)
        self.get(quirks.flip(-1), headers={"Range": "bytes=-5"})
        self.assertEqual(self.tally.wrong, 2)

    def test_a_flip_is_at_an_offset_of_the_blob(self):
        for at, asked in ((99, "bytes=100-"), (0, "bytes=1-"), (-1, f"bytes=0-{self.layer.size - 2}")):
            with self.subTest(at=at, asked=asked):
                self.get(quirks.flip(at), headers={"Range": asked})
                self.assertEqual(self.tally.wrong, 0, "the range does not hold the byte")

    def test_a_wrong_manifest_by_tag_is_counted(self):
        self.upstream.tag("library/hut", self.store.image("hut"))
        self.upstream.on("GET", "/manifests/", quirks.flip(5))
        self.client.get("/v2/library/hut/manifests/latest")
        self.assertEqual(self.tally.wrong, 1)

    def test_stall_waits_for_its_gate(self):
        gate, seen = threading.Event(), []

        def on_bytes(total):
            seen.append(total)
            if total == 5000:
                self.assertFalse(gate.is_set())
                threading.Timer(0.1, gate.set).start()

        reply = self.get(quirks.stall(5000, gate), on_bytes=on_bytes)
        self.assertIn(5000, seen)
        self.assertEqual(reply.digest, self.layer.digest)

    def test_stall_before_the_first_byte(self):
        gate = threading.Event()
        threading.Timer(0.1, gate.set).start()
        self.assertEqual(self.get(quirks.stall(0, gate)).digest, self.layer.digest)

    def test_trickle_keeps_its_pace(self):
        begun = time.monotonic()
        self.upstream.on("GET", "/blobs/", quirks.trickle(100_000), times=1)
        reply = self.client.get(self.blob, headers={"Range": "bytes=0-49999"})
        self.assertEqual(reply.size, 50_000)
        self.assertGreater(time.monotonic() - begun, 0.4)

    def test_lengths_and_framings(self):
        short = self.get(quirks.claim_length(self.layer.size - 1))
        self.assertEqual((short.size, short.complete), (self.layer.size - 1, True))
        long = self.get(quirks.claim_length(self.layer.size + 1))
        self.assertEqual((long.size, long.complete), (self.layer.size, False))
        chunked = self.get(quirks.chunked())
        self.assertEqual((chunked.digest, chunked.header("Transfer-Encoding")), (self.layer.digest, "chunked"))
        cut = self.get(quirks.chunked(), quirks.cut(70_000))
        self.assertFalse(cut.complete)
        for version in ("HTTP/1.0", "HTTP/1.1"):
            until_close = self.get(quirks.until_close(version))
            self.assertEqual((until_close.digest, until_close.header("Content-Length")), (self.layer.digest, ""))
        old = self.get(quirks.http_1_0())
        self.assertEqual((old.digest, old.header("Content-Length")), (self.layer.digest, str(self.layer.size)))
        self.assertEqual(self.get(quirks.head_in_bytes()).digest, self.layer.digest)

    def test_other_answers_altogether(self):
        html = self.get(quirks.html())
        self.assertEqual((html.status, html.header("Content-Type")[:9]), (200, "text/html"))
        packed = self.get(quirks.gzip_encoded())
        self.assertEqual((packed.status, packed.header("Content-Encoding")), (200, "gzip"))
        partial = self.get(quirks.partial_unasked())
        self.assertEqual((partial.status, partial.size), (206, self.layer.size))
        limited = self.get(quirks.failing(429, "TOOMANYREQUESTS", retry_after=7), keep_body=True)
        self.assertEqual((limited.status, limited.header("Retry-After")), (429, "7"))
        self.assertEqual(limited.json()["errors"][0]["code"], "TOOMANYREQUESTS")
        self.assertEqual(self.get(quirks.plain_text(429, "Too Many Requests")).status, 429)
        self.assertEqual(self.get(quirks.failing(503)).status, 503)

    def test_ranges_can_be_ignored(self):
        self.upstream.ignores_ranges = True
        self.assertEqual(self.client.get(self.blob, headers={"Range": "bytes=5-"}).status, 200)

    def test_ranges_can_be_ignored_by_a_rule(self):
        reply = self.get(quirks.ignore_range(), headers={"Range": "bytes=5-"})
        self.assertEqual((reply.status, reply.digest, reply.header("Content-Range")), (200, self.layer.digest, ""))
        self.assertEqual(self.client.get(self.blob, headers={"Range": "bytes=5-"}).status, 206)

    def test_ranges_can_be_refused(self):
        for status in (400, 416):
            self.assertEqual(self.get(quirks.refuse_range(status), headers={"Range": "bytes=5-"}).status, status)
            self.assertEqual(self.get(quirks.refuse_range(status)).digest, self.layer.digest)

    def test_a_content_range_can_lie(self):
        size = self.layer.size
        moved = self.get(quirks.shift_content_range(-1), headers={"Range": "bytes=5-9"})
        self.assertEqual((moved.status, moved.size, moved.header("Content-Range")), (206, 5, f"bytes 4-8/{size}"))
        larger = self.get(quirks.shift_content_range(0, 1), headers={"Range": "bytes=5-9"})
        self.assertEqual(larger.header("Content-Range"), f"bytes 5-9/{size + 1}")

    def test_rules_can_be_for_ranges_only(self):
        self.upstream.on("GET", "/blobs/", quirks.failing(503), times=1, to_ranges=True)
        self.upstream.on("GET", "/blobs/", quirks.failing(502), times=1, to_ranges=False)
        ranged = {"Range": "bytes=5-"}
        self.assertEqual([self.client.get(self.blob, headers=h).status for h in (None, ranged, None, ranged)],
                         [502, 503, 200, 206])

    def test_a_registry_behind_it_can_ignore_ranges_too(self):
        recording = self.make_upstream(behind=self.make_registry())
        straight = client.Client(recording.url, tally=self.tally, truth=self.content)
        recording.on("GET", "/blobs/", quirks.flip(7), times=1)
        self.assertEqual(straight.get(self.blob, headers={"Range": "bytes=5-"}).size, self.layer.size - 5)
        self.assertEqual(self.tally.wrong, 1)
        recording.on("GET", "/blobs/", quirks.ignore_range())
        whole = straight.get(self.blob, headers={"Range": "bytes=5-"})
        self.assertEqual((whole.status, whole.digest), (200, self.layer.digest))

    def test_it_can_hang_up_without_an_answer(self):
        for how in ("fin", "rst"):
            self.upstream.on("GET", "/blobs/", quirks.hang_up(how), times=1)
            self.assertIsNone(self.client.attempt(self.blob))
        self.assertEqual([r.status for r in self.upstream.seen("GET", "/blobs/")], [0, 0])

    def test_a_late_head_waits_for_its_gate(self):
        gate = threading.Event()
        self.upstream.on("GET", "/blobs/", quirks.late_head(gate), times=1)
        with socket.create_connection(("127.0.0.1", self.upstream.port)) as connection:
            connection.sendall(f"GET {self.blob} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            connection.settimeout(0.3)
            with self.assertRaises(TimeoutError):
                connection.recv(1)
            gate.set()
            connection.settimeout(10)
            self.assertEqual(connection.recv(1), b"H")

    def test_it_sees_that_the_other_side_has_gone(self):
        self.upstream.on("GET", "/blobs/", quirks.stall(1000, threading.Event()))
        with socket.create_connection(("127.0.0.1", self.upstream.port)) as connection:
            connection.sendall(f"GET {self.blob} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            self.assertTrue(connection.recv(1))
            seen, = self.upstream.seen("GET", "/blobs/")
            wait.until(lambda: seen.sent == 1000, "the stall")
            self.assertFalse(seen.ended)
        wait.until(lambda: seen.ended, "the answer to end")

    def test_made_blobs_are_served_and_judged(self):
        made = self.content.make(300_000, "here")
        self.assertEqual(self.client.get(f"/v2/x/blobs/{made.digest}").digest, made.digest)
        self.client.get(f"/v2/x/blobs/{made.digest}", headers={"Range": "bytes=7-250000"})
        self.assertEqual((self.tally.right, self.tally.wrong), (2, 0))

    def test_silence_is_silence(self):
        self.upstream.on("GET", "/blobs/", quirks.silence(), times=1)
        with socket.create_connection(("127.0.0.1", self.upstream.port)) as connection:
            connection.sendall(f"GET {self.blob} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            connection.settimeout(0.3)
            with self.assertRaises(TimeoutError):
                connection.recv(1)

    def test_it_records_what_it_saw(self):
        kept = client.Client(self.upstream.url, keep=True, tally=self.tally)
        for _ in range(2):
            kept.get(self.blob, headers={"X-Mark": "here"})
        first, second = self.upstream.seen("GET", "/blobs/")
        self.assertEqual((first.header("x-mark"), first.connection, first.sent), ("here", second.connection, self.layer.size))

    def test_tls(self):
        certificate = self.authority.server("upstream", "IP:127.0.0.1")
        secure = self.make_upstream(tls=certificate)
        trusting = client.Client(secure.url, ca_file=self.authority.ca_file, tally=self.tally)
        self.assertEqual(trusting.get(self.blob).digest, self.layer.digest)
        with self.assertRaises(Exception):
            client.Client(secure.url, ca_file="/etc/ssl/certs/ca-certificates.crt").get(self.blob)


class RegistryTest(case.TestCase):
    def test_the_image_is_what_it_promises_to_be(self):
        house = self.store.image("house")
        big = [layer for layer in house.layers if layer.size >= 10_000_000]
        self.assertGreaterEqual(len(big), 4)
        self.assertLessEqual(max(layer.size for layer in house.layers), 150_000_000)
        for digest in house.digests:
            hashed = hashlib.sha256(self.store.path(digest).read_bytes()).hexdigest()
            self.assertEqual(f"sha256:{hashed}", digest)

    def test_the_recording_proxy_changes_nothing(self):
        behind = self.make_registry()
        recording = self.make_upstream(behind=behind)
        hut = self.store.image("hut")
        self.pull_everything(client.Client(recording.url), "library/hut", hut)
        wait.until(lambda: behind.count("GET", "/blobs/") == len(recording.seen("GET", "/blobs/")), "the registry to have logged the same")
        missing = client.Client(recording.url).get("/v2/library/nothing/manifests/latest")
        self.assertEqual((missing.status, missing.json()["errors"][0]["code"]), (404, "MANIFEST_UNKNOWN"))

    def test_basic_and_token_authentication(self):
        password = secrets.make("registry password")
        basic = self.make_registry("basic", basic=("reader", password))
        target = "/v2/keys/hut/manifests/latest"
        self.assertEqual(client.Client(basic.url).get(target).status, 401)
        authorized = {"Authorization": secrets.basic("reader", password)}
        self.assertEqual(client.Client(basic.url).get(target, headers=authorized).status, 200)

        signer = registry.TokenSigner(self.scratch / "tokens")
        tokens = self.make_tokens(signer=signer, users={"reader": password})
        bearer = self.make_registry("bearer", token=signer.auth(tokens.realm))
        refused = client.Client(bearer.url).get(target)
        self.assertEqual(refused.status, 401)
        self.assertIn(f'realm="{tokens.realm}"', refused.header("WWW-Authenticate"))
        for who, status in (({}, 401), (authorized, 200)):
            query = f"/token?service={signer.service}&scope=repository:keys/hut:pull"
            token = client.Client(tokens.url).get(query, headers=who).json()["token"]
            reply = client.Client(bearer.url).get(target, headers={"Authorization": f"Bearer {token}"})
            self.assertEqual(reply.status, status)

    def test_a_storage_host_notices_credentials(self):
        storage = upstream.Storage(self.content)  # not made by the test case: its check would fail, and must
        self.addCleanup(storage.stop)
        digest = self.store.image("hut").layers[0].digest
        target = storage.signed(digest).removeprefix(storage.url)
        self.assertEqual(client.Client(storage.url).get(target).digest, digest)
        self.assertEqual(storage.leaked, [])
        client.Client(storage.url).get(target, headers={"Authorization": "Bearer x"})
        self.assertEqual(len(storage.leaked), 1)

    def test_a_docker_daemon_pulls_through_a_mirror(self):
        mirror = self.make_registry()
        house = self.store.image("house")
        for turn in (1, 2):
            daemon = self.make_dockerd(mirror.url, f"dockerd-{turn}")
            self.assertEqual(daemon.pull("house:latest"), house.root.digest)
            daemon.stop()
        # The same count that must be 0 for a warm cache: here it is not.
        self.assertEqual(mirror.count("GET", "/blobs/"), 2 * len(house.blobs))


class ChecksOfTheLogTest(unittest.TestCase):
    """What Entrepot.check_log looks for, shown on lines that must be found."""

    def check(self, line: str):
        part = entrepot.Entrepot.__new__(entrepot.Entrepot)
        part._under = ()
        part._process = type("Process", (), {"text": lambda self: line, "exit_code": lambda self: 0,
                                               "log": pathlib.Path("x.log")})()
        part.check_log()

    def test_bad_lines_are_found(self):
        for line in ("2026-01-01T00:00:00.000Z warn  loop 0 stalled: 12000 us of CPU, 0 voluntary switches",
                     "==12==ERROR: AddressSanitizer: heap-use-after-free on address", "WARNING: ThreadSanitizer: data race",
                     "x.cc:3:4: runtime error: signed integer overflow", f"token={secrets.make('of the log check')}"):
            with self.subTest(line=line), self.assertRaises(AssertionError):
                self.check(line)

    def test_a_good_line_is_good(self):
        self.check("2026-01-01T00:00:00.000Z info  listening address=127.0.0.1:5000 listener=data")

    def test_toml(self):
        text = entrepot.to_toml([{"name": "docker.io", "default": True, "mirrors": ["a"], "file": pathlib.Path("/x")}])
        self.assertEqual(text, 'builtin_upstreams = false\n[[upstream]]\nname = "docker.io"\ndefault = true\n'
                               'mirrors = ["a"]\nfile = "/x"\n')
