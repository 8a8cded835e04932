"""Docker Hub's rate limit: what counts against it, what is known of it, and what clients get when it is used up."""

import json

from harness import case, quirks, wait
from harness.image import OCI_INDEX


@case.short
class RateLimitTest(case.TestCase):
    def setUp(self):
        super().setUp()
        self.hut = self.store.image("hut")
        self.upstream = self.make_upstream(behind=self.make_registry())

    def tell(self, remaining: int, source: str = "192.0.2.1"):
        self.upstream.on("*", "/manifests/", quirks.add_header("RateLimit-Limit", "100;w=21600"),
                         quirks.add_header("Docker-RateLimit-Source", source),
                         quirks.add_header("RateLimit-Remaining", f"{remaining};w=21600"))

    def test_one_image_pulled_50_times_counts_once(self):
        """A GET of a manifest counts, a HEAD does not; each of these pulls asks whether the tag has moved."""
        proxy = self.make_entrepot(self.hub(self.upstream.url, tag_ttl="0s"))
        digests = {proxy.client().get("/v2/library/hut/manifests/latest").digest for _ in range(50)}
        self.assertEqual(len(digests), 1)
        self.assertEqual(len(self.upstream.seen("GET", "/manifests/")), 1)
        self.assertEqual(len(self.upstream.seen("HEAD", "/manifests/")), 50)

    def test_what_the_registry_says_is_on_the_metrics_page(self):
        proxy = self.make_entrepot(self.hub(self.upstream.url, tag_ttl="0s"))
        name = "entrepot_upstream_ratelimit_remaining"
        of = {"upstream": "docker.io", "credential": "none"}
        proxy.client().get("/v2/library/hut/manifests/latest")
        self.assertIsNone(proxy.metric(name, **of), "this registry has told nothing")
        self.tell(57)
        proxy.client().get("/v2/library/hut/manifests/latest")
        wait.until(lambda: proxy.metric(name, **of) == 57, "the page to say 57")
        self.assertEqual(proxy.metric("entrepot_upstream_ratelimit_limit", **of), 100)
        self.assertNotIn("pulls", proxy.log())
        self.tell(3)
        for _ in range(3):
            proxy.client().get("/v2/library/hut/manifests/latest")
        wait.until(lambda: proxy.metric(name, **of) == 3, "the page to say 3")
        self.assertEqual(proxy.log().count("3 of 100 pulls in 21600 seconds are left to 192.0.2.1, says"), 1)

    def test_both_kinds_of_429_leave_what_is_cached(self):
        """The pull limit's, JSON, and the abuse limit's, plain text and for HEAD too."""
        proxy = self.make_entrepot(self.hub(self.upstream.url, tag_ttl="0s"))
        known = proxy.client().get("/v2/library/hut/manifests/latest")
        self.tell(0)
        for limit in (quirks.failing(429, "TOOMANYREQUESTS"), quirks.plain_text(429, "Too Many Requests (HAP429).")):
            self.upstream.on("*", "/manifests/", limit)
            stale = proxy.client().get("/v2/library/hut/manifests/latest")
            self.assertEqual((stale.status, stale.digest), (200, known.digest))
            self.assertIn("detail=stale-rate-limited", stale.header("Cache-Status"))
            refused = proxy.client().get("/v2/library/other/manifests/latest")
            self.assertEqual(refused.status, 429)
            self.assertEqual(refused.json()["errors"][0]["code"], "TOOMANYREQUESTS")
            self.assertEqual(refused.header("Cache-Status"), "entrepot; detail=upstream_rate_limited")
            self.assertLessEqual(1, int(refused.header("Retry-After")))
            self.assertLessEqual(int(refused.header("Retry-After")), 60)


@case.short
class MovedTagTest(case.OneUpstream):
    """The upstream says that a tag has moved, and does not give what it moved to."""

    def index(self, number: int):
        made = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [], "annotations": {"number": str(number)}}
        return self.content.add(json.dumps(made).encode(), OCI_INDEX)

    def test_it_moves_when_its_new_manifest_is_here(self):
        path = "/v2/library/moving/manifests/latest"
        for number, (fault, what) in enumerate({"429": quirks.failing(429, "TOOMANYREQUESTS"), "wrong bytes": quirks.flip(5),
                                                "a web page": quirks.html()}.items()):
            with self.subTest(fault):
                name = f"entrepot-{number}"
                proxy = self.make_entrepot(self.hub(self.upstream.url, tag_ttl="0s"), name=name)
                old, new = self.index(2 * number), self.index(2 * number + 1)
                self.upstream.tag_digest("library/moving", "latest", old.digest)
                self.assertEqual(proxy.client().get(path).digest, old.digest)
                self.upstream.tag_digest("library/moving", "latest", new.digest)
                self.upstream.on("GET", new.digest, what)
                for restart in (False, True):
                    if restart:
                        proxy.restart()
                    stale = proxy.client().get(path)
                    self.assertEqual((stale.status, stale.digest), (200, old.digest))
                    self.assertIn("stale", stale.header("Cache-Status"))
                self.upstream.behave()
                wait.until(lambda: proxy.client().get(path).digest == new.digest, "the tag to move")
