"""access = "public": a credential for its rate limit, and nobody gets what he could not have without it."""

from harness import answers, case, client, quirks, reader, secrets, wait


@case.short
class PublicTest(reader.ReaderCase):
    def setUp(self):
        super().setUp()
        self.upstream, _, self.tokens = self.with_token_service()

    def serve(self, access="public", **more):
        upstream = self.with_credential(self.upstream.url, access, trusted_realms=[self.tokens.address], **more)
        return self.make_entrepot(upstream, name=access)

    def wishes(self) -> list[tuple]:
        """Who asked the token service for what: (credential, scope)."""
        return [(r.header("Authorization"), scope) for r in self.tokens.seen("GET") for scope in r.query["scope"]]

    def test_what_is_public_is_proven_and_then_fetched_with_the_credential(self):
        self.pull_everything(self.serve().client(), "library/hut", self.hut)
        scope = "repository:library/hut:pull"
        self.assertEqual(self.wishes(), [(None, scope), (self.basic, scope)])
        unasked = [r for r in self.upstream.seen("GET") if r.header("Authorization") is None and r.status < 400]
        self.assertEqual(unasked, [], "whatever counts against a limit counts against the credential's")

    def test_what_the_credential_alone_may_read_is_refused(self):
        """The control is `shared`, which gives it out."""
        proxy = self.serve()
        blob = self.hut.blobs[0].digest
        for path in ("manifests/latest", f"blobs/{blob}", "tags/list"):
            with self.subTest(path):
                self.assertIn(proxy.client().get(f"/v2/keys/hut/{path}").status, (401, 403, 404))
        self.assertEqual({credential for credential, _ in self.wishes()}, {None}, "it was not even asked with it")
        shared = self.serve(access="shared", allow_unauthenticated_private=True)
        self.assertEqual(shared.client().get("/v2/keys/hut/manifests/latest").status, 200)

    def test_a_public_blob_does_not_open_a_private_repository(self):
        """The same bytes lie in both, and ours is warm."""
        proxy = self.serve()
        self.pull_everything(proxy.client(), "library/hut", self.hut)
        for blob in self.hut.blobs:
            self.assertIn(proxy.client().get(f"/v2/keys/hut/blobs/{blob.digest}").status, (401, 403, 404))
        self.assertNotIn((self.basic, "repository:keys/hut:pull"), self.wishes())

    def test_a_refused_credential_is_told_and_left_out(self):
        secrets.write(self.scratch / "password", secrets.make("changed upstream password"))
        proxy = self.serve()
        self.pull_everything(proxy.client(), "library/hut", self.hut)
        self.assertEqual(len([1 for credential, _ in self.wishes() if credential is not None]), 1, "not again and again")
        wait.until(lambda: "going on without it for a minute" in proxy.log(), "the log to tell")

    def test_a_listing_proves_nothing(self):
        """A registry that has an empty list for whoever asks."""
        self.upstream.on("GET", "/keys/hut/tags/list", quirks.instead(
            lambda: answers.with_body(200, "application/json", b'{"name":"keys/hut","tags":[]}')))
        proxy = self.serve()
        self.assertEqual(proxy.client().get("/v2/keys/hut/tags/list").status, 200)
        self.assertIn(proxy.client().get("/v2/keys/hut/manifests/latest").status, (401, 403, 404))
        self.assertNotIn(self.basic, {credential for credential, _ in self.wishes()})

    def test_many_who_want_one_cold_blob(self):
        """Proof and all, it comes once."""
        proxy = self.serve()
        blob = max(self.hut.blobs, key=lambda b: b.size)
        path = f"/v2/library/hut/blobs/{blob.digest}"
        replies = client.at_once([lambda: proxy.client().get(path) for _ in range(20)])
        self.assertEqual({r.digest for r in replies}, {blob.digest})
        self.assertEqual(len([r for r in self.upstream.seen("GET", blob.digest) if r.status < 400]), 1)

    def test_a_mirror_goes_on_without_the_credential(self):
        mirror = self.make_upstream(behind=self.make_registry("mirror"))
        self.upstream.on("*", "/library/hut/", quirks.failing(503))
        proxy = self.serve(mirrors=[mirror.url])
        self.pull_everything(proxy.client(), "library/hut", self.hut)
        self.assertEqual({r.header("Authorization") for r in mirror.seen()}, {None})
