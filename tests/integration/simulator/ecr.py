"""Amazon ECR, private and public."""

import base64
import json
import urllib.parse

from harness import answers
from harness.answers import Answer
from harness.content import Content
from harness.server import Seen
from harness.tokens import TokenGiver
from harness.upstream import ScriptedUpstream, Storage

from . import service
from .aws import Cloud
from .storage import S3


class Ecr(service.Service):
    """All of it is private: `keys` are an account's that may read it."""

    def __init__(self, hosts, content: Content, users: dict[str, str] | None = None):
        super().__init__(content, users or {})
        self.cloud = self._add(Cloud("eu-central-1", **hosts.place("api.ecr.eu-central-1.amazonaws.com")))
        self.keys = self.cloud.make_keys("the account")
        self.bucket = self._add(S3(content, **hosts.place("prod-eu-central-1-starport-layer-bucket.s3.eu-central-1.amazonaws.com")))
        self.registry = self._add(EcrRegistry(self.cloud, self.bucket, content,
                                              **hosts.place("123456789012.dkr.ecr.eu-central-1.amazonaws.com")))


class EcrPublicService(service.Service):
    """All of it is public: `keys` are an account's, for its higher limits."""

    def __init__(self, hosts, content: Content, users: dict[str, str] | None = None):
        super().__init__(content, users or {})
        self.cloud = self._add(Cloud("us-east-1", **hosts.place("api.ecr-public.us-east-1.amazonaws.com")))
        self.keys = self.cloud.make_keys("the account")
        self.cdn = self._add(Storage(content, **hosts.place("d2glxqk2uabbnd.cloudfront.net")))
        self.registry = self._add(EcrPublic(self.cloud, self.cdn, content, **hosts.place("public.ecr.aws")), http2=True)


class EcrRegistry(ScriptedUpstream):
    """A private registry: Basic with the whole token and nothing else; an ended token is a 403 without a challenge; a
    manifest's digest is told to HEAD and not to GET; tag lists are text/plain, and `last` is opaque."""

    PAGE = 100

    def __init__(self, cloud: Cloud, storage: Storage, content: Content, **place):
        super().__init__(content, **place)
        self.cloud, self._storage = cloud, storage

    def honest_answer(self, seen: Seen) -> Answer:
        refusal = self._token_refusal(seen)
        if refusal:
            return refusal
        repository = seen.path.removeprefix("/v2/").rsplit("/", 2)[0]
        if repository and repository not in {name for name, _ in self._tags}:
            return answers.error(404, "NAME_UNKNOWN")
        if "/tags/list" in seen.path:
            return self._page(repository, seen)
        if "/blobs/" in seen.path and seen.method == "GET":
            answer = answers.with_body(307, "text/plain", b"", ("Location", self._storage.signed(seen.path.rsplit("/", 1)[1])))
            return answer
        answer = super().honest_answer(seen)
        answer.set_header("ETag", None)
        if seen.method == "GET" and "/manifests/" in seen.path:
            answer.set_header("Docker-Content-Digest", None)
        return answer

    def _token_refusal(self, seen: Seen) -> Answer | None:
        scheme, _, token = (seen.header("Authorization") or "").partition(" ")
        state = self.cloud.token_state(token) if scheme == "Basic" else "none"
        if state == "good":
            return None
        if state == "expired":
            return answers.error(403, "DENIED", "Your authorization token has expired. Reauthenticate and try again.")
        return answers.error(401, "UNAUTHORIZED", "Not Authorized",
                             ("WWW-Authenticate", f'Basic realm="{self.url}/",service="ecr.amazonaws.com"'))

    def _page(self, repository: str, seen: Seen) -> Answer:
        asked = int(seen.query.get("n", [self.PAGE])[0])
        if asked > 1000:
            return answers.error(405, "UNSUPPORTED", "Invalid parameter at 'maxResults' failed to satisfy constraint: "
                                 "'Member must have value less than or equal to 1000'")
        tags = sorted((tag for name, tag in self._tags if name == repository), key=lambda tag: hash_of(tag))  # in no order
        last = seen.query.get("last", [""])[0]
        begin = int(base64.urlsafe_b64decode(last)) if last else 0
        page = tags[begin:begin + asked]
        link = []
        if begin + asked < len(tags):
            opaque = urllib.parse.quote(base64.urlsafe_b64encode(str(begin + asked).encode()).decode())
            link = [("Link", f'<{self.url}/v2/{repository}/tags/list?last={opaque}&n={asked}>; rel="next"')]
        return answers.with_body(200, "text/plain; charset=utf-8", json.dumps({"name": repository, "tags": page}).encode(), *link)


class AnonymousTokens(TokenGiver):
    """There is one scope, whatever one wants to read."""

    def may_have(self, user: str, scope: str) -> bool:
        return scope == "aws"

    def fields(self, token: str) -> dict:
        return {"token": token}


class EcrPublic(EcrRegistry):
    """public.ecr.aws. A token is GetAuthorizationToken's own, or comes for nothing from /token/ and is good for everything; one
    that has ended is a 400 without a challenge, and HEAD of a blob is refused to everybody."""

    def __init__(self, cloud: Cloud, storage: Storage, content: Content, **place):
        super().__init__(cloud, storage, content, **place)
        self._anonymous = AnonymousTokens(f"{self.url}/token/", "public.ecr.aws", {})

    def honest_answer(self, seen: Seen) -> Answer:
        if seen.path in ("/token/", "/token"):
            return self._anonymous.grant(seen)
        return super().honest_answer(seen)

    def _token_refusal(self, seen: Seen) -> Answer | None:
        scheme, _, token = (seen.header("Authorization") or "").partition(" ")
        state = self.cloud.token_state(token) if scheme == "Bearer" else "none"
        if self._anonymous.accepts(seen.header("Authorization"), "aws"):
            state = "good"
        if state == "expired":
            return answers.error(400, "BAD_REQUEST", "Bad Request")
        if state != "good" or (seen.method == "HEAD" and "/blobs/" in seen.path):
            return answers.error(401, "DENIED", "Not Authorized", (
                "WWW-Authenticate", f'Bearer realm="{self._anonymous.realm}",service="public.ecr.aws",scope="aws"'))
        return None


def hash_of(text: str) -> int:
    """An order that is the same in each run, and no alphabet's."""
    return sum(byte * 131 ** index for index, byte in enumerate(text.encode())) % 1009
