"""Tag lists and referrers, as clients page through them; asked of the upstream once."""

import json
import re

from harness import answers, case, client, quirks, wait

INDEX = "application/vnd.oci.image.index.v1+json"
SIGNATURE, SBOM = "application/vnd.example.signature", "application/vnd.example.sbom"


class DiscoveryCase(case.TestCase):
    def setUp(self):
        super().setUp()
        self.hut = self.store.image("hut")
        self.upstream = self.make_upstream()
        self.quay = self.make_upstream()
        self.entrepot = self.make_entrepot(
            self.hub(self.upstream.url), {"name": "quay.io", "url": self.quay.url, "allow_private": ["127.0.0.0/8"]})
        self.client = self.entrepot.client()


class TagListTest(DiscoveryCase):
    def setUp(self):
        super().setUp()
        self.tags = [f"v{number:03}" for number in range(25)]
        for tag in self.tags:
            self.upstream.tag("library/hut", self.hut, tag)

    @case.short
    def test_the_whole(self):
        reply = self.client.get("/v2/library/hut/tags/list")
        self.assertEqual((reply.status, reply.header("Content-Type")), (200, "application/json"))
        self.assertEqual(reply.json(), {"name": "library/hut", "tags": self.tags})
        self.assertEqual(reply.header("Link"), "")
        self.assert_miss(reply)
        self.assert_hit(self.client.get("/v2/library/hut/tags/list"))
        self.assertEqual(len(self.upstream.seen("GET", "/tags/list")), 1)

    def pages(self, target: str) -> list[list[str]]:
        pages = []
        while target:
            reply = self.client.get(target)
            self.assertEqual(reply.status, 200, reply.body)
            pages.append(reply.json()["tags"])
            link = re.match(r'<(/[^>]*)>; rel="next"$', reply.header("Link"))
            target = link.group(1) if link else ""
        return pages

    @case.short
    def test_page_by_page(self):
        for shape in ("/v2/library/hut/tags/list?n=10", "/v2/docker.io/library/hut/tags/list?n=10",
                      "/docker.io/v2/library/hut/tags/list?n=10", "/v2/library/hut/tags/list?ns=docker.io&n=10"):
            with self.subTest(shape):
                self.assertEqual(self.pages(shape), [self.tags[:10], self.tags[10:20], self.tags[20:]])
        self.assertEqual(self.pages("/v2/library/hut/tags/list?n=10&last=v019"), [self.tags[20:]])
        self.assertEqual(self.pages("/v2/library/hut/tags/list?n=5&last=zzzz"), [[]])

    def test_the_name_is_the_one_the_client_used(self):
        self.upstream.tag("library/hut", self.hut)
        for name in ("hut", "library/hut", "docker.io/library/hut"):
            self.assertEqual(self.client.get(f"/v2/{name}/tags/list").json()["name"], name)

    def test_what_means_nothing_makes_no_request(self):
        for number in range(20):
            self.assertEqual(self.client.get(f"/v2/library/hut/tags/list?cb={number}").status, 200)
        self.assertEqual(len(self.upstream.seen("GET", "/tags/list")), 1)

    def test_broken_queries(self):
        for query in ("n=-1", "n=abc", "n=", "n=1e3", "n=0x10", "n=1&n=2", "last=%zz"):
            with self.subTest(query):
                self.assertEqual(self.client.get(f"/v2/library/hut/tags/list?{query}").status, 400)
        self.assertEqual(self.client.get("/v2/library/hut/tags/list?n=0").json()["tags"], [])
        self.assertEqual(self.upstream.seen(), [])
        self.assertEqual(self.client.get(f"/v2/library/hut/tags/list?n={'9' * 400}").json()["tags"], self.tags)
        self.assertEqual(self.upstream.seen()[0].query["n"], ["1000"])

    @case.short
    def test_a_hundred_clients_make_one_request(self):
        gate = self.make_gate()
        self.upstream.on("GET", "/tags/list", quirks.late_head(gate))

        def ask():
            return self.entrepot.client().get("/v2/library/hut/tags/list")

        def open_the_gate():
            wait.until(lambda: self.upstream.seen("GET", "/tags/list"), "the one request")
            gate.set()

        replies = client.at_once([ask] * 99 + [open_the_gate])[:99]
        self.assertEqual({(reply.status, reply.size) for reply in replies}, {(200, replies[0].size)})
        self.assertEqual(len(self.upstream.seen("GET", "/tags/list")), 1)

    def test_what_does_not_exist_and_who_may_not(self):
        reply = self.client.get("/v2/library/nothing/tags/list")
        self.assertEqual((reply.status, reply.json()["errors"][0]["code"]), (404, "NAME_UNKNOWN"))
        self.upstream.on("GET", "/tags/list", quirks.failing(403, "DENIED"))
        self.assertEqual(self.client.get("/v2/library/hut/tags/list").status, 403)

    def test_stale_while_the_upstream_is_down(self):
        self.entrepot.finish()
        self.entrepot = self.make_entrepot(self.hub(self.upstream.url, tag_ttl="0s"), name="no-ttl")
        self.client = self.entrepot.client()
        self.assertEqual(self.client.get("/v2/library/hut/tags/list").json()["tags"], self.tags)
        self.upstream.on("*", "/", quirks.failing(503))
        reply = self.client.get("/v2/library/hut/tags/list")
        self.assertEqual(reply.json()["tags"], self.tags)
        self.assertIn("detail=stale", reply.cache_status)
        self.upstream.behave()

    def test_the_next_page_of_quay(self):
        """An opaque parameter of another name, and an absolute URL that leads elsewhere: the parameter is kept, and the next
        page is asked of the same upstream."""
        self.quay.tag("a/b", self.hut, "one")
        self.quay.on("GET", "/tags/list", quirks.add_header(
            "Link", '<https://elsewhere.test/v2/a/b/tags/list?next_page=gAAA%3D%3D&n=1>; rel="next"'), times=1)
        reply = self.client.get("/v2/quay.io/a/b/tags/list?n=1")
        self.assertEqual(reply.header("Link"), '</v2/quay.io/a/b/tags/list?next_page=gAAA%3D%3D&n=1>; rel="next"')
        self.assertEqual(self.client.get("/v2/quay.io/a/b/tags/list?next_page=gAAA%3D%3D&n=1").status, 200)
        self.assertEqual(self.quay.seen("GET")[-1].query, {"n": ["1"], "next_page": ["gAAA=="]})

    def test_what_is_no_tag_list(self):
        for name, quirk in (("html", quirks.html()), ("not json", quirks.plain_text(200, "tags")),
                            ("gzip", quirks.gzip_encoded()), ("cut", quirks.cut(10))):
            with self.subTest(name):
                self.upstream.behave()
                self.upstream.on("GET", "/tags/list", quirk)
                self.assertEqual(self.client.get("/v2/library/hut/tags/list").status, 502)

    def test_strange_tag_lists(self):
        """M24."""
        many = [f"t{number:07}" for number in range(1_000_000)]
        for number, (document, expected) in enumerate((
                ({"name": "library/hut", "tags": None}, []), ({"name": "another/name", "tags": ["a"]}, ["a"]),
                ({"tags": ["a", "b\r\nX-Injected: 1", "c\n", "../d", "e"]}, ["a", "e"]), ({"tags": many[:400_000]}, many[:400_000]),
                ({"tags": many}, None))):
            with self.subTest(number):
                body = json.dumps(document).encode()
                self.upstream.behave()
                self.upstream.on("GET", "/tags/list", quirks.instead(lambda body=body: answers.with_body(200, "application/json", body)))
                reply = self.client.get(f"/v2/library/hut{number}/tags/list")
                if expected is None:
                    self.assertEqual((reply.status, reply.json()["errors"][0]["code"]), (502, "UNAVAILABLE"))
                else:
                    self.assertEqual((reply.status, reply.json()), (200, {"name": f"library/hut{number}", "tags": expected}))

    def test_there_is_no_catalogue(self):
        self.assertEqual(self.client.get("/v2/_catalog").status, 404)
        self.assertEqual(self.upstream.seen(), [])


