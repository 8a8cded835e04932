"""access = "public": a credential for its rate limit, and nobody gets what he could not have without it."""

from harness import case, registry, secrets


@case.short
class PublicTest(case.TestCase):
    def setUp(self):
        super().setUp()
        self.password = secrets.make("upstream password")
        self.basic = secrets.basic("reader", self.password)
        self.password_file = secrets.write(self.scratch / "password", self.password)
        self.hut = self.store.image("hut")
        # library/ is for everybody, keys/ for the reader.
        signer = registry.TokenSigner(self.scratch / "tokens")
        self.tokens = self.make_tokens(signer=signer, users={"reader": self.password})
        self.upstream = self.make_upstream(behind=self.make_registry(token=signer.auth(self.tokens.realm)))

    def serve(self, access="public", **more):
        upstream = self.hub(self.upstream.url, access=access, username="reader", password_file=self.password_file,
                            trusted_realms=[self.tokens.address], **more)
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
        self.assertIn("going on without it for a minute", proxy.log())
