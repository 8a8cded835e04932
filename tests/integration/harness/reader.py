"""A registry that not everybody may read all of, and the reader who has a password for it."""

from . import case, registry, secrets


class ReaderCase(case.TestCase):
    """`hut` is in every repository. With a token service, library/ is for everybody, all else for the reader."""

    def setUp(self):
        super().setUp()
        self.password = secrets.make("upstream password")
        self.basic = secrets.basic("reader", self.password)
        self.password_file = secrets.write(self.scratch / "password", self.password)
        self.hut = self.store.image("hut")

    def with_token_service(self, **options):
        """A docker-registry that wants tokens, behind a recorder, and the service that gives them out."""
        signer = registry.TokenSigner(self.scratch / "tokens")
        tokens = self.make_tokens(signer=signer, users={"reader": self.password})
        behind = self.make_registry(token=signer.auth(tokens.realm), **options)
        return self.make_upstream(behind=behind), behind, tokens

    def with_credential(self, url: str, access: str, **more) -> dict:
        return self.hub(url, access=access, username="reader", password_file=self.password_file, **more)
