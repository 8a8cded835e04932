"""The base of the tests of advisories: hosts that record what they must not see, and somebody who shows it to them."""

import http.client
import json
import re
import ssl
import urllib.parse

from harness import answers, quirks, secrets
from harness.rules import RuledServer
from harness.upstream import ScriptedUpstream

from .case import RegistryCase


class Recorder(RuledServer):
    """A host that has no business with anybody's credentials, and would love to have them."""

    def honest_answer(self, seen):
        return answers.with_body(200, "application/json", json.dumps({"token": "stolen", "expires_in": 300}).encode())


class Naive:
    """A client with the flaws: it shows its credential to whoever asks for it, wherever a redirect leads."""

    def __init__(self, addresses: dict[str, str], basic: str):
        self._addresses, self._basic = addresses, basic

    def get(self, url: str, hops: int = 3) -> int:
        parts = urllib.parse.urlsplit(url)
        port = parts.port or (443 if parts.scheme == "https" else 80)
        address = self._addresses.get(parts.hostname, parts.hostname)
        connection = http.client.HTTPConnection(address, port, timeout=10)
        if parts.scheme == "https":
            connection = http.client.HTTPSConnection(address, port, timeout=10, context=ssl._create_unverified_context())
        connection.request("GET", f"{parts.path}?{parts.query}", headers={"Host": parts.netloc, "Authorization": self._basic})
        response = connection.getresponse()
        response.read()
        challenged = re.search(r'realm="([^"]+)"', response.getheader("WWW-Authenticate", ""))
        target = response.getheader("Location") or (challenged and challenged.group(1))
        connection.close()
        return self.get(urllib.parse.urljoin(url, target), hops - 1) if target and hops else response.status


class AdvisoryCase(RegistryCase):
    NAME = "registry.example.test"

    def setUp(self):
        super().setUp()
        self.recorders: list[Recorder] = []
        self.upstream = self._serve(ScriptedUpstream(self.content, **self.hosts.place(self.NAME)))
        self.upstream.tag("library/hut", self.hut)
        self.starts = 0

    def record(self, name: str, port: int = 443, **more) -> Recorder:
        made = self._serve(Recorder(**self.hosts.place(name, port, **more)))
        self.recorders.append(made)
        return made

    def start_own(self, **more):
        self.starts += 1
        return self.start(f"https://{self.NAME}", name=f"entrepot-{self.starts}", **{**self.own(), **more})

    def get(self, proxy, what: str = "manifests/latest"):
        return proxy.client().get(f"/v2/{self.NAME}/library/hut/{what}")

    def naive(self) -> Naive:
        return Naive(self.hosts.addresses, self.basic)

    def stolen(self) -> list[str]:
        """What of ours the recorders have seen."""
        texts = [seen.text() for recorder in self.recorders for seen in recorder.seen()]
        return [label for text in texts for label in secrets.found_in(text)
                if label.startswith(("basic of", "upstream password", "token of"))]

    def connections(self) -> dict[str, int]:
        return {recorder.url: recorder.connections for recorder in self.recorders if recorder.connections}

    def want_token_of(self, realm: str):
        self.upstream.behave()
        challenge = ("WWW-Authenticate", f'Bearer realm="{realm}",service="x"')
        self.upstream.on("*", "/v2/", quirks.instead(lambda: answers.error(401, "UNAUTHORIZED", "", challenge)))
