"""The scripted upstream: a registry that does what a test tells it, and remembers everything it was asked.

Behind it is either the test's `Content` (it then answers like a plain registry itself) or a real docker-registry (it then
passes every request on, body included, and is a recording reverse proxy). In front of that, `on()` puts quirks on routes:

    upstream.on("GET", f"/blobs/{digest}", quirks.cut(1000, "rst"), times=1)
    upstream.on("GET", "/blobs/", quirks.redirect(storage.signed(...)))

What it does less than a real registry: no uploads, no catalogue, no conditional requests, one range per request; tags come
from the images of the store. It has the referrers API only when a test says `refer`.
"""

import contextlib
import http.client
import itertools
import json
import re
import ssl
import time
import urllib.parse

from . import answers, quirks, secrets
from .answers import Answer
from .content import OCTETS, Content
from .image import Image
from .quirks import Quirk
from .registry import Registry
from .rules import RuledServer
from .server import Seen
from .tokens import TokenService

INDEX = "application/vnd.oci.image.index.v1+json"
_CHUNK = 256 * 1024
_HOP_BY_HOP = {"connection", "transfer-encoding", "content-length", "keep-alive", "date"}


class ScriptedUpstream(RuledServer):
    def __init__(self, content: Content, *, behind: Registry | None = None, **place):
        super().__init__(**place)
        self.content, self._behind = content, behind
        self._tags: dict[tuple[str, str], str] = {}
        self._referrers: dict[str, list[dict]] | None = None
        self._credential: str | None = None
        self._tokens: TokenService | None = None
        self.ignores_ranges = False

    # -- what the test says

    def tag(self, repository: str, image: Image, tag: str | None = None):
        """Makes a tag name an image. By digest all content is in every repository."""
        self.tag_digest(repository, tag or image.tag, image.root.digest)

    def tag_digest(self, repository: str, tag: str, digest: str):
        self._tags[(repository, tag)] = digest

    def refer(self, subject: str, *descriptors: dict):
        """From now on it has the referrers API, and these refer to the subject."""
        self._referrers = self._referrers or {}
        self._referrers.setdefault(subject, []).extend(descriptors)

    def require_basic(self, username: str, password: str):
        self._credential = secrets.basic(username, password)

    def require_token(self, tokens: TokenService):
        self._tokens = tokens

    # -- what it answers

    def honest_answer(self, seen: Seen) -> Answer:
        return self._refusal(seen) or (self._pass_on(seen) if self._behind else self._own(seen))

    def _refusal(self, seen: Seen) -> Answer | None:
        authorization = seen.header("Authorization")
        if self._credential and authorization != self._credential:
            return answers.error(401, "UNAUTHORIZED", "authentication required",
                                 ("WWW-Authenticate", 'Basic realm="test"'))
        if self._tokens:
            found = re.match(r"/v2/(.+)/(?:manifests|blobs|tags|referrers)/", seen.path)
            scope = f"repository:{found.group(1)}:pull" if found else ""
            if not self._tokens.accepts(authorization, scope):
                challenge = f'Bearer realm="{self._tokens.realm}",service="{self._tokens.service}"'
                challenge += f',scope="{scope}"' if scope else ""
                return answers.error(401, "UNAUTHORIZED", "authentication required", ("WWW-Authenticate", challenge))
        return None

    def _own(self, seen: Seen) -> Answer:
        if seen.method not in ("GET", "HEAD"):
            return answers.error(405, "UNSUPPORTED")
        if seen.path == "/v2/":
            return answers.with_body(200, "application/json", b"{}", ("Docker-Distribution-Api-Version", "registry/2.0"))
        if listed := re.match(r"/v2/(.+)/tags/list$", seen.path):
            return self._tag_list(listed.group(1), seen)
        if (referred := re.match(r"/v2/(.+)/referrers/([^/]+)$", seen.path)) and self._referrers is not None:
            index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": self._referrers.get(referred.group(2), [])}
            return answers.with_body(200, INDEX, json.dumps(index).encode())
        found = re.match(r"/v2/(.+)/(manifests|blobs)/([^/]+)$", seen.path)
        if not found:
            return answers.error(404, "NAME_UNKNOWN")
        repository, kind, reference = found.groups()
        if ":" not in reference:
            reference = self._tags.get((repository, reference), "")
            if not reference:
                return answers.error(404, "MANIFEST_UNKNOWN")
        wanted = None if self.ignores_ranges else seen.header("Range")
        return self._object(kind, reference, wanted)

    def _tag_list(self, repository: str, seen: Seen) -> Answer:
        """By the specification: `n` at most, from behind `last`, and a relative Link to the next page."""
        tags = sorted(tag for name, tag in self._tags if name == repository)
        if not tags:
            return answers.error(404, "NAME_UNKNOWN")
        after = seen.query.get("last", [""])[0]
        tags = [tag for tag in tags if tag > after]
        page = tags[:int(seen.query["n"][0])] if "n" in seen.query else tags
        body = json.dumps({"name": repository, "tags": page}).encode()
        more = len(page) < len(tags)
        query = urllib.parse.urlencode({"last": page[-1] if page else "", "n": seen.query["n"][0]}) if more else ""
        link = [("Link", f'</v2/{repository}/tags/list?{query}>; rel="next"')] if more else []
        return answers.with_body(200, "application/json", body, *link)

    def _object(self, kind: str, digest: str, wanted_range: str | None) -> Answer:
        if not self.content.has(digest):
            return answers.error(404, "MANIFEST_UNKNOWN" if kind == "manifests" else "BLOB_UNKNOWN")
        media_type = self.content.manifest_type(digest) if kind == "manifests" else OCTETS
        headers = [("Content-Type", media_type), ("Docker-Content-Digest", digest), ("ETag", f'"{digest}"'),
                   ("Docker-Distribution-Api-Version", "registry/2.0")]
        return _of_content(self.content, digest, headers, wanted_range)

    def _pass_on(self, seen: Seen, with_range: bool = True) -> Answer:
        behind = self._behind
        host, port = behind.address.split(":")
        if behind.url.startswith("https"):  # the test's own registry on loopback: nothing to authenticate
            connection = http.client.HTTPSConnection(host, int(port), timeout=60, context=ssl._create_unverified_context())
        else:
            connection = http.client.HTTPConnection(host, int(port), timeout=60)
        connection.putrequest(seen.method, seen.target, skip_host=True, skip_accept_encoding=True)
        for name, value in seen.headers:
            if name.lower() not in ("connection", "keep-alive") and (with_range or name.lower() != "range"):
                connection.putheader(name, value)
        connection.endheaders(seen.body or None)
        response = connection.getresponse()
        headers = [(k, v) for k, v in response.getheaders() if k.lower() not in _HOP_BY_HOP]
        length = response.getheader("Content-Length")
        if seen.method == "HEAD":
            connection.close()

        def chunks():
            with contextlib.closing(connection):
                while chunk := response.read(_CHUNK):
                    yield chunk

        answer = Answer(response.status, headers, None if seen.method == "HEAD" else chunks(),
                        None if length is None else int(length), framing="length" if length is not None else "chunked")
        if place := re.match(r"bytes (\d+)-\d+/(\d+)$", answer.header("Content-Range") or ""):
            answer.offset, answer.total = map(int, place.groups())
            answer.whole = lambda: self._pass_on(seen, with_range=False)
        return answer