class ReferrersTest(DiscoveryCase):
    def setUp(self):
        super().setUp()
        self.subject = self.hut.root.digest
        self.target = f"/v2/library/hut/referrers/{self.subject}"

    def descriptor(self, kind: str, number: int) -> dict:
        return {"mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": f"sha256:{number:064x}", "size": 10 + number,
                "artifactType": kind, "annotations": {"number": str(number)}}

    @case.short
    def test_all_and_by_type(self):
        signature, sbom = self.descriptor(SIGNATURE, 1), self.descriptor(SBOM, 2)
        self.upstream.refer(self.subject, signature, sbom)
        reply = self.client.get(self.target)
        self.assertEqual((reply.status, reply.header("Content-Type")), (200, INDEX))
        self.assertEqual(reply.json()["manifests"], [signature, sbom])
        self.assertEqual(reply.header("OCI-Filters-Applied"), "")
        filtered = self.client.get(f"{self.target}?artifactType={SBOM}")
        self.assertEqual(filtered.json()["manifests"], [sbom])
        self.assertEqual(filtered.header("OCI-Filters-Applied"), "artifactType")
        self.assertEqual(self.client.get(f"{self.target}?artifactType=application%2Fnone").json()["manifests"], [])
        self.assertEqual(len(self.upstream.seen("GET", "/referrers/")), 1)

    def test_of_a_subject_that_nobody_knows(self):
        self.upstream.refer("sha256:" + "0" * 64)
        self.assertEqual(self.client.get(self.target).json()["manifests"], [])

    def test_the_fallback_tag(self):
        """A registry without the API, one that does not know the subject (Quay's 400), one that sends a page to log in."""
        signature = self.descriptor(SIGNATURE, 3)
        for number, quirk in enumerate((None, quirks.failing(400, "MANIFEST_INVALID"), quirks.html())):
            with self.subTest(number):
                name = f"library/fallback{number}"
                document = {"schemaVersion": 2, "mediaType": INDEX, "manifests": [signature], "annotations": {"n": str(number)}}
                index = self.content.add(json.dumps(document).encode(), INDEX)
                self.upstream.behave()
                if quirk:
                    self.upstream.on("GET", "/referrers/", quirk)
                target = f"/v2/{name}/referrers/{self.subject}"
                self.assertEqual(self.client.get(target).json()["manifests"], [])
                self.upstream.tag_digest(name, self.subject.replace(":", "-"), index.digest)
                self.entrepot.restart()
                self.client = self.entrepot.client()
                self.assertEqual(self.client.get(target).json()["manifests"], [signature])

    def test_broken_digests(self):
        for digest in ("sha256:short", "latest", "md5:" + "0" * 32):
            reply = self.client.get(f"/v2/library/hut/referrers/{digest}")
            self.assertEqual((reply.status, reply.json()["errors"][0]["code"]), (400, "DIGEST_INVALID"))
        self.assertEqual(self.upstream.seen(), [])
