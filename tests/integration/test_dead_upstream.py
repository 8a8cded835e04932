"""P8: the upstream is down for the whole test, in each way in which it can be. What is cached is served, at once and marked
stale; what is not fails at once, as soon as it is clear that nobody answers; and when it is back, nobody has to restart
anything."""

import dataclasses
import time

from harness import case, quirks, wait

_FAILURES = 5   # in a row, until the host is left alone (Breaker)


class DeadUpstreamTest(case.TestCase):
    def setUp(self):
        super().setUp()
        self.upstream = self.make_upstream()
        self.hut = self.store.image("hut")
        for number in range(20):
            self.upstream.tag("library/hut", self.hut, f"v{number}")

    def start(self, **more):
        settings = {"tag_ttl": "0s", "header_timeout": "1s", "connect_timeout": "1s", **more}
        proxy = self.make_entrepot(self.hub(self.upstream.url, **settings))
        for number in range(10):
            self.assertEqual(proxy.client().get(f"/v2/library/hut/manifests/v{number}").status, 200)
        self.pull_everything(proxy.client(), "library/hut", self.hut_as("v0"))
        return proxy

    def hut_as(self, tag: str):
        return dataclasses.replace(self.hut, tag=tag)

    def fail_until_left_alone(self, proxy):
        """Misses, each of which waits for the upstream, until there are enough failures in a row."""
        for number in range(_FAILURES + 1):
            if "is left alone for a while" in proxy.log():
                return
            reply = proxy.client().get(f"/v2/library/hut/manifests/v{10 + number}")
            self.assertIn(reply.status, (502, 503, 504), reply.body)
        self.assertIn("is left alone for a while", proxy.log())

    def check_while_it_is_down(self, proxy):
        self.fail_until_left_alone(proxy)
        asked, began = len(self.upstream.seen()), time.monotonic()
        for number in range(10):
            reply = proxy.client().get(f"/v2/library/hut/manifests/v{number}")
            self.assertEqual((reply.status, reply.digest), (200, self.hut.root.digest))
            self.assertRegex(reply.cache_status, r"^entrepot; hit; ttl=-?\d+; detail=stale$")
        for blob in self.hut.blobs:
            reply = proxy.client().get(f"/v2/library/hut/blobs/{blob.digest}")
            self.assertEqual((reply.status, reply.digest), (200, blob.digest))
            self.assert_hit(reply)
        served = time.monotonic() - began
        began = time.monotonic()
        missing = proxy.client().get("/v2/library/hut/manifests/v19")
        failed = time.monotonic() - began
        self.assertEqual(missing.status, 502, missing.body)
        self.assertIn("is left alone for", missing.json()["errors"][0]["message"] + proxy.log())
        # One may be the probe that finds out whether it is back.
        self.assertLessEqual(len(self.upstream.seen()) - asked, 2, "it is left alone")
        print(f"\n{10 + len(self.hut.blobs)} cached answers in {served * 1000:.0f} ms, a miss failed in {failed * 1000:.0f} ms")

    def check_that_it_comes_back(self, proxy):
        def is_back():
            return proxy.client().get("/v2/library/hut/manifests/v18").status == 200
        wait.until(is_back, "the upstream to be asked again", 60)
        wait.until(lambda: "answers again" in proxy.log(), "the log to say so")
        self.assertEqual(proxy.client().get("/v2/library/hut/manifests/v17").status, 200)

    def test_it_says_nothing(self):
        proxy = self.start()
        self.upstream.on("*", "/", quirks.silence())
        self.check_while_it_is_down(proxy)
        self.upstream.behave()
        self.check_that_it_comes_back(proxy)

    def test_nobody_listens(self):
        proxy = self.start()
        self.upstream.stop_listening()
        self.check_while_it_is_down(proxy)
        self.upstream.listen_again()
        self.check_that_it_comes_back(proxy)

    def test_an_upstream_that_answers_with_errors_is_asked_on(self):
        """503s cost nobody time, and some repositories may be well: what is left alone is a host that does not answer."""
        proxy = self.start()
        self.upstream.on("*", "/", quirks.failing(503))
        for number in range(10, 18):
            self.assertIn(proxy.client().get(f"/v2/library/hut/manifests/v{number}").status, (502, 503))
        self.assertNotIn("is left alone", proxy.log())
        self.upstream.behave()
        self.assertEqual(proxy.client().get("/v2/library/hut/manifests/v18").status, 200)

    def test_a_token_service_that_says_nothing_is_left_alone_too(self):
        tokens = self.make_tokens(private=r"^nothing$")
        self.upstream.require_token(tokens)
        proxy = self.start(trusted_realms=[tokens.address])
        tokens.on("*", "/", quirks.silence())
        tokens.expires_in = 60
        for number in range(_FAILURES):
            # another repository each time: the token at hand is for one
            self.assertEqual(proxy.client().get(f"/v2/library/other{number}/manifests/latest").status // 100, 5)
        asked = len(tokens.seen())
        reply = proxy.client().get("/v2/library/another/manifests/latest")
        self.assertEqual(reply.status, 502)
        self.assertEqual(len(tokens.seen()), asked)
        self.assertIn(f"{tokens.address} is left alone for a while", proxy.log())

    def test_stale_while_revalidate(self):
        proxy = self.start(tag_ttl="0s", stale_while_revalidate="1h")
        gate = self.make_gate()
        self.upstream.on("HEAD", "/manifests/v0", quirks.late_head(gate), times=1)
        other = self.store.image("house")
        self.upstream.tag("library/hut", other, "v0")
        for _ in range(5):
            reply = proxy.client().get("/v2/library/hut/manifests/v0")
            self.assertEqual((reply.status, reply.digest), (200, self.hut.root.digest))
            self.assertIn("detail=stale", reply.cache_status)
        gate.set()
        wait.until(lambda: proxy.client().get("/v2/library/hut/manifests/v0").digest == other.root.digest, "the new one")
