"""gitlab.com: the registry, and the dependency proxy's way with manifests."""

from harness import answers
from harness.answers import Answer
from harness.content import Content
from harness.rules import RuledServer
from harness.server import Seen
from harness.upstream import Storage

from . import service
from .storage import S3


class GitLab(service.Service):
    """Tokens are gitlab.com's, which is another host than the registry."""

    def __init__(self, hosts, content: Content, users: dict[str, str] | None = None):
        super().__init__(content, users or {})
        self.tokens = self._add(GitLabTokens(self.directory, **hosts.place("gitlab.com")))
        self.cdn = self._add(Storage(content, **hosts.place("cdn.registry.gitlab-static.net")))
        self.bucket = self._add(ManifestBucket(content, **hosts.place("gitlab-objects.s3.eu-central-1.amazonaws.com")))
        self.registry = self._add(GitLabRegistry(content, self, **hosts.place("registry.gitlab.com")))


class GitLabTokens(service.Tokens, RuledServer):
    """Of several scopes the last one alone counts; a wrong password is a 403. gitlab.com's tokens live fifteen minutes."""

    def __init__(self, directory: service.Directory, **place):
        RuledServer.__init__(self, **place)
        service.Tokens.__init__(self, directory, f"{self.url}/jwt/auth", "container_registry")
        self.expires_in = 900

    def honest_answer(self, seen: Seen) -> Answer:
        return self.grant(seen)

    def scopes(self, seen: Seen) -> list[str]:
        return super().scopes(seen)[-1:]

    def refused(self, seen: Seen) -> Answer:
        return answers.error(403, "DENIED", "access forbidden")


class ManifestBucket(S3):
    """A bucket that has manifests as well, with their types."""

    def honest_answer(self, seen: Seen) -> Answer:
        answer = super().honest_answer(seen)
        digest = seen.path.rsplit("/", 1)[1]
        if answer.status == 200:
            answer.set_header("Content-Type", self._content.manifest_type(digest))
        return answer


class GitLabRegistry(service.TokenRegistry):
    """`signs_manifests`: a manifest is a redirect to a URL that is signed for GET, as the dependency proxy does it."""

    def __init__(self, content: Content, gitlab: GitLab, **place):
        super().__init__(content, gitlab.directory, **place)
        self.tokens, self._cdn, self._bucket = gitlab.tokens, gitlab.cdn, gitlab.bucket
        self.signs_manifests = False

    def _own(self, seen: Seen) -> Answer:
        reference = service.reference_of(seen)
        if "/blobs/" in seen.path and seen.method == "GET" and self.content.has(reference):
            return Answer(307, [("Location", self._cdn.signed(reference))], None, 0)
        answer = service.needs_accept(seen, super()._own(seen))
        if self.signs_manifests and answer.status == 200 and service.is_manifest(seen):
            return Answer(302, [("Location", self._bucket.signed(answer.header("Docker-Content-Digest")))], None, 0)
        return answer
