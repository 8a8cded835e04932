"""What goes wrong at an upstream, fault by fault (F41-F69). In each: what is cached is served, wrong bytes never are, the answer to
what is not cached says what is wrong, another upstream is not touched by it, and when the fault is over nobody restarts anything.

F57's stall in the middle and F58's slowness take a minute, and are in the unit tests (BodyFlow) with shorter times; F44 and F45 at
all places, with their resuming, are in test_resume; F49 in every framing is in test_never_wrong; F53 is in test_private too.
"""

import json
import threading

from harness import answers, case, quirks, secrets, wait
from harness.client import at_once
from harness.image import OCI_INDEX

MIB = 1 << 20


class FaultCase(case.TestCase):
    """Each row has an entrepot of its own, since a fault leaves its traces: breakers, refusals."""

    def setUp(self):
        super().setUp()
        self.upstream, self.other = self.make_upstream(), self.make_upstream()
        self.rows = 0

    def index(self, name: str):
        made = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [], "annotations": {"name": name}}
        return self.content.add(json.dumps(made).encode(), OCI_INDEX)

    def start(self, **more):
        """A new one, which has the tag `cached` and its manifest. Everything is new to it, and to no other."""
        self.rows += 1
        self.upstream.behave()
        self.repository = f"library/row{self.rows}"
        for tag in ("cached", "new", "later"):
            self.upstream.tag_digest(self.repository, tag, self.index(f"{self.rows} {tag}").digest)
        self.blob = self.content.make(2 * MIB, f"blob of row {self.rows}")
        self.other.tag_digest("x", "y", self.index("other").digest)
        settings = {"tag_ttl": "0s", "connect_timeout": "1s", "header_timeout": "1s", **more}
        other = {"name": "other", "url": self.other.url, "allow_private": ["127.0.0.0/8"], "tag_ttl": "0s"}
        self.proxy = self.make_entrepot(self.hub(self.upstream.url, **settings), other, name=f"entrepot-{self.rows}")
        self.assertEqual(self.get("cached").status, 200)

    def get(self, tag: str):
        reply = self.proxy.client().get(f"/v2/{self.repository}/manifests/{tag}")
        if reply.status == 200:
            self.assertEqual(reply.digest, self.upstream._tags[(self.repository, tag)])
        return reply

    def get_blob(self):
        reply = self.proxy.client().get(f"/v2/{self.repository}/blobs/{self.blob.digest}")
        self.assertFalse(reply.status == 200 and not reply.error and reply.digest != self.blob.digest)
        return reply

    def is_right(self, reply) -> bool:
        return reply.status == 200 and not reply.error

    def expect_cached(self):
        reply = self.get("cached")
        self.assertEqual(reply.status, 200, "what is cached is served")
        self.assertIn("hit", reply.cache_status)

    def expect_other(self):
        self.assertEqual(self.proxy.client().get("/v2/other/x/manifests/y").status, 200, "another upstream is as it was")

    def expect_recovery(self):
        self.upstream.behave()
        wait.until(lambda: self.is_right(self.get("later")), "the upstream to be asked again", 60)
        wait.until(lambda: self.is_right(self.get_blob()), "the blob", 60)
        self.proxy.stop()

    def fails(self, *statuses: int):
        """While the fault is there."""
        reply, blob = at_once([lambda: self.get("new"), self.get_blob])
        self.assertIn(reply.status, statuses, reply.body)
        self.assertTrue(reply.json()["errors"][0]["code"])
        self.assertFalse(self.is_right(blob))
        self.assertNotEqual(self.proxy.state(self.blob.digest), "committed")
        self.expect_cached()
        self.expect_other()
        self.expect_recovery()

    def is_not_felt(self, blobs: bool = True):
        self.assertTrue(self.is_right(self.get("new")))
        if blobs:
            self.assertTrue(self.is_right(self.get_blob()))
        self.expect_other()
        self.expect_recovery()


