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
                ({"auths": {upstream.address: {"registrytoken": self.password}}}, "a registrytoken, which cannot be renewed"),
                ({"auths": {upstream.address: {"identitytoken": self.password}}}, "takes user name and password"),
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


@case.short
class IdentityTokenTest(DockerConfigCase):
    """What `docker login` leaves where the token service gives a refresh token (ACR, and others by OAuth2)."""

    def setUp(self):
        super().setUp()
        self.upstream, _, self.tokens = self.with_token_service()
        self.token = secrets.make("identity token")
        self.tokens.identity_tokens["reader"] = self.token

    def start_it(self, name: str = "entrepot"):
        return self.start(self.upstream.url, name=name, trusted_realms=[self.tokens.address])

    def expect_posts(self, count: int):
        asked = self.tokens.seen()
        self.assertEqual([seen.method for seen in asked], ["POST"] * count)
        self.assertEqual({(seen.header("Authorization"), seen.target) for seen in asked}, {(None, "/token")})
        self.assertEqual([seen for seen in self.upstream.seen() if self.token in seen.text()], [])

    def test_in_the_file(self):
        self.write(auths={self.upstream.address: {"identitytoken": self.token, **self.auth("00000000-0000-0000-0000-000000000000")}})
        self.pull_everything(self.start_it().client(), "keys/hut", self.hut)
        self.expect_posts(1)

    def test_by_a_helper(self):
        (self.scratch / "answer").write_text(json.dumps({"Username": "<token>", "Secret": self.token}))
        self.helper("test", f"cat > /dev/null && cat {self.scratch}/answer")
        self.write(credsStore="test")
        self.pull_everything(self.start_it().client(), "keys/hut", self.hut)
        self.expect_posts(1)

    def test_one_that_has_ended(self):
        """It is shown once, not again and again; a new log-in is seen."""
        self.write(auths={self.upstream.address: {"identitytoken": secrets.make("ended identity token")}})
        proxy = self.start_it()
        for _ in range(5):
            self.assertEqual(self.get(proxy, self.hut.root.digest).status, 502)
        self.assertIn("answered with status 400", proxy.log())
        self.expect_posts(1)
        self.write(auths={self.upstream.address: {"identitytoken": self.token}})
        wait.until(lambda: self.get(proxy, self.hut.root.digest).status == 200, "the new one to be used", 90)