class Storage(RuledServer):
    """Where an upstream's redirects lead: blobs by digest under a signed URL. It has no business with credentials, so it
    remembers whoever brought some; `leaked` must be empty at the end."""

    def __init__(self, content: Content, **place):
        super().__init__(**place)
        self._content = content
        self._numbers = itertools.count(1)
        self._ends: dict[str, float] = {}   # signature → when it is no good any more
        self.lifetime = 3600.0              # of what is signed from now on, in seconds

    def signed(self, digest: str) -> str:
        """A URL as storage hosts hand them out: who knows the query may read, so no log may show it."""
        signature = secrets.make(f"signed query {next(self._numbers)}")
        self._ends[signature] = time.monotonic() + self.lifetime
        return f"{self.url}/storage/{digest}?signature={signature}"

    def redirect(self, digest: str, status: int = 307) -> Quirk:
        return quirks.redirect(lambda: self.signed(digest), status)

    @property
    def leaked(self) -> list[str]:
        return [r.text() for r in self.seen() if r.header("Authorization") or r.header("Cookie")]

    def honest_answer(self, seen: Seen) -> Answer:
        if time.monotonic() >= self._ends.get(seen.query.get("signature", [""])[0], 0):
            return answers.xml(403, "AccessDenied", "Request has expired")
        headers = [("Content-Type", OCTETS), ("ETag", '"not-a-digest"')]
        return _of_content(self._content, seen.path.rsplit("/", 1)[1], headers, seen.header("Range"))


def _of_content(content: Content, digest: str, headers: list[tuple[str, str]], wanted_range: str | None) -> Answer:
    """The object, or the range of it that was asked for."""
    total = content.size(digest)
    span = _range(wanted_range, total)
    if span is None:
        return Answer(200, headers, content.chunks(digest, 0, total - 1), total)
    first, last = span
    placed = [*headers, ("Content-Range", f"bytes {first}-{last}/{total}")]
    return Answer(206, placed, content.chunks(digest, first, last), last + 1 - first, offset=first, total=total,
                  whole=lambda: _of_content(content, digest, headers, None))


def _range(header: str | None, total: int) -> tuple[int, int] | None:
    """The one range asked for, clamped; None for everything else, which is then answered whole."""
    found = re.match(r"bytes=(\d*)-(\d*)$", header or "")
    if not found or found.groups() == ("", ""):
        return None
    first, last = found.groups()
    if first == "":
        return max(0, total - int(last)), total - 1
    return (int(first), min(int(last or total), total - 1)) if int(first) < total else None
