"""registry.k8s.io: no content of its own, and no questions asked."""

from harness import answers
from harness.answers import Answer
from harness.content import Content
from harness.rules import RuledServer
from harness.server import Seen
from harness.upstream import ScriptedUpstream, Storage

from . import service

_ELSEWHERE = "/v2/k8s-artifacts-prod/images/"


class Kubernetes(service.Service):
    """Manifests are an Artifact Registry's, under a longer name; blobs are a bucket's.
    """

    def __init__(self, hosts, content: Content, users: dict[str, str] | None = None):
        super().__init__(content, users or {})
        self.bucket = self._add(Storage(content, **hosts.place("prod-registry-k8s-io-eu-central-1.s3.dualstack.eu-central-1.amazonaws.com")))
        self.manifests = self._add(ScriptedUpstream(content, **hosts.place("europe-west1-docker.pkg.dev")), http2=True)
        self.registry = self._add(Redirector(self, **hosts.place("registry.k8s.io")), http2=True)


class Redirector(RuledServer):
    def __init__(self, kubernetes: Kubernetes, **place):
        super().__init__(**place)
        self._kubernetes = kubernetes

    def tag(self, repository: str, image, tag: str | None = None):
        self._kubernetes.manifests.tag(_ELSEWHERE.removeprefix("/v2/") + repository, image, tag)

    def honest_answer(self, seen: Seen) -> Answer:
        if seen.method not in ("GET", "HEAD"):
            return answers.with_body(405, "text/plain", b"Only GET and HEAD are allowed.\n")
        if seen.path == "/v2/":
            return answers.with_body(200, "application/json", b"{}", ("Docker-Distribution-Api-Version", "registry/2.0"))
        if seen.path == "/v2/_catalog":
            return answers.error(404, "NOT_FOUND")
        if "/blobs/" in seen.path:
            return self._to(self._kubernetes.bucket.signed(service.reference_of(seen)))
        return self._to(self._kubernetes.manifests.url + _ELSEWHERE + seen.path.removeprefix("/v2/"))

    @staticmethod
    def _to(url: str) -> Answer:
        return Answer(307, [("Location", url)], None, 0)
