"""Push events: a tag that somebody pushed is asked for before it is given again, also within its tag_ttl."""

import http.client
import json
import socket

from harness import case, quirks, secrets, wait
from harness.client import at_once
from harness.image import OCI_INDEX

REPOSITORY = "projectquay/app"


def quay(*tags: str, repository: str = REPOSITORY) -> dict:
    return {"repository": repository, "namespace": repository.split("/")[0], "name": repository.split("/")[1],
            "docker_url": f"quay.io/{repository}", "homepage": f"https://quay.io/repository/{repository}", "updated_tags": list(tags)}


class HookCase(case.TestCase):
    def setUp(self):
        super().setUp()
        self.upstream = self.make_upstream()
        self.secret = secrets.make("hook secret")
        self.images = [self.index(number) for number in range(4)]

    def index(self, number: int):
        made = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [], "annotations": {"number": str(number)}}
        return self.content.add(json.dumps(made).encode(), OCI_INDEX)

    def push(self, number: int, tag: str = "master", repository: str = REPOSITORY):
        """At the upstream."""
        self.upstream.tag_digest(repository, tag, self.images[number].digest)

    def start(self, name: str = "quay.io", **more):
        """An hour of tag_ttl: nothing but a hook makes it ask again. `section__key`: settings; others are the upstream's."""
        settings = {key: more.pop(key) for key in list(more) if "__" in key}
        table = {"name": name, "url": self.upstream.url, "default": True, "allow_private": ["127.0.0.0/8"], "tag_ttl": "1h",
                 "stale_while_revalidate": "1h", **more}
        self.proxy = self.make_entrepot(table, hooks__listen="127.0.0.1:0",
                                        hooks__secret_file=str(secrets.write(self.scratch / "secret", self.secret)), **settings)

    def get(self, tag: str = "master", repository: str = REPOSITORY):
        return self.proxy.client().get(f"/v2/{repository}/manifests/{tag}")

    def hook(self, event, path: str | None = None, method: str = "POST", **headers):
        """Status and JSON. `event`: to be made JSON of, or bytes."""
        connection = http.client.HTTPConnection(self.proxy.addresses["hooks"], timeout=30)
        body = event if isinstance(event, bytes) else json.dumps(event).encode()
        connection.request(method, f"/{self.secret}" if path is None else path, body, {"Content-Type": "application/json", **headers})
        response = connection.getresponse()
        text = response.read()
        connection.close()
        return response.status, json.loads(text) if response.headers["Content-Type"] == "application/json" else text

    def expect_unmoved(self):
        """Nobody was asked for what is cached."""
        asked = len(self.upstream.seen())
        self.assertEqual(self.get().digest, self.images[0].digest)
        self.assertEqual(len(self.upstream.seen()), asked)


