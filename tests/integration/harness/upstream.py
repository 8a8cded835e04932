"""The scripted upstream: a registry that does what a test tells it, and remembers everything it was asked.

Behind it is either a `Store` (it then answers like a plain registry itself) or a real docker-registry (it then passes
every request on, body included, and is a recording reverse proxy). In front of that, `on()` puts quirks on routes:

    upstream.on("GET", f"/blobs/{digest}", quirks.cut(1000, "rst"), times=1)
    upstream.on("GET", "/blobs/", quirks.redirect(storage.signed(...)))

What it does less than a real registry: no uploads, no catalogue, no tag lists or referrers of its own, no conditional
requests, one range per request; tags come from the images of the store.
"""

import base64
import contextlib
import dataclasses
import http.client
import itertools
import json
import re
import ssl

from . import answers, secrets
from .answers import Answer, Quirk
from .certificates import Certificate
from .image import Image, Store
from .registry import Registry
from .server import Seen, Server

_CHUNK = 256 * 1024
_HOP_BY_HOP = {"connection", "transfer-encoding", "content-length", "keep-alive", "date"}


@dataclasses.dataclass
class _Rule:
    method: str
    containing: str
    quirks: tuple[Quirk, ...]
    left: float


class ScriptedUpstream(Server):
    def __init__(self, store: Store, *, behind: Registry | None = None, tls: Certificate | None = None,
                 name: str = "127.0.0.1"):
        super().__init__(tls, name)
        self._store, self._behind = store, behind
        self._tags: dict[tuple[str, str], Image] = {}
        self._extra: dict[str, tuple[str, bytes]] = {}
        self._rules: list[_Rule] = []
        self._credential: str | None = None
        self._tokens: "TokenService | None" = None
        self.ignores_ranges = False

    # -- what the test says

    def tag(self, repository: str, image: Image, tag: str | None = None):
        """Makes a tag name an image. By digest everything in the store is in every repository."""
        self._tags[(repository, tag or image.tag)] = image

    def add(self, digest: str, content: bytes, media_type: str = "application/octet-stream"):
        """A blob or manifest that is not in the store."""
        self._extra[digest] = (media_type, content)

    def on(self, method: str, containing: str, *quirks: Quirk, times: float = float("inf")):
        """Applies the quirks to the next `times` answers to such requests. Later rules come on top of earlier ones."""
        with self._lock:
            self._rules.append(_Rule(method, containing, quirks, times))

    def behave(self):
        """No quirks any more."""
        with self._lock:
            self._rules.clear()

    def require_basic(self, username: str, password: str):
        self._credential = secrets.basic(username, password)

    def require_token(self, tokens: "TokenService"):
        self._tokens = tokens

    # -- what it answers

    def answer(self, seen: Seen) -> Answer:
        answer = self._refusal(seen) or (self._pass_on(seen) if self._behind else self._own(seen))
        for quirk in self._quirks_for(seen):
            quirk(answer)
        return answer

    def _quirks_for(self, seen: Seen) -> list[Quirk]:
        quirks = []
        with self._lock:
            for rule in self._rules:
                if rule.method in (seen.method, "*") and rule.containing in seen.path and rule.left > 0:
                    rule.left -= 1
                    quirks += rule.quirks
        return quirks

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
        found = re.match(r"/v2/(.+)/(manifests|blobs)/([^/]+)$", seen.path)
        if not found:
            return answers.error(404, "NAME_UNKNOWN")
        repository, kind, reference = found.groups()
        if ":" not in reference:
            image = self._tags.get((repository, reference))
            if not image:
                return answers.error(404, "MANIFEST_UNKNOWN")
            reference = image.root.digest
        return self._content(kind, reference, seen.header("Range"))

    def _content(self, kind: str, digest: str, wanted_range: str | None) -> Answer:
        if digest in self._extra:
            media_type, content = self._extra[digest]
            total, read = len(content), lambda first, last: iter([content[first:last + 1]])
        else:
            path = self._store.path(digest)
            if not path.exists():
                return answers.error(404, "MANIFEST_UNKNOWN" if kind == "manifests" else "BLOB_UNKNOWN")
            media_type = _media_type(path) if kind == "manifests" else "application/octet-stream"
            total, read = path.stat().st_size, lambda first, last: _read(path, first, last)
        headers = [("Content-Type", media_type), ("Docker-Content-Digest", digest), ("ETag", f'"{digest}"'),
                   ("Docker-Distribution-Api-Version", "registry/2.0")]
        span = None if self.ignores_ranges else _range(wanted_range, total)
        if span is None:
            return Answer(200, headers, read(0, total - 1), total)
        first, last = span
        headers.append(("Content-Range", f"bytes {first}-{last}/{total}"))
        return Answer(206, headers, read(first, last), last + 1 - first)

    def _pass_on(self, seen: Seen) -> Answer:
        behind = self._behind
        host, port = behind.address.split(":")
        if behind.url.startswith("https"):  # the test's own registry on loopback: nothing to authenticate
            connection = http.client.HTTPSConnection(host, int(port), timeout=60, context=ssl._create_unverified_context())
        else:
            connection = http.client.HTTPConnection(host, int(port), timeout=60)
        connection.putrequest(seen.method, seen.target, skip_host=True, skip_accept_encoding=True)
        for name, value in seen.headers:
            if name.lower() not in ("connection", "keep-alive"):
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

        return Answer(response.status, headers, None if seen.method == "HEAD" else chunks(),
                      None if length is None else int(length), "length" if length is not None else "chunked")


