"""Docker Hub."""

import itertools
import json

from harness import answers
from harness.answers import Answer
from harness.content import Content
from harness.image import OCI_INDEX
from harness.rules import RuledServer
from harness.server import Seen
from harness.upstream import Storage

from . import service
from .storage import S3

_SCHEMA_1 = "application/vnd.docker.distribution.manifest.v1+prettyjws"
_ACCOUNT = "11111111-2222-3333-4444-555555555555"


class Hub(service.Service):
    def __init__(self, hosts, content: Content, users: dict[str, str] | None = None):
        super().__init__(content, users or {})
        self.tokens = self._add(HubTokens(self.directory, **hosts.place("auth.docker.io")))
        self.cdns = [self._add(Storage(content, **hosts.place("production.cloudflare.docker.com")), http2=True),
                     self._add(S3(content, **hosts.place(
                         "docker-images-prod.6aa30f8b08e16409b46e0173d6de2f56.r2.cloudflarestorage.com"))),
                     self._add(Storage(content, **hosts.place("production.cloudfront.docker.com")))]
        self.registry = self._add(HubRegistry(content, self, **hosts.place("registry-1.docker.io")))


class HubTokens(service.Tokens, RuledServer):
    """auth.docker.io. Repositories that are not there, as all names of one component are, give a token without rights."""

    def __init__(self, directory: service.Directory, **place):
        RuledServer.__init__(self, **place)
        service.Tokens.__init__(self, directory, f"{self.url}/token", "registry.docker.io")

    def honest_answer(self, seen: Seen) -> Answer:
        return self.grant(seen)

    def fields(self, token: str) -> dict:
        return super().fields(token) | {"access_token": token, "issued_at": service.issued_at()}


class HubRegistry(service.TokenRegistry):
    """`limit`: GETs of manifests for each account or address; None: unlimited, and nothing is said of it. `is_abused`: too many
    requests of any kind. `redirects_blob_heads`: a HEAD of a blob is redirected, too (known of some)."""

    def __init__(self, content: Content, hub: Hub, **place):
        super().__init__(content, hub.directory, **place)
        self.tokens, self._cdns = hub.tokens, itertools.cycle(hub.cdns)
        self.limit: int | None = 100
        self.used: dict[str, int] = {}        # GETs of manifests, by account
        self.is_abused = False
        self.redirects_blob_heads = False

    def honest_answer(self, seen: Seen) -> Answer:
        if self.is_abused:
            return answers.with_body(429, "text/plain", b"Too Many Requests (HAP429).")
        refusal = self._refusal(seen)
        source = _ACCOUNT if self.tokens.holder(seen.header("Authorization")) else "192.0.2.1"
        if refusal or not service.is_manifest(seen):
            answer = refusal or self._own(seen)
            answer.set_header("Docker-RateLimit-Source", source)
            return answer
        return self._counted(seen, source)

    def _counted(self, seen: Seen, source: str) -> Answer:
        used = self.used.get(source, 0)
        if seen.method == "GET" and self.limit is not None and used >= self.limit:
            answer = answers.error(429, "TOOMANYREQUESTS", "You have reached your unauthenticated pull rate limit. "
                                   "https://www.docker.com/increase-rate-limit")
        else:
            answer = self._own(seen)
            if seen.method == "GET":
                used = self.used[source] = used + 1
        if self.limit is not None:
            answer.set_header("RateLimit-Limit", f"{self.limit};w=21600")
            answer.set_header("RateLimit-Remaining", f"{self.limit - used};w=21600")
        answer.set_header("Docker-RateLimit-Source", source)
        answer.set_header("Strict-Transport-Security", "max-age=31536000")
        return answer

    def _own(self, seen: Seen) -> Answer:
        if "/blobs/" in seen.path and (seen.method == "GET" or self.redirects_blob_heads):
            return Answer(307, [("Location", next(self._cdns).signed(service.reference_of(seen)))], None, 0)
        answer = super()._own(seen)
        if answer.status == 200 and service.is_manifest(seen) and ":" not in service.reference_of(seen):
            return self._negotiated(seen, answer)
        return answer

    def _negotiated(self, seen: Seen, answer: Answer) -> Answer:
        """Who does not ask for an index by name gets its child for linux/amd64; who asks for nothing, schema 1."""
        if not seen.header("Accept") or service.accepts(seen, "*/*") or service.accepts(seen, "application/json"):
            made = self.content.add(json.dumps({"schemaVersion": 1, "name": service.repository_of(seen)}).encode(), _SCHEMA_1)
            return self._object("manifests", made.digest, None)
        if answer.header("Content-Type") != OCI_INDEX or service.accepts(seen, OCI_INDEX):
            return answer
        index = json.loads(b"".join(answer.chunks))
        child = next(one for one in index["manifests"] if one["platform"]["architecture"] == "amd64")
        return self._object("manifests", child["digest"], None)