@case.short
class QuayTest(HookCase):
    def test_a_rebuilt_repository_moves_its_master(self):
        """Each commit moves `master` on; a pull straight after the hook gets the new one."""
        self.push(0)
        self.start()
        for _ in range(3):
            self.assertEqual(self.get().digest, self.images[0].digest)
        for number in (1, 2, 3):
            self.push(number)
            self.assertEqual(self.get().digest, self.images[number - 1].digest, "within tag_ttl, and unannounced")
            self.assertEqual(self.hook(quay("master")), (200, {"revalidated": 1}))
            asked = len(self.upstream.seen("HEAD"))
            self.assertEqual({reply.digest for reply in at_once([self.get] * 16)}, {self.images[number].digest})
            self.assertEqual(len(self.upstream.seen("HEAD")), asked + 1, "asked once, and kept for the next hour")

    def test_a_tag_that_was_not_there_and_the_list_of_tags(self):
        self.push(0)
        self.start(negative_ttl="1h")
        listed = lambda: self.proxy.client().get(f"/v2/{REPOSITORY}/tags/list").json()["tags"]  # noqa: E731
        self.assertEqual(listed(), ["master"])
        self.assertEqual(self.get("v2").status, 404)
        self.push(1, "v2")
        self.assertEqual(self.get("v2").status, 404, "kept for negative_ttl")
        self.hook(quay("v2"))
        self.assertEqual(self.get("v2").digest, self.images[1].digest)
        self.assertEqual(listed(), ["master", "v2"])

    def test_it_outlives_a_crash(self):
        self.push(0)
        self.start()
        self.assertEqual(self.get().digest, self.images[0].digest)
        self.push(1)
        self.hook(quay("master"))
        self.proxy.restart("kill")
        self.assertEqual(self.get().digest, self.images[1].digest)

    def test_while_the_upstream_is_down_the_old_one_is_given(self):
        self.push(0)
        self.start()
        self.assertEqual(self.get().digest, self.images[0].digest)
        self.push(1)
        self.upstream.on("*", "/manifests/", quirks.failing(503))
        self.hook(quay("master"))
        stale = self.get()
        self.assertEqual(stale.digest, self.images[0].digest)
        self.assertIn("detail=stale", stale.cache_status)
        self.upstream.behave()
        wait.until(lambda: self.get().digest == self.images[1].digest, "the tag to move")

    def test_a_push_while_the_tag_is_being_asked_for(self):
        """The answer that is on its way may be older than the push."""
        self.push(0)
        self.start()
        self.get()
        gate = self.make_gate()
        self.upstream.on("HEAD", "/manifests/", quirks.late_head(gate), times=1)
        self.hook(quay("master"))

        def wait_and_push():
            wait.until(lambda: len(self.upstream.seen("HEAD")) == 2, "the first question")
            self.push(1)
            self.hook(quay("master"))
            gate.set()
        reply, _ = at_once([self.get, wait_and_push])
        self.assertEqual(reply.digest, self.images[1].digest)
        self.assertEqual(self.get().digest, self.images[1].digest)

    def test_a_404_that_was_on_its_way(self):
        """It is older than the push, and is not kept for negative_ttl."""
        self.push(0)
        self.start(negative_ttl="1h")
        gate = self.make_gate()
        self.upstream.on("HEAD", "/manifests/new", quirks.late_head(gate), times=1)

        def push_and_open():
            wait.until(lambda: self.upstream.seen("HEAD", "/manifests/new"), "the first question")
            self.push(1, "new")
            self.hook(quay("new"))
            gate.set()
        reply, _ = at_once([lambda: self.get("new"), push_and_open])
        self.assertEqual([reply.digest, self.get("new").digest], [self.images[1].digest] * 2)

    def test_a_list_of_tags_that_was_on_its_way(self):
        self.push(0)
        self.start()
        listed = lambda: self.proxy.client().get(f"/v2/{REPOSITORY}/tags/list").json()["tags"]  # noqa: E731
        gate = self.make_gate()
        self.upstream.on("GET", "/tags/list", quirks.late_head(gate), times=1)

        def push_and_open():
            wait.until(lambda: self.upstream.seen("GET", "/tags/list"), "the first question")
            self.push(1, "new")
            self.hook(quay("new"))
            gate.set()
        at_once([listed, push_and_open])
        self.assertEqual(listed(), ["master", "new"])

    def test_other_events_and_other_tags_change_nothing(self):
        self.push(0)
        self.start()
        self.get()
        self.push(1)
        build = {key: value for key, value in quay().items() if key != "updated_tags"} | {"build_id": "1", "trigger_kind": "github"}
        for event, said in ((build, {"ignored": True}), (quay("other"), {"revalidated": 1}), (quay(), {"revalidated": 0}),
                            (quay("master", repository="projectquay/other"), {"revalidated": 1}),
                            (quay("master") | {"docker_url": "quay.example.test/projectquay/app"}, {"ignored": True})):
            self.assertEqual(self.hook(event), (200, said))
            self.expect_unmoved()


@case.short
class OtherRegistriesTest(HookCase):
    def test_docker_hub(self):
        self.push(0, repository="team/app")
        self.start("docker.io")
        self.get(repository="team/app")
        self.push(1, repository="team/app")
        event = {"callback_url": "https://registry.hub.docker.com/u/team/app/hook/1/",
                 "push_data": {"pushed_at": 1417566161.5, "pusher": "me", "tag": "master", "images": []},
                 "repository": {"name": "app", "namespace": "team", "repo_name": "team/app", "status": "Active"}}
        self.assertEqual(self.hook(event), (200, {"revalidated": 1}))
        self.assertEqual(self.get(repository="team/app").digest, self.images[1].digest)

    def test_amazon_ecr(self):
        self.push(0, repository="team/app")
        self.start("123456789012.dkr.ecr.eu-central-1.amazonaws.com", auth="anonymous")
        self.get(repository="team/app")

        def event(**detail):
            return {"version": "0", "detail-type": "ECR Image Action", "source": "aws.ecr", "account": "123456789012",
                    "region": "eu-central-1", "detail": {"result": "SUCCESS", "repository-name": "team/app",
                                                         "image-digest": self.images[1].digest, "action-type": "PUSH"} | detail}
        self.push(1, repository="team/app")
        self.assertEqual(self.hook(event(**{"image-tag": "master", "result": "FAILURE"})), (200, {"ignored": True}))
        self.assertEqual(self.hook(event(**{"image-tag": "master"}) | {"region": "us-east-1"}), (200, {"ignored": True}))
        self.assertEqual(self.hook(event()), (200, {"revalidated": 0}), "a push without a tag")
        self.assertEqual(self.get(repository="team/app").digest, self.images[0].digest)
        self.assertEqual(self.hook(event(**{"image-tag": "master"})), (200, {"revalidated": 1}))
        self.assertEqual(self.get(repository="team/app").digest, self.images[1].digest)


