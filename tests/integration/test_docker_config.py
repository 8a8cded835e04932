"""`docker_config`: the credential out of a docker config.json, as `docker login` or a helper leaves it."""

import base64
import json
import os

from harness import case, secrets, wait
from harness.reader import ReaderCase


class DockerConfigCase(ReaderCase):
    def setUp(self):
        super().setUp()
        self.config = self.scratch / "config.json"

    def write(self, **content):
        """As docker does: another file takes its place."""
        new = self.scratch / "config.json.new"
        new.write_text(json.dumps(content))
        new.chmod(0o600)
        new.rename(self.config)

    def auth(self, password: str) -> dict:
        return {"auth": base64.b64encode(f"reader:{password}".encode()).decode()}

    def start(self, url: str, name: str = "entrepot", **more):
        table = self.hub(url, access="shared", allow_unauthenticated_private=True, docker_config=self.config, **more)
        return self.make_entrepot(table, name=name, environment={"PATH": f"{self.scratch}:{os.environ['PATH']}"})

    def get(self, proxy, digest: str):
        return proxy.client().get(f"/v2/keys/hut/manifests/{digest}")

    def helper(self, name: str, script: str):
        """A program docker-credential-<name>."""
        program = self.scratch / f"docker-credential-{name}"
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)


@case.short
class FileTest(DockerConfigCase):
    def test_basic(self):
        upstream = self.make_upstream(behind=self.make_registry(basic=("reader", self.password)))
        self.write(auths={upstream.address: self.auth(self.password)})
        self.pull_everything(self.start(upstream.url).client(), "keys/hut", self.hut)

    def test_bearer(self):
        upstream, _, tokens = self.with_token_service()
        self.write(auths={f"http://{upstream.address}/v2/": self.auth(self.password), "other.test": self.auth("x")})
        self.pull_everything(self.start(upstream.url, trusted_realms=[tokens.address]).client(), "keys/hut", self.hut)
        self.assertEqual({seen.header("Authorization") for seen in tokens.seen()}, {self.basic})

    def test_a_password_that_changes_is_read_again_when_it_is_refused(self):
        upstream, _, tokens = self.with_token_service()
        tokens.expires_in = 1
        self.write(auths={upstream.address: self.auth(self.password)})
        proxy = self.start(upstream.url, trusted_realms=[tokens.address])
        self.assertEqual(self.get(proxy, self.hut.root.digest).status, 200)
        new = secrets.make("new upstream password")
        secrets.basic("reader", new)
        tokens.users["reader"] = new
        self.write(auths={upstream.address: self.auth(new)})
        wait.until(lambda: self.get(proxy, self.hut.manifest.digest).status == 200, "the new password to be used", 90)

    def test_what_is_said_when_there_is_none(self):
        upstream = self.make_upstream(behind=self.make_registry(basic=("reader", self.password)))
        self.helper("angry", "echo credentials not found in native keychain; exit 1")
        self.helper("strange", f"echo {self.password}")
        for number, (content, said) in enumerate((
                (None, "No such file"), ({}, f"nothing of 127.0.0.1 in credHelpers or auths"),
                ({"auths": {upstream.address: {"identitytoken": self.password}}}, "a token in place of a password"),
                ({"auths": {upstream.address: {"auth": "!"}}}, "not the base64 of user:password"),
                ({"credsStore": "missing"}, "docker-credential-missing: "),
                ({"credHelpers": {upstream.address: "angry"}}, "docker-credential-angry: "),
                ({"credHelpers": {upstream.address: "strange"}}, "printed no JSON object"),
                ({"credHelpers": {upstream.address: "../angry"}}, "makes no sense"))):
            with self.subTest(said):
                if content is not None:
                    self.write(**content)
                proxy = self.start(upstream.url, name=f"entrepot-{number}")
                self.assertEqual(self.get(proxy, self.hut.root.digest).status, 502)
                wait.until(lambda: said in proxy.log(), f"the log to say {said}")
                self.assertIn("docker_config", proxy.log())
                proxy.stop()


@case.short
class HelperTest(DockerConfigCase):
    def test_of_one_registry_and_of_all(self):
        upstream = self.make_upstream(behind=self.make_registry(basic=("reader", self.password)))
        answer = json.dumps({"ServerURL": upstream.address, "Username": "reader", "Secret": self.password})
        (self.scratch / "answer").write_text(answer)
        self.helper("test", f'test "$1" = get && cat > {self.scratch}/asked && cat {self.scratch}/answer')
        for content in ({"credHelpers": {upstream.address: "test"}}, {"credsStore": "test", "auths": {upstream.address: {}}}):
            with self.subTest(content):
                self.write(**content)
                proxy = self.start(upstream.url, name=f"entrepot-{len(content)}")
                for _ in range(3):
                    self.assertEqual(self.get(proxy, self.hut.root.digest).status, 200)
                self.assertEqual((self.scratch / "asked").read_text().strip(), upstream.address)
                self.assertEqual(proxy.log().count("asked docker-credential-test"), 1)
                proxy.stop()
