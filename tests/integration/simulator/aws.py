"""What of AWS a pull from Amazon ECR needs, by the facts that are public about it: the services that give out credentials,
and the API that gives out registry tokens.

    cloud = Cloud(region)                 ECR's and STS' APIs; every signature is recomputed
    metadata = Metadata(cloud)            an instance's (IMDSv2) and a container's credential endpoint

What is less than the real thing: one region, one account, no policies beyond `denied`; tokens are opaque.
"""

import base64
import dataclasses
import itertools
import json
import time
import urllib.parse

from harness import answers, secrets
from harness.answers import Answer
from harness.rules import RuledServer
from harness.server import Seen

from . import sigv4

_STS = "https://sts.amazonaws.com/doc/2011-06-15/"


@dataclasses.dataclass(frozen=True)
class Keys:
    """`name`: whose they are, for tests to ask who signed."""
    name: str
    access_key_id: str
    secret: str
    session_token: str = ""

    def environment(self) -> dict[str, str]:
        found = {"AWS_ACCESS_KEY_ID": self.access_key_id, "AWS_SECRET_ACCESS_KEY": self.secret}
        return found | ({"AWS_SESSION_TOKEN": self.session_token} if self.session_token else {})

    def profile(self) -> str:
        token = f"aws_session_token = {self.session_token}\n" if self.session_token else ""
        return f"aws_access_key_id = {self.access_key_id}\naws_secret_access_key = {self.secret}\n{token}"

    def document(self, expires_in: float = 3600) -> dict[str, str]:
        """As metadata services and credential processes give them."""
        return {"Code": "Success", "Type": "AWS-HMAC", "Version": 1, "AccessKeyId": self.access_key_id,
                "SecretAccessKey": self.secret, "Token": self.session_token, "SessionToken": self.session_token,
                "Expiration": _time(time.time() + expires_in)}


class Cloud(RuledServer):
    """The APIs. `signers` are the names of the keys that signed GetAuthorizationToken, in order; `flaws` what was wrong
    with a signature, and must be empty at the end of a test that expects none."""

    def __init__(self, region: str = "eu-central-1", **place):
        super().__init__(**place)
        self.region = region
        self.token_lifetime = 12 * 3600.0
        self.web_identities: dict[str, str] = {}      # token → the role it may take
        self.signers: list[str] = []
        self.flaws: list[str] = []
        self._keys: dict[str, Keys] = {}
        self._numbers = itertools.count(1)
        self._tokens: dict[str, float] = {}           # token → when it ends

    def make_keys(self, name: str, temporary: bool = False) -> Keys:
        made = Keys(name, f"{'ASIA' if temporary else 'AKIA'}TEST{next(self._numbers):08}", secrets.make(f"AWS secret of {name}"),
                    secrets.make(f"AWS session token of {name}") if temporary else "")
        self._keys[made.access_key_id] = made
        return made

    def token_state(self, token: str) -> str:
        """good, expired or unknown."""
        end = self._tokens.get(token)
        return "unknown" if end is None else "good" if time.time() < end else "expired"

    def end_all_tokens(self):
        """Before their time, as far as whoever holds one knows."""
        self._tokens = dict.fromkeys(self._tokens, 0.0)

    def honest_answer(self, seen: Seen) -> Answer:
        target = seen.header("X-Amz-Target") or ""
        if target == "AmazonEC2ContainerRegistry_V20150921.GetAuthorizationToken":
            return self._give_token(seen, "ecr")
        if target == "SpencerFrontendService.GetAuthorizationToken":
            return self._give_token(seen, "ecr-public")
        form = {name: values[0] for name, values in urllib.parse.parse_qs(seen.body.decode()).items()}
        if seen.method == "POST" and form.get("Version") == "2011-06-15":
            return self._assume(seen, form)
        return failure(404, "UnknownOperationException", "no such operation")

    def _give_token(self, seen: Seen, service: str) -> Answer:
        region = "us-east-1" if service == "ecr-public" else self.region
        keys, refusal = self._signer(seen, service, region, {"content-type", "host", "x-amz-date", "x-amz-target"})
        if refusal:
            return failure(400, *refusal)
        self.signers.append(keys.name)
        password = secrets.make(f"ECR password {next(self._numbers)}")
        token = base64.b64encode(f"AWS:{password}".encode()).decode()
        secrets.remember(f"ECR token of {keys.name}", token)
        end = time.time() + self.token_lifetime
        self._tokens[token] = end
        data = {"authorizationToken": token, "expiresAt": end}
        entry = data if service == "ecr-public" else [data | {"proxyEndpoint": "https://registry.test"}]
        return answers.with_body(200, "application/x-amz-json-1.1", json.dumps({"authorizationData": entry}).encode())

    def _signer(self, seen: Seen, service: str, region: str, wanted: set[str]):
        keys = self._keys.get(sigv4.access_key_of(seen))
        if not keys:
            return None, ("UnrecognizedClientException", "The security token included in the request is invalid.")
        wanted = wanted | ({"x-amz-security-token"} if keys.session_token else set())
        flaw = sigv4.flaw(seen, keys.secret, service, region, wanted)
        if not flaw and (seen.header("X-Amz-Security-Token") or "") != keys.session_token:
            flaw = "another session token"
        if flaw:
            self.flaws.append(flaw)
            return None, ("InvalidSignatureException", "The request signature we calculated does not match.")
        return keys, None

    def _assume(self, seen: Seen, form: dict[str, str]) -> Answer:
        action, role = form.get("Action", ""), form.get("RoleArn", "")
        if action == "AssumeRoleWithWebIdentity":
            if seen.header("Authorization"):
                self.flaws.append("AssumeRoleWithWebIdentity was signed")
            if self.web_identities.get(form.get("WebIdentityToken", "")) != role:
                return _sts_failure(400, "InvalidIdentityToken", "No OpenIDConnect provider found")
        elif action == "AssumeRole":
            keys, refusal = self._signer(seen, "sts", self.region, {"host", "x-amz-date"})
            if refusal:
                return _sts_failure(403, *refusal)
            if role.endswith("/forbidden"):
                return _sts_failure(403, "AccessDenied", f"{keys.name} is not authorized to perform: sts:AssumeRole")
        else:
            return _sts_failure(400, "InvalidAction", "no such action")
        given = self.make_keys(f"{role} ({action})", temporary=True)
        xml = (f'<{action}Response xmlns="{_STS}"><{action}Result><Credentials><AccessKeyId>{given.access_key_id}</AccessKeyId>'
               f"<SecretAccessKey>{given.secret}</SecretAccessKey><SessionToken>{given.session_token}</SessionToken>"
               f"<Expiration>{_time(time.time() + 3600)}</Expiration></Credentials></{action}Result></{action}Response>")
        return answers.with_body(200, "text/xml", xml.encode())