@case.short
class RefusedTest(HookCase):
    def setUp(self):
        super().setUp()
        self.push(0)
        self.start()
        self.get()
        self.push(1)

    def test_malformed_bodies(self):
        good = quay("master")
        for body in (b"", b"{", b"[]", b"null", b"\xff\xfe", b"[" * 100_000, {}, good | {"docker_url": 7}, good | {"docker_url": "quay.io"},
                     good | {"docker_url": "quay.io/../x"}, good | {"updated_tags": "master"}, good | {"updated_tags": [7]},
                     good | {"updated_tags": ["master", "../x"]}, good | {"updated_tags": ["a"] * 1001},
                     {"push_data": {}, "repository": {"repo_name": "a/b"}}, {"push_data": {"tag": "a"}, "repository": {}},
                     {"source": "aws.ecr", "detail-type": "ECR Image Action", "account": "1", "region": "x",
                      "detail": {"result": "SUCCESS", "action-type": "PUSH", "repository-name": "a", "image-tag": "b"}}):
            with self.subTest(str(body)[:60]):
                self.assertEqual(self.hook(body)[0], 400)
                self.expect_unmoved()

    def test_who_does_not_know_the_secret(self):
        for path in ("/", "", "/x", f"/{self.secret}x", f"/{self.secret[:-1]}", f"/{self.secret}/", f"/x/{self.secret}",
                     f"/{self.secret.upper()}"):
            self.assertEqual(self.hook(quay("master"), path or "/")[0], 404, path)
        for method in ("GET", "PUT", "DELETE"):
            self.assertEqual(self.hook(b"" if method == "GET" else quay("master"), method=method)[0], 405)
        self.assertEqual(self.hook(quay("master"), **{"Content-Encoding": "gzip"})[0], 415)
        self.expect_unmoved()

    def test_bodies_that_are_too_large_come_in_chunks_or_never(self):
        self.assertEqual(self.hook(json.dumps(quay("master") | {"x": "y" * 256 * 1024}).encode())[0], 413)
        self.assertEqual(self.raw(b"POST /%s HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n")[:12], b"HTTP/1.1 411")
        self.assertEqual(self.raw(b"POST /%s HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n")[:12], b"HTTP/1.1 413")
        self.expect_unmoved()
        in_time = self.raw(b"POST /%s HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
        self.assertEqual(in_time[:12], b"HTTP/1.1 408", "as long as a head may take, and no longer")
        self.expect_unmoved()

    def test_in_small_pieces(self):
        body = json.dumps(quay("master")).encode()
        head = b"POST /%s HTTP/1.1\r\nHost: x\r\nContent-Length: " + str(len(body)).encode() + b"\r\n\r\n"
        self.assertIn(b'{"revalidated":1}', self.raw(head + body, size=7))
        self.assertEqual(self.get().digest, self.images[1].digest)

    def raw(self, request: bytes, size: int = 0) -> bytes:
        host, port = self.proxy.addresses["hooks"].split(":")
        request = request.replace(b"%s", self.secret.encode())
        with socket.create_connection((host, int(port)), timeout=60) as connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for begin in range(0, len(request), size or len(request)):
                connection.sendall(request[begin:begin + (size or len(request))])
            answer = b""
            while chunk := connection.recv(65536):
                answer += chunk
        return answer


class SecretTest(HookCase):
    def test_what_is_wrong_with_it_is_said_at_the_start(self):
        for number, (text, said) in enumerate((("short", "must hold 16 to 256"), ("a" * 257, "must hold 16 to 256"),
                                               ("with/slash/in/it/all", "must hold 16 to 256"), (None, "No such file"))):
            file = self.scratch / f"secret-{number}"
            if text is not None:
                file.write_text(text)
            with self.assertRaisesRegex(AssertionError, f"ended with 1(?s:.)*hooks.secret_file(?s:.)*{said}"):
                self.make_entrepot(self.hub(self.upstream.url), name=f"entrepot-{number}", hooks__listen="127.0.0.1:0",
                                   hooks__secret_file=str(file))
