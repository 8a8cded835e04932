"""Token services (distribution, docs/content/spec/auth/token.md; by POST: oauth.md there, for identity tokens alone)."""

import base64
import json
import re
import urllib.parse

from . import answers, secrets
from .answers import Answer
from .rules import RuledServer
from .server import Seen


class TokenGiver:
    """Gives out bearer tokens. With a `signer` they are what docker-registry believes; without, they are random and a
    scripted upstream asks `accepts`. `users` may pull what `private` matches; everybody else gets a token for the rest."""

    def __init__(self, realm: str, service: str, users: dict[str, str], signer=None, private: str = r"^keys/"):
        self.realm, self.service, self.users = realm, service, users
        self.expires_in: int | None = 300
        self.identity_tokens: dict[str, str] = {}            # of a user
        self._signer, self._private = signer, private
        self._issued: dict[str, tuple[str, set[str]]] = {}   # token → whose it is, and for what

    def accepts(self, authorization: str | None, scope: str = "") -> bool:
        scheme, _, token = (authorization or "").partition(" ")
        return scheme.lower() == "bearer" and token in self._issued and (not scope or scope in self._issued[token][1])

    def holder(self, authorization: str | None) -> str:
        """Whose token it is; "" for nobody's, or none."""
        return self._issued.get((authorization or "").partition(" ")[2], ("", set()))[0]

    def may_pull(self, user: str, repository: str) -> bool:
        return bool(user) or not re.search(self._private, repository)

    def may_have(self, user: str, scope: str) -> bool:
        kind, _, rest = scope.partition(":")
        return kind == "repository" and self.may_pull(user, rest.rpartition(":")[0])

    def grant(self, seen: Seen) -> Answer:
        """The answer to a question for a token."""
        user = self.user(seen.header("Authorization")) if seen.method == "GET" else self._user_of_form(form_of(seen))
        if user is None:
            return self.refused(seen) if seen.method == "GET" else answers.with_body(
                400, "application/json", b'{"error":"invalid_grant","error_description":"the refresh token has ended"}')
        granted = [s for s in self.scopes(seen) if self.may_have(user, s)]
        token = self._make(user, granted)
        self._issued[token] = (user, set(granted))
        return answers.with_body(200, "application/json", json.dumps(self.fields(token)).encode())

    def scopes(self, seen: Seen) -> list[str]:
        """What it asks for."""
        asked = seen.query if seen.method == "GET" else form_of(seen)
        return [s for value in asked.get("scope", []) for s in value.split(" ") if s]

    def refused(self, seen: Seen) -> Answer:
        """For a wrong password."""
        return answers.error(401, "UNAUTHORIZED", "incorrect username or password")

    def user(self, authorization: str | None) -> str | None:
        """The user's name; "" for anonymous; None for a wrong password."""
        if not authorization:
            return ""
        scheme, _, encoded = authorization.partition(" ")
        name, _, password = base64.b64decode(encoded).decode().partition(":") if scheme.lower() == "basic" else ("", "", "")
        return name if name and self.users.get(name) == password else None

    def _user_of_form(self, form: dict[str, list[str]]) -> str | None:
        is_sound = form.get("grant_type") == ["refresh_token"] and form.get("client_id") and form.get("service") == [self.service]
        shown = form.get("refresh_token", [""])[0]
        return next((user for user, token in self.identity_tokens.items() if is_sound and token == shown), None)

    def fields(self, token: str) -> dict:
        return {"token": token} | ({} if self.expires_in is None else {"expires_in": self.expires_in})

    def _make(self, user: str, granted: list[str]) -> str:
        if not self._signer:
            return secrets.make(f"token of {user or 'anonymous'} for {granted}")
        access = [dict(zip(("type", "name", "actions"), (*s.split(":")[:2], s.split(":")[2].split(",")))) for s in granted]
        return self._signer.token(user, access, self.expires_in or 60)


def form_of(seen: Seen) -> dict[str, list[str]]:
    if seen.header("Content-Type") != "application/x-www-form-urlencoded":
        return {}
    return urllib.parse.parse_qs(seen.body.decode())


class TokenService(TokenGiver, RuledServer):
    """As a host of its own."""

    def __init__(self, service: str = "test-registry", signer=None, users: dict[str, str] | None = None,
                 private: str = r"^keys/", path: str = "/token", **place):
        RuledServer.__init__(self, **place)
        TokenGiver.__init__(self, self.url + path, service, users or {}, signer, private)

    def honest_answer(self, seen: Seen) -> Answer:
        return self.grant(seen)