class Storage(Server):
    """Where an upstream's redirects lead: blobs by digest under a signed URL. It has no business with credentials, so it
    remembers whoever brought some; `leaked` must be empty at the end."""

    def __init__(self, store: Store, tls: Certificate | None = None, name: str = "127.0.0.1"):
        super().__init__(tls, name)
        self._store = store
        self._numbers = itertools.count(1)
        self.quirks: list[Quirk] = []

    def signed(self, digest: str) -> str:
        """A URL as storage hosts hand them out: who knows the query may read, so no log may show it."""
        return f"{self.url}/storage/{digest}?signature={secrets.make(f'signed query {next(self._numbers)}')}"

    def redirect(self, digest: str, status: int = 307) -> Quirk:
        return answers.redirect(lambda: self.signed(digest), status)

    @property
    def leaked(self) -> list[str]:
        return [r.text() for r in self.seen() if r.header("Authorization") or r.header("Cookie")]

    def answer(self, seen: Seen) -> Answer:
        path = self._store.path(seen.path.rsplit("/", 1)[1])
        total = path.stat().st_size
        span = _range(seen.header("Range"), total)
        first, last = span or (0, total - 1)
        headers = [("Content-Type", "application/octet-stream"), ("ETag", '"not-a-digest"')]
        if span:
            headers.append(("Content-Range", f"bytes {first}-{last}/{total}"))
        answer = Answer(206 if span else 200, headers, _read(path, first, last), last + 1 - first)
        for quirk in self.quirks:
            quirk(answer)
        return answer


class TokenService(Server):
    """Gives out bearer tokens. With a `signer` they are what docker-registry believes; without, they are random and a
    scripted upstream asks `accepts`. `users` may pull what `private` matches; everybody else gets a token for the rest."""

    def __init__(self, service: str = "test-registry", signer=None, users: dict[str, str] | None = None,
                 private: str = r"^keys/", tls: Certificate | None = None, name: str = "127.0.0.1"):
        super().__init__(tls, name)
        self.service, self._signer, self._users, self._private = service, signer, users or {}, private
        self._issued: dict[str, set[str]] = {}
        self.realm = f"{self.url}/token"
        self.expires_in: int | None = 300
        self.quirks: list[Quirk] = []

    def accepts(self, authorization: str | None, scope: str) -> bool:
        scheme, _, token = (authorization or "").partition(" ")
        return scheme.lower() == "bearer" and token in self._issued and (not scope or scope in self._issued[token])

    def answer(self, seen: Seen) -> Answer:
        user = self._user(seen.header("Authorization"))
        if user is None:
            answer = answers.error(401, "UNAUTHORIZED", "incorrect username or password")
        else:
            asked = [s for value in seen.query.get("scope", []) for s in value.split(" ") if s]
            granted = [s for s in asked if user or not re.search(self._private, s.split(":")[1])]
            fields = [f'"token":"{self._issue(user, granted)}"']
            if self.expires_in is not None:
                fields.append(f'"expires_in":{self.expires_in}')
            answer = answers.with_body(200, "application/json", ("{" + ",".join(fields) + "}").encode())
        for quirk in self.quirks:
            quirk(answer)
        return answer

    def _user(self, authorization: str | None) -> str | None:
        """The user's name; "" for anonymous; None for a wrong password."""
        if not authorization:
            return ""
        scheme, _, encoded = authorization.partition(" ")
        name, _, password = base64.b64decode(encoded).decode().partition(":") if scheme.lower() == "basic" else ("", "", "")
        return name if name and self._users.get(name) == password else None

    def _issue(self, user: str, granted: list[str]) -> str:
        if self._signer:
            access = [dict(zip(("type", "name", "actions"), (*s.split(":")[:2], s.split(":")[2].split(",")))) for s in granted]
            token = self._signer.token(user, access, self.expires_in or 60)
        else:
            token = secrets.make(f"token of {user or 'anonymous'} for {granted}")
        self._issued[token] = set(granted)
        return token


def _read(path, first: int, last: int):
    with open(path, "rb") as file:
        file.seek(first)
        left = last + 1 - first
        while left > 0 and (chunk := file.read(min(_CHUNK, left))):
            left -= len(chunk)
            yield chunk


def _media_type(path) -> str:
    return json.loads(path.read_bytes()).get("mediaType", "application/vnd.oci.image.manifest.v1+json")


def _range(header: str | None, total: int) -> tuple[int, int] | None:
    """The one range asked for, clamped; None for everything else, which is then answered whole."""
    found = re.match(r"bytes=(\d*)-(\d*)$", header or "")
    if not found or found.groups() == ("", ""):
        return None
    first, last = found.groups()
    if first == "":
        return max(0, total - int(last)), total - 1
    return (int(first), min(int(last or total), total - 1)) if int(first) < total else None