class ConnectionTest(FaultCase):
    def test_f41_connection_refused(self):
        self.start()
        self.upstream.stop_listening()
        self.assertEqual(self.get("new").status, 502)
        self.assertIn("detail=stale", self.get("cached").cache_status)
        self.upstream.listen_again()
        self.fails_no_more()

    def fails_no_more(self):
        self.expect_other()
        self.expect_recovery()
        self.assertEqual(self.rows, 1)

    def test_f43_reset_right_after_the_request(self):
        self.start()
        self.upstream.on("*", self.repository, quirks.hang_up("rst"), times=1)
        self.is_not_felt(blobs=False)
        self.start()
        self.upstream.on("*", self.repository, quirks.hang_up("rst"))
        self.fails(502)

    def test_f62_a_kept_connection_is_closed_as_we_send(self):
        self.start()
        for method in ("HEAD", "GET"):
            self.upstream.on(method, self.repository, quirks.hang_up("fin"), times=1)
        self.is_not_felt()

    def test_f42_f57_nothing_comes(self):
        """A head that never comes; a SYN that is dropped is in NetworkTest."""
        self.start()
        self.upstream.on("*", self.repository, quirks.silence())
        self.fails(502, 504)

    def test_f69_everything_is_down_and_comes_back(self):
        self.start()
        for server in (self.upstream, self.other):
            server.stop_listening()
        for _ in range(6):
            self.assertIn(self.get("new").status, (502, 503))
            self.expect_cached()
        for server in (self.upstream, self.other):
            server.listen_again()
        self.expect_recovery()


class BodyTest(FaultCase):
    def test_f44_f45_f46_f47_f48_bodies_that_end_too_soon_or_too_late(self):
        for what, right, faults in (
                ("F44: reset", False, (quirks.cut(1, "rst"),)), ("F45: close", False, (quirks.cut(1, "fin"),)),
                ("F46: no last chunk", False, (quirks.chunked(), quirks.cut(100))),
                ("F47: longer than it says", False, (quirks.claim_length(50),)),
                ("F48: until the connection closes", True, (quirks.until_close(),)),
                ("F48: until the connection closes, cut", False, (quirks.until_close(), quirks.cut(50)))):
            with self.subTest(what):
                self.start()
                self.upstream.on("GET", self.repository, *faults)
                self.is_not_felt() if right else self.fails(502, 504)

    def test_f49_f66_other_bytes(self):
        for what, fault in (("F49: one byte", quirks.flip(7)), ("F66: gzip", quirks.gzip_encoded()),
                            ("F66: said to be gzip", quirks.add_header("Content-Encoding", "gzip"))):
            with self.subTest(what):
                self.start()
                self.upstream.on("GET", self.repository, fault)
                self.fails(502, 504)

    def test_f50_another_digest_in_the_header(self):
        """The body wins. Of a GET the header is not even read; what a HEAD names and is not there is no answer to what the tag is."""
        nowhere = ("Docker-Content-Digest", "sha256:" + "0" * 64)
        self.start()
        self.upstream.on("GET", self.repository, quirks.add_header(*nowhere))
        self.is_not_felt()
        self.start()
        self.upstream.on("*", self.repository, quirks.add_header(*nowhere))
        self.assertIn("fwd=", self.get("new").cache_status)
        self.assertIn("detail=revalidated", self.get("new").cache_status)
        self.upstream.tag_digest(self.repository, "new", self.index("a second").digest)
        self.assertIn("fwd=", self.get("new").cache_status)
        self.assertEqual(self.asked_for(nowhere[1]), 1, "it is known that this one is not there")
        self.assertEqual(self.asked_for("manifests/new"), 3)
        self.assertIn("there is no such manifest", self.proxy.log())
        self.is_not_felt()

    def asked_for(self, what: str) -> int:
        return len(self.upstream.seen("GET", what))

    def test_f50_the_header_is_mended_and_wrong_in_another_way(self):
        self.start()
        for digit in "012":
            self.upstream.behave()
            self.assertTrue(self.is_right(self.get("cached")))
            self.upstream.on("*", self.repository, quirks.add_header("Docker-Content-Digest", "sha256:" + digit * 64))
            self.assertTrue(self.is_right(self.get("cached")))
        self.expect_recovery()

    def test_f50_a_tag_that_is_gone_behind_a_wrong_header(self):
        self.start()
        self.upstream.on("HEAD", self.repository, quirks.add_header("Docker-Content-Digest", "sha256:" + "0" * 64))
        self.upstream.on("GET", f"{self.repository}/manifests/cached", quirks.failing(404, "MANIFEST_UNKNOWN"))
        self.assertEqual(self.get("cached").status, 404)
        self.upstream.behave()
        self.upstream.on("HEAD", self.repository, quirks.add_header("Docker-Content-Digest", "sha256:" + "0" * 64))
        self.upstream.on("GET", f"{self.repository}/manifests/new", quirks.failing(503))
        self.assertIn(self.get("new").status, (502, 503))
        self.expect_other()
        self.expect_recovery()

    def test_f50_a_header_that_is_ahead_of_what_is_there(self):
        """As where a push has reached one half of a registry: the old one until the new one can be had, and then the new one."""
        self.start()
        old, new = self.upstream._tags[(self.repository, "cached")], self.index("the next").digest
        self.upstream.on("HEAD", f"{self.repository}/manifests/cached", quirks.add_header("Docker-Content-Digest", new))
        self.upstream.on("GET", new, quirks.failing(404, "MANIFEST_UNKNOWN"))
        self.assertEqual(self.get("cached").digest, old)
        self.upstream.behave()
        self.upstream.tag_digest(self.repository, "cached", new)
        self.assertEqual(self.get("cached").digest, new)
        self.proxy.stop()

    def test_f51_a_log_in_page(self):
        self.start()
        self.upstream.on("*", self.repository, quirks.html())
        self.fails(502)

    def test_f63_a_part_that_nobody_asked_for(self):
        self.start()
        self.upstream.on("GET", self.repository, quirks.partial_unasked(), to_ranges=False)
        self.fails(502)

    def test_f64_heads_that_are_refused_or_wrong(self):
        for what, fault in (("405", quirks.failing(405)), ("501", quirks.failing(501)), ("length", quirks.claim_length(5)),
                            ("no digest", quirks.add_header("Docker-Content-Digest", None))):
            with self.subTest(what):
                self.start()
                self.upstream.on("HEAD", self.repository, fault)
                self.is_not_felt()

    def test_f65_heads_that_are_too_large(self):
        for what, fault in (("10,000 lines", quirks.more_headers(10_000)), ("1 MiB", quirks.more_headers(1, MIB)),
                            ("101 lines", quirks.more_headers(101)), ("10,000 interim answers", quirks.interim(10_000))):
            with self.subTest(what):
                self.start()
                self.upstream.on("*", self.repository, fault)
                self.fails(502)
        self.start()
        self.upstream.on("*", self.repository, quirks.interim(5), quirks.more_headers(20))
        self.is_not_felt()

    def test_f52_redirects_that_lead_nowhere(self):
        self.start()
        self.upstream.on("*", self.repository, quirks.redirect(lambda: f"{self.upstream.url}/v2/{self.repository}/manifests/loop"))
        self.upstream.tag_digest(self.repository, "loop", self.index("loop").digest)
        before = len(self.upstream.seen())
        self.assertEqual(self.get("new").status, 502)
        self.assertLessEqual(len(self.upstream.seen()) - before, 6)
        self.expect_recovery()


