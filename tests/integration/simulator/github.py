"""GHCR."""

from harness import answers
from harness.answers import Answer
from harness.content import Content
from harness.server import Seen
from harness.upstream import Storage

from . import service


class Ghcr(service.Service):
    def __init__(self, hosts, content: Content, users: dict[str, str] | None = None):
        super().__init__(content, users or {})
        self.storage = self._add(Storage(content, **hosts.place("pkg-containers.githubusercontent.com")))
        self.storage.lifetime = 600
        self.registry = self._add(GhcrRegistry(content, self, **hosts.place("ghcr.io")), http2=True)


class GhcrTokens(service.Tokens):
    """Who may not read a repository gets no token for it, rather than one without rights: `status_without_rights` says how."""

    status_without_rights = 403

    def grant(self, seen: Seen) -> Answer:
        user = self.user(seen.header("Authorization"))
        wanted = [scope.split(":")[1] for scope in seen.query.get("scope", [])]
        if user is None or all(self.may_pull(user, repository) for repository in wanted):
            return super().grant(seen)
        code = "DENIED" if self.status_without_rights == 403 else "UNAUTHORIZED"
        return answers.error(self.status_without_rights, code, "requested access to the resource is denied")

    def refused(self, seen: Seen) -> Answer:
        return answers.error(403, "DENIED", "denied")


class GhcrRegistry(service.TokenRegistry):
    """`busy_for`: too many requests; when to come again stands in the message alone, in whatever unit Go finds good."""

    TOKEN_PATH = "/token"

    def __init__(self, content: Content, ghcr: Ghcr, **place):
        super().__init__(content, ghcr.directory, **place)
        self.tokens, self._storage = GhcrTokens(ghcr.directory, self.url + self.TOKEN_PATH, self.name), ghcr.storage
        self.busy_for = ""

    def honest_answer(self, seen: Seen) -> Answer:
        if self.busy_for and service.repository_of(seen):
            return answers.error(429, "TOOMANYREQUESTS", f"retry-after: {self.busy_for}, allowed: 44000/minute")
        return service.needs_accept(seen, super().honest_answer(seen))

    def _own(self, seen: Seen) -> Answer:
        reference = service.reference_of(seen)
        if "/blobs/" in seen.path and seen.method == "GET" and self.content.has(reference):
            return Answer(307, [("Location", self._storage.signed(reference))], None, 0)
        return super()._own(seen)
