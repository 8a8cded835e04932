"""Quay.io."""

import base64
import json
import time
import urllib.parse

from harness import answers, quirks, secrets
from harness.answers import Answer
from harness.content import Content
from harness.server import Seen
from harness.upstream import Storage

from . import service

_SCHEMA_1 = "application/vnd.docker.distribution.manifest.v1+prettyjws"
_HOUR = 3600


class Quay(service.Service):
    """Registry and token service are one host; a URL signed for the CDN lives ten minutes."""

    def __init__(self, hosts, content: Content, users: dict[str, str] | None = None):
        super().__init__(content, users or {})
        self.cdn = self._add(Storage(content, **hosts.place("cdn01.quay.io")), http2=True)
        self.cdn.lifetime = 600
        self.registry = self._add(QuayRegistry(content, self, **hosts.place("quay.io")), http2=True)


class QuayTokens(service.Tokens):
    """A token lives for an hour, and nothing but itself says so."""

    def fields(self, token: str) -> dict:
        return {"token": token}

    def _make(self, user: str, granted: list[str]) -> str:
        now = int(time.time())
        claims = {"iss": "quay", "sub": user or "(anonymous)", "iat": now, "nbf": now, "exp": now + _HOUR, "access": granted}
        parts = [{"typ": "JWT", "alg": "RS256"}, claims]
        signature = secrets.make(f"token of {user or 'anonymous'} for {granted}")
        return ".".join([*(base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts), signature])


class QuayRegistry(service.TokenRegistry):
    """`expired`: (repository, tag) of tags that are gone. `next_page`: tag lists as older deployments page them, with a relative
    link and an opaque place. `is_direct`: blobs come from the CDN; else from here, compressed for who says he likes that.
    `http1_manifests`: how many more are given over HTTP/1.1, for which the limits are a tenth of HTTP/2's."""

    TOKEN_PATH = "/v2/auth"
    PAGE = 100

    def __init__(self, content: Content, quay: Quay, **place):
        super().__init__(content, quay.directory, **place)
        self.tokens, self._cdn = QuayTokens(quay.directory, self.url + self.TOKEN_PATH, self.name), quay.cdn
        self.expired: set[tuple[str, str]] = set()
        self.next_page, self.is_direct = False, True
        self.http1_manifests = 1_000_000
        self.idle_seconds = 5.0

    def honest_answer(self, seen: Seen) -> Answer:
        answer = super().honest_answer(seen)
        answer.set_header("ETag", None)
        answer.close = not service.is_manifest(seen)  # keep-alive is for manifests alone
        if "gzip" in (seen.header("Accept-Encoding") or "") and "octet-stream" in (answer.header("Content-Type") or ""):
            quirks.gzip_encoded()(answer)
        return answer

    def _own(self, seen: Seen) -> Answer:
        if service.is_manifest(seen) and seen.version == "HTTP/1.1":
            self.http1_manifests -= 1
            if self.http1_manifests < 0:
                return service.html(429)
        if seen.path == "/v2/":
            return answers.with_body(200, "application/json", b"true")
        repository, reference = service.repository_of(seen), service.reference_of(seen)
        if "/tags/list" in seen.path:
            return self._page(repository, seen)
        if "/referrers/" in seen.path and not self.content.has(reference):
            return answers.error(400, "MANIFEST_INVALID", "manifest invalid")
        if (repository, reference) in self.expired:
            return answers.error(404, "TAG_EXPIRED", f"Tag {reference} was deleted or has expired. To pull, revive via time machine")
        if "/blobs/" in seen.path and seen.method == "GET" and self.is_direct and self.content.has(reference):
            return service.html(302, ("Location", self._cdn.signed(reference)), ("Accept-Ranges", "bytes"),
                                ("Docker-Content-Digest", reference), ("Cache-Control", "max-age=31536000"))
        answer = super()._own(seen)
        if service.is_manifest(seen) and ":" not in reference and answer.status == 200:
            return self._as_stored(seen, answer)
        return answer

    def _as_stored(self, seen: Seen, answer: Answer) -> Answer:
        """By tag: the type it is stored with, if asked for literally; else converted, down to schema 1."""
        if service.accepts(seen, answer.header("Content-Type")):
            return answer
        made = self.content.add(json.dumps({"schemaVersion": 1, "name": service.repository_of(seen)}).encode(), _SCHEMA_1)
        return self._object("manifests", made.digest, None)

    def _page(self, repository: str, seen: Seen) -> Answer:
        tags = sorted(tag for name, tag in self._tags if name == repository)
        most = min(int(seen.query.get("n", [self.PAGE])[0]), self.PAGE)
        opaque, last = seen.query.get("next_page", [""])[0], seen.query.get("last", [""])[0]
        after = base64.urlsafe_b64decode(opaque).decode() if opaque else last
        rest = [tag for tag in tags if tag > after]
        page, link = rest[:most], []
        if len(page) < len(rest) and page:
            place = base64.urlsafe_b64encode(page[-1].encode()).decode()
            query = {"next_page": place, "n": most} if self.next_page else {"n": most, "last": page[-1]}
            target = ("" if self.next_page else self.url) + f"/v2/{repository}/tags/list?" + urllib.parse.urlencode(query)
            link = [("Link", f'<{target}>; rel="next"')]
        return answers.with_body(200, "application/json", json.dumps({"name": repository, "tags": page}).encode(), *link)