class AnswerTest(FaultCase):
    def test_f55_too_many_requests(self):
        for said in ("5", "0", "-1", "1000000000", "soon", "Fri, 31 Dec 2100 23:59:59 GMT", "Thu, 01 Jan 1970 00:00:00 GMT", None):
            with self.subTest(said):
                self.start()
                self.upstream.on("*", self.repository, quirks.failing(429, "TOOMANYREQUESTS"), quirks.add_header("Retry-After", said))
                asked = len(self.upstream.seen())
                reply = self.get("new")
                self.assertEqual(reply.status, 429)
                self.assertTrue(1 <= int(reply.header("Retry-After")) <= 60, reply.headers)
                self.assertLessEqual(len(self.upstream.seen()) - asked, 3, "no storm")
                self.assertIn("detail=stale", self.get("cached").cache_status)
                self.proxy.stop()

    def test_f56_errors_of_the_server(self):
        for status in (500, 502, 503, 504):
            with self.subTest(status):
                self.start()
                self.upstream.on("*", self.repository, quirks.failing(status), times=1)
                self.is_not_felt(blobs=False)
        self.start()
        self.upstream.on("*", self.repository, quirks.failing(503))
        self.fails(502, 503)

    def test_f67_a_tag_that_never_stands_still(self):
        self.start()
        one, two = self.index("one"), self.index("two")
        turn = iter(range(1000))

        def flip(answer):
            self.upstream.tag_digest(self.repository, "restless", (one, two)[next(turn) % 2].digest)
        self.upstream.tag_digest(self.repository, "restless", one.digest)
        self.upstream.on("*", "/manifests/restless", flip)
        for _ in range(10):
            reply = self.proxy.client().get(f"/v2/{self.repository}/manifests/restless")
            self.assertEqual(reply.status, 200)
            self.assertIn(reply.digest, (one.digest, two.digest))
            self.assertEqual(reply.header("Docker-Content-Digest"), reply.digest)
        self.proxy.stop()

    def test_f68_a_cached_tag_that_is_gone(self):
        self.start()
        cached = self.upstream._tags[(self.repository, "cached")]
        self.upstream.on("*", f"{self.repository}/manifests/cached", quirks.failing(404, "MANIFEST_UNKNOWN"))
        self.assertEqual(self.get("cached").status, 404, "a true 404 is passed on")
        by_digest = self.proxy.client().get(f"/v2/{self.repository}/manifests/{cached}")
        self.assertEqual((by_digest.status, by_digest.digest), (200, cached))
        self.proxy.stop()


