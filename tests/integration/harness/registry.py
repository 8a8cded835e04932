"""Debian's docker-registry as an upstream: a real registry, on a port of its own, which logs every request it answers."""

import base64
import crypt
import dataclasses
import json
import pathlib
import re
import time

from . import secrets, wait
from .certificates import Certificate, signing_pair
from .paths import LOGS
from .process import Process, run


@dataclasses.dataclass(frozen=True)
class Answered:
    """A request that the registry answered, from its own log."""
    method: str
    target: str
    status: int
    user_agent: str

    @property
    def path(self) -> str:
        return self.target.split("?")[0]


@dataclasses.dataclass(frozen=True)
class TokenAuth:
    """What the registry needs to know about a token service."""
    realm: str
    service: str
    issuer: str
    certificate: pathlib.Path


class Registry:
    """Serves the store in `root`. Registries with different settings may share a store as long as all only read."""

    def __init__(self, root: pathlib.Path, log: pathlib.Path, *, read_only: bool = True, tls: Certificate | None = None,
                 basic: tuple[str, str] | None = None, token: TokenAuth | None = None, remote: str | None = None,
                 remote_credential: tuple[str, str] | None = None):
        self._tls = tls
        folder = log.parent
        folder.mkdir(parents=True, exist_ok=True)
        self._config = folder / f"{log.stem}.yml"
        htpasswd = None
        if basic:
            htpasswd = folder / f"{log.stem}.htpasswd"
            username, password = basic
            salt = crypt.mksalt(crypt.METHOD_BLOWFISH, rounds=16)
            htpasswd.write_text(f"{username}:{crypt.crypt(password, salt)}\n")
        self._config.write_text(_config(root, read_only, tls, htpasswd, token, remote, remote_credential))
        self._process = Process(["docker-registry", "serve", self._config], log,
                                env={"HTTP_PROXY": "", "HTTPS_PROXY": ""})
        self.address = wait.until(self._listening, f"docker-registry to listen ({log})")

    def _listening(self) -> str | None:
        text = self._process.text()
        if self._process.exit_code() is not None:
            raise AssertionError(f"docker-registry ended: {text[-2000:]}")
        found = re.search(r'listening on (127\.0\.0\.1:\d+)', text)
        return found and found.group(1)

    @property
    def url(self) -> str:
        return f"{'https' if self._tls else 'http'}://{self.address}"

    @property
    def port(self) -> int:
        return int(self.address.rsplit(":", 1)[1])

    def requests(self) -> list[Answered]:
        """Everything answered so far, oldest first. A request is logged when its answer has ended."""
        answered = []
        for line in self._process.text().splitlines():
            if not line.startswith("{") or '"http.response.status"' not in line:
                continue
            entry = json.loads(line)
            if entry.get("msg", "").startswith("response completed"):
                answered.append(Answered(entry["http.request.method"], entry["http.request.uri"],
                                         int(entry["http.response.status"]), entry.get("http.request.useragent", "")))
        return answered

    def count(self, method: str, pattern: str, status: int | None = None) -> int:
        """How many requests of that method had a path in which the pattern is found."""
        return sum(1 for r in self.requests()
                   if r.method == method and re.search(pattern, r.path) and status in (None, r.status))

    def stop(self):
        self._process.stop(5)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


def _config(root, read_only, tls, htpasswd, token, remote, remote_credential) -> str:
    lines = ["version: 0.1", "log:", "  level: info", "  formatter: json", "  accesslog:", "    disabled: true",
             "storage:", "  filesystem:", f"    rootdirectory: {root}", "    maxthreads: 100"]
    if read_only and not remote:
        lines += ["  maintenance:", "    uploadpurging:", "      enabled: false", "    readonly:", "      enabled: true"]
    else:
        lines += ["  maintenance:", "    uploadpurging:", "      enabled: false"]
    lines += ["http:", "  addr: 127.0.0.1:0", f"  secret: {secrets.make('docker-registry http secret')}"]
    if tls:
        lines += ["  tls:", f"    certificate: {tls.certificate}", f"    key: {tls.key}"]
    if htpasswd:
        lines += ["auth:", "  htpasswd:", "    realm: test", f"    path: {htpasswd}"]
    if token:
        lines += ["auth:", "  token:", f"    realm: {token.realm}", f"    service: {token.service}",
                  f"    issuer: {token.issuer}", f"    rootcertbundle: {token.certificate}"]
    if remote:
        lines += ["proxy:", f"  remoteurl: {remote}"]
    if remote_credential:
        lines += [f"  username: {remote_credential[0]}", f"  password: {remote_credential[1]}"]
    return "\n".join(lines) + "\n"


class TokenSigner:
    """Signs the JSON web tokens that docker-registry believes (distribution, docs/content/spec/auth/jwt.md)."""

    def __init__(self, folder: pathlib.Path, service: str = "test-registry", issuer: str = "test-tokens"):
        folder.mkdir(parents=True, exist_ok=True)
        self._folder, self.service, self.issuer = folder, service, issuer
        self._pair = signing_pair(folder)

    def auth(self, realm: str) -> TokenAuth:
        return TokenAuth(realm, self.service, self.issuer, self._pair.certificate)

    def token(self, subject: str, access: list[dict], seconds: int = 300) -> str:
        pem = self._pair.certificate.read_text()
        der = "".join(pem.split("-----")[2].split())
        now = int(time.time())
        header = {"typ": "JWT", "alg": "RS256", "x5c": [der]}
        claims = {"iss": self.issuer, "sub": subject, "aud": self.service, "iat": now, "nbf": now - 5,
                  "exp": now + seconds, "jti": str(time.monotonic_ns()), "access": access}
        signed = b".".join(map(_encode, (header, claims)))
        message, signature = self._folder / f"{time.monotonic_ns()}.txt", self._folder / f"{time.monotonic_ns()}.sig"
        message.write_bytes(signed)
        run(["openssl", "dgst", "-sha256", "-sign", self._pair.key, "-out", signature, message])
        token = (signed + b"." + _base64(signature.read_bytes())).decode()
        message.unlink(), signature.unlink()
        secrets.remember(f"token for {subject or 'anonymous'}", token.rsplit(".", 1)[1])
        return token


def _base64(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def _encode(value: dict) -> bytes:
    return _base64(json.dumps(value, separators=(",", ":")).encode())


def log_path(test: str, name: str) -> pathlib.Path:
    return LOGS / test / f"{name}.log"