class Metadata(RuledServer):
    """169.254.169.254 and 169.254.170.2, at another address. `keys` are what they give; `authorization` is what the
    container's endpoint wants to see now."""

    ROLE = "instance-role"

    def __init__(self, keys: Keys, **place):
        super().__init__(**place)
        self.keys, self.authorization = keys, ""
        self._sessions: set[str] = set()

    def honest_answer(self, seen: Seen) -> Answer:
        if seen.method == "PUT" and seen.path == "/latest/api/token":
            if not (seen.header("X-aws-ec2-metadata-token-ttl-seconds") or "").isdigit():
                return answers.error(400, "BAD_REQUEST")
            session = secrets.make("IMDS session token")
            self._sessions.add(session)
            return answers.with_body(200, "text/plain", session.encode())
        if seen.path.startswith("/latest/meta-data/iam/security-credentials/"):
            if seen.header("X-aws-ec2-metadata-token") not in self._sessions:
                return answers.error(401, "UNAUTHORIZED")
            name = seen.path.rsplit("/", 1)[1]
            if not name:
                return answers.with_body(200, "text/plain", self.ROLE.encode())
            return self._document() if name == self.ROLE else answers.error(404, "NOT_FOUND")
        if seen.path == "/v1/credentials":
            if (seen.header("Authorization") or "") != self.authorization:
                return answers.error(401, "UNAUTHORIZED")
            return self._document()
        return answers.error(404, "NOT_FOUND")

    def _document(self) -> Answer:
        return answers.with_body(200, "application/json", json.dumps(self.keys.document()).encode())


def failure(status: int, kind: str, message: str) -> Answer:
    body = json.dumps({"__type": f"com.amazon.coral.service#{kind}", "message": message}).encode()
    return answers.with_body(status, "application/x-amz-json-1.1", body)


def _sts_failure(status: int, code: str, message: str) -> Answer:
    xml = (f'<ErrorResponse xmlns="{_STS}"><Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error>'
           "<RequestId>1</RequestId></ErrorResponse>")
    return answers.with_body(status, "text/xml", xml.encode())


def _time(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))
