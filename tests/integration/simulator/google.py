"""Google Artifact Registry."""

from harness import answers, secrets
from harness.answers import Answer
from harness.content import Content
from harness.rules import RuledServer
from harness.server import Seen

from . import service

_DOWNLOADS = "/artifacts-downloads/"


class ArtifactRegistry(service.Service):
    """One host for all, blobs included. A log-in page elsewhere is where the referrers API leads to."""

    def __init__(self, hosts, content: Content, users: dict[str, str] | None = None):
        super().__init__(content, users or {})
        self.accounts = self._add(LogIn(**hosts.place("accounts.google.com")))
        self.registry = self._add(ArtifactRegistryHost(content, self, **hosts.place("europe-docker.pkg.dev")), http2=True)


class LogIn(RuledServer):
    def honest_answer(self, seen: Seen) -> Answer:
        return service.html(200)


class ArtifactRegistryHost(service.TokenRegistry):
    TOKEN_PATH = "/v2/token"

    def __init__(self, content: Content, google: ArtifactRegistry, **place):
        super().__init__(content, google.directory, **place)
        self.tokens = service.Tokens(google.directory, self.url + self.TOKEN_PATH, self.name)
        self._log_in = google.accounts
        self._downloads: dict[str, str] = {}   # path → digest

    def challenge(self, seen: Seen, scope: str) -> str:
        """The ping's has a realm and nothing else."""
        return super().challenge(seen, scope) if scope else f'Bearer realm="{self.tokens.realm}"'

    def honest_answer(self, seen: Seen) -> Answer:
        if seen.path == self.TOKEN_PATH and seen.method != "GET":
            return answers.error(404, "NOT_FOUND")
        if seen.path.startswith(_DOWNLOADS):
            digest = self._downloads.get(seen.path)
            return self._object("blobs", digest, seen.header("Range")) if digest else service.html(404)
        return service.needs_accept(seen, super().honest_answer(seen))

    def _own(self, seen: Seen) -> Answer:
        reference = service.reference_of(seen)
        if "/referrers/" in seen.path:
            return service.html(302, ("Location", f"{self._log_in.url}/v3/signin"))
        if "/blobs/" in seen.path and self.content.has(reference):
            ticket = secrets.make("signed path of a download") + "x" * 1000
            self._downloads[path := f"{_DOWNLOADS}namespaces/p/repositories/r/downloads/{ticket}/{reference}"] = reference
            return answers.with_body(302, "application/json", b'{"errors":[]}', ("Location", path), ("Cache-Control", "private"))
        return super()._own(seen)