class TokenTest(FaultCase):
    """F53, F54."""

    def setUp(self):
        super().setUp()
        self.tokens = self.make_tokens()
        self.password_file = secrets.write(self.scratch / "password", secrets.make("upstream password"))

    def start(self, **more):
        super().start(trusted_realms=[self.tokens.address], **more)
        self.upstream.require_token(self.tokens)

    def expect_recovery(self):
        self.tokens.behave()
        super().expect_recovery()
        self.upstream._tokens = None

    def says(self, body: bytes):
        return quirks.instead(lambda: answers.with_body(200, "application/json", body))

    def test_f54_a_token_service_that_fails(self):
        for what, fault in (("down", quirks.hang_up()), ("slow", quirks.silence()), ("10 MiB", self.says(b"x" * 10 * MIB)),
                            ("no JSON", self.says(b"<html>")), ("no token", self.says(b"{}")), ("500", quirks.failing(500)),
                            ("a list", self.says(b"[]")), ("a token with a line break", self.says(b'{"token":"a\\r\\nb"}'))):
            with self.subTest(what):
                self.start()
                self.tokens.on("GET", "", fault)
                self.fails(502, 504)

    def test_f54_how_long_a_token_lives(self):
        """Whatever is said of that, one is fetched and it works."""
        for said in ("0", "-1", "1000000000000", "1e300", '"x"', "null", None):
            with self.subTest(said):
                self.start()
                token = secrets.make("token of a strange life")
                self.tokens._issued[token] = ("", {f"repository:{self.repository}:pull"})
                rest = f',"expires_in":{said}' if said else ""
                self.tokens.on("GET", "", self.says(f'{{"token":"{token}"{rest}}}'.encode()))
                self.tokens.forget()
                self.assertTrue(self.is_right(self.get("new")))
                self.assertTrue(self.is_right(self.get_blob()))
                self.assertEqual(len(self.tokens.seen()), 1)
                self.proxy.stop()
                self.upstream._tokens = None

    def test_f53_a_registry_that_is_never_content(self):
        self.start()
        self.upstream.on("*", self.repository, quirks.instead(lambda: answers.error(401, "UNAUTHORIZED", "", (
            "WWW-Authenticate", f'Bearer realm="{self.tokens.realm}",service="x",error="invalid_token"'))))
        before = len(self.upstream.seen())
        self.assertIn(self.get("new").status, (401, 403))
        self.assertLessEqual(len(self.upstream.seen()) - before, 3)
        self.assertEqual(len(self.tokens.seen()), 1)
        self.expect_recovery()


class BlockedTest(FaultCase):
    def test_f58_one_that_trickles_holds_up_nobody(self):
        self.start()
        self.upstream.on("GET", self.blob.digest, quirks.trickle(1000))
        slow = threading.Thread(target=lambda: self.proxy.client().attempt(f"/v2/{self.repository}/blobs/{self.blob.digest}"))
        slow.start()
        wait.until(lambda: self.upstream.seen("GET", self.blob.digest), "the slow one to be asked for")
        for number in range(20):
            blob = self.content.make(100_000, f"beside the slow one {number}")
            reply = self.proxy.client().get(f"/v2/{self.repository}/blobs/{blob.digest}")
            self.assertEqual((reply.status, reply.digest), (200, blob.digest))
        self.assertTrue(slow.is_alive())
        self.upstream.stop_listening()
        slow.join()
