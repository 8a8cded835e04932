"""What all simulated services have in common."""

import dataclasses
import re
import time

from harness import answers, secrets
from harness.answers import Answer
from harness.content import Content
from harness.image import OCI_INDEX, Image
from harness.server import Seen, Server
from harness.tokens import TokenGiver
from harness.upstream import ScriptedUpstream

_NAMED = re.compile(r"/v2/(.+)/(manifests|blobs|tags|referrers)/([^/]+)$")
_DIGEST = re.compile(r"(sha256:[0-9a-f]{10})[0-9a-f]*")


@dataclasses.dataclass
class Directory:
    """Who may read what."""
    users: dict[str, str]                                          # name → password
    repositories: dict[str, bool] = dataclasses.field(default_factory=dict)   # name → is private

    def may_read(self, user: str, repository: str) -> bool:
        """`user` "": nobody in particular. What does not exist nobody may read."""
        return repository in self.repositories and (bool(user) or not self.repositories[repository])


def repository_of(seen: Seen) -> str:
    named = _NAMED.match(seen.path)
    return named.group(1) if named else ""


def is_manifest(seen: Seen) -> bool:
    named = _NAMED.match(seen.path)
    return bool(named) and named.group(2) == "manifests"


def reference_of(seen: Seen) -> str:
    named = _NAMED.match(seen.path)
    return named.group(3) if named else ""


def accepts(seen: Seen, media_type: str) -> bool:
    """Literally: registries do not take wildcards for a yes."""
    return media_type in [one.split(";")[0].strip() for one in (seen.header("Accept") or "").split(",")]


def html(status: int, *headers: tuple[str, str]) -> Answer:
    return answers.with_body(status, "text/html; charset=utf-8", b"<html><body>nothing for programs</body></html>", *headers)


def needs_accept(seen: Seen, answer: Answer) -> Answer:
    """What most registries say to who does not ask for an OCI index by its name."""
    kind = answer.header("Content-Type") or ""
    if answer.status != 200 or not is_manifest(seen) or kind != OCI_INDEX or accepts(seen, OCI_INDEX):
        return answer
    return answers.error(404, "MANIFEST_UNKNOWN", "OCI index found, but accept header does not support OCI indexes")


class Service:
    """Its hosts, in `servers`."""

    def __init__(self, content: Content, users: dict[str, str]):
        self.content, self.directory = content, Directory(users)
        self.servers: list[Server] = []
        self.registry: ScriptedUpstream
        self._forgot = 0.0

    def publish(self, repository: str, image: Image, private: bool = False):
        self.directory.repositories[repository] = private
        self.registry.tag(repository, image)

    def _add(self, server, http2: bool = False):
        """`http2`: the real one offers it."""
        if http2 and server.url.startswith("https:"):
            server.offer_http2()
        self.servers.append(server)
        return server

    def traffic(self) -> list[str]:
        """What its hosts were asked since `forget`, in order: "host METHOD path", digests cut to ten characters."""
        seen = [(one.at, f"{server.name} {one.method} {_DIGEST.sub(lambda found: found.group(1), one.path)}")
                for server in self.servers for one in server.seen() if one.at > self._forgot]
        return [text for _, text in sorted(seen)]

    def forget(self):
        self._forgot = time.monotonic()

    def who_saw(self, label: str) -> set[str]:
        """The hosts that were ever shown a secret whose label begins like this."""
        return {server.name for server in self.servers for one in server.seen()
                if any(found.startswith(label) for found in secrets.found_in(one.text()))}


class Tokens(TokenGiver):
    """Gives what the directory allows."""

    def __init__(self, directory: Directory, realm: str, service: str):
        super().__init__(realm, service, directory.users)
        self._directory = directory

    def may_pull(self, user: str, repository: str) -> bool:
        return self._directory.may_read(user, repository)


class TokenRegistry(ScriptedUpstream):
    """A registry that wants tokens, and says with `insufficient_scope` that one has not the right to this. Its subclasses set
    `tokens`, and say which path of theirs gives them out, if one does."""

    TOKEN_PATH = ""

    def __init__(self, content: Content, directory: Directory, **place):
        super().__init__(content, **place)
        self.directory = directory
        self.tokens: TokenGiver

    def honest_answer(self, seen: Seen) -> Answer:
        if self.TOKEN_PATH and seen.path == self.TOKEN_PATH:
            return self.tokens.grant(seen)
        return self._refusal(seen) or self._own(seen)

    def challenge(self, seen: Seen, scope: str) -> str:
        text = f'Bearer realm="{self.tokens.realm}",service="{self.tokens.service}"'
        return text + (f',scope="{scope}"' if scope else "")

    def _refusal(self, seen: Seen) -> Answer | None:
        repository, shown = repository_of(seen), seen.header("Authorization")
        scope = f"repository:{repository}:pull" if repository else ""
        if self.tokens.accepts(shown, scope):
            return None
        error = ',error="insufficient_scope"' if self.tokens.accepts(shown) else ',error="invalid_token"' if shown else ""
        return answers.error(401, "UNAUTHORIZED", "authentication required",
                             ("WWW-Authenticate", self.challenge(seen, scope) + error),
                             ("Docker-Distribution-Api-Version", "registry/2.0"))


def issued_at() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
