"""ls, stats and purge, on a cache that is served and on one that is not, and the command line of all verbs."""

import datetime
import json
import shutil
import socket
import threading

from harness import case, disk, paths, wait
from harness.made_image import make_image
from harness.manage_case import ManageCase

MIB = 1 << 20
PREFIX = "docker.io/library"


@case.short
class ListTest(ManageCase):
    def test_running_and_stopped_say_the_same(self):
        self.start("app:1", "app:2", "quay.io/team/tool:v1")
        self.pull("partial:1", absent_platforms=3)
        by_digest = make_image(self.content, "untagged", [self.shared])
        self.upstream.tag("library/untagged", by_digest)
        for manifest in by_digest.manifests:
            self.assertEqual(self.proxy.client().get(f"/v2/library/untagged/manifests/{manifest.digest}").status, 200)
        self.proxy.wait_committed([m.digest for m in by_digest.manifests])
        listed = self.proxy.images()
        untagged = f"{PREFIX}/untagged@{by_digest.root.digest}"
        self.assertEqual(list(listed), [f"{PREFIX}/app:1", f"{PREFIX}/app:2", f"{PREFIX}/partial:1", untagged, "quay.io/team/tool:v1"])
        one, image = listed[f"{PREFIX}/app:1"], self.images["app:1"]
        self.assertEqual((one["digest"], one["bytes"], one["blobs"], one["missing"], one["pinned"]),
                         (image.root.digest, self.size(image), 5, 0, False))
        self.assertEqual((one["upstream"], one["repository"], one["tag"]), ("docker.io", "library/app", "1"))
        for time in ("checked_at", "used_at"):
            self.assertRegex(one[time], r"^20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ$")
        self.assertEqual((listed[f"{PREFIX}/partial:1"]["missing"], listed[untagged]["tag"]), (3, None))
        self.assertEqual(listed[untagged]["missing"], 1)  # its configuration; the layer is here for others

        table = self.proxy.run("ls").stdout
        self.assertIn(f"{PREFIX}/app:1", table)
        self.assertIn("5 of 8", table)
        stats = self.proxy.tell("stats")
        self.assertEqual((stats["tags"], stats["repositories"], stats["pinned_images"]), (4, 4, 0))
        self.proxy.stop()
        self.assertEqual(self.proxy.images(), listed)
        stopped = self.proxy.tell("stats")
        for name in ("blobs", "manifests", "tags", "links", "repositories", "blob_bytes", "pinned_bytes", "max_size", "directory"):
            self.assertEqual(stopped[name], stats[name], name)

    def test_what_is_selected(self):
        self.start("app:1.0", "app:1.1", "app:2", "apple:1.0", "quay.io/team/app:1.0", "quay.io/other/app:1.0")
        for asked, expected in (
                (["app"], 3), (["app:1.1"], 1), (["app:1.*"], 2), (["app*:1.0"], 2), (["docker.io/library/app:2"], 1),
                (["docker.io"], 4), (["quay.io"], 2), (["--upstream", "quay.io"], 2), (["quay.io/team/*"], 1), (["quay.io/*:1.0"], 2),
                ([self.images["app:2"].root.digest], 1), ([f"app@{self.images['app:2'].root.digest}"], 1), (["*"], 6), ([], 6),
                (["app:2", "quay.io/team/app"], 2)):
            with self.subTest(asked):
                self.assertEqual(len(self.proxy.images(*asked)), expected)
        for asked in (["app:3"], ["apples"], ["index.docker.io/library/nothing"], ["sha256:" + "0" * 64], ["--upstream", "ghcr.io"]):
            with self.subTest(asked):
                ended = self.proxy.run("ls", *asked)
                self.assertEqual((ended.returncode, ended.stdout), (1, ""))
                self.assertIn("nothing in the cache", ended.stderr)
        for asked in ("app@sha256:12", "app:", "/", "app@", "x" * 2000):
            with self.subTest(asked):
                ended = self.proxy.run("ls", asked)
                self.assertEqual(ended.returncode, 1)
                self.assertRegex(ended.stderr, "^entrepot: `")

    def test_many_images_come_in_pages(self):
        self.start()
        image = make_image(self.content, "many", [self.shared])
        for number in range(2100):
            self.upstream.tag_digest("library/many", f"t{number:05}", image.root.digest)
        names = iter([f"t{number:05}" for number in range(2100)])
        lock = threading.Lock()

        def ask():
            mine = self.proxy.client()
            while True:
                with lock:
                    name = next(names, None)
                if name is None:
                    return
                assert mine.get(f"/v2/library/many/manifests/{name}").status == 200
        threads = [threading.Thread(target=ask) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.proxy.stop()  # what was asked for last is in the index
        self.assertEqual(list(self.proxy.images("many")), [f"{PREFIX}/many:t{number:05}" for number in range(2100)])

    def test_used_again(self):
        """The time of last use is that of the last hit, within the ten minutes that it may be off."""
        self.start("app:1")
        before = self.proxy.images()[f"{PREFIX}/app:1"]["used_at"]
        wait.until(lambda: f"{datetime.datetime.now(datetime.timezone.utc):%Y-%m-%dT%H:%M:%SZ}" > before, "the next second")
        self.proxy.restart()  # a new run marks the time anew
        self.fetch("app:1")
        wait.until(lambda: self.proxy.images()[f"{PREFIX}/app:1"]["used_at"] > before, "the later use to be known", 20)


@case.short
class PurgeTest(ManageCase):
    def test_a_tag(self):
        """It takes along what nobody else needs; a tag within its tag_ttl, and a hot answer, are asked for again."""
        self.start("app:1", "app:2")
        self.fetch("app:1")
        self.fetch("app:1")
        used = disk.used(self.proxy.cache)
        dry = self.proxy.tell("purge", "app:1", "--dry-run")
        self.assertEqual((dry["images"], dry["blobs"], dry["names"]), (1, 4, [f"{PREFIX}/app:1"]))
        self.assertTrue(set(self.images["app:1"].digests) <= self.files())
        done = self.proxy.tell("purge", "app:1")
        self.assertEqual({**done, "dry_run": True}, dry)
        self.wait_gone(self.own_digests("app:1"))
        self.assertTrue(set(self.images["app:2"].digests) <= self.files())
        self.assertLess(disk.used(self.proxy.cache), used)
        self.assertEqual(list(self.proxy.images()), [f"{PREFIX}/app:2"])
        self.upstream.forget()
        for reply in self.fetch("app:2"):
            self.assert_hit(reply)
        self.assertEqual(self.upstream.seen(), [])
        by_tag, by_digest, *others = self.fetch("app:1")
        self.assert_hit(by_digest)  # it came with the tag
        for reply in (by_tag, *others):
            (self.assert_hit if reply.digest == self.shared.digest else self.assert_miss)(reply)

    def test_a_purge_is_forgotten_by_no_rebuild(self):
        self.start("app:1", "app:2")
        self.proxy.tell("purge", "app:1")
        self.proxy.stop()
        shutil.rmtree(self.proxy.cache / "index")
        self.upstream.stop_listening()
        self.proxy.start()
        self.assertEqual(list(self.proxy.images()), [f"{PREFIX}/app:2"])
        self.assertEqual(self.proxy.client().get("/v2/library/app/manifests/1").status, 502)
        for reply in self.fetch("app:2"):
            self.assert_hit(reply)

    def test_repositories_upstreams_and_digests(self):
        names = ["app:1", "app:2", "apple:1", "quay.io/team/app:1", "quay.io/team/tool:1"]
        self.start(*names)
        left = set(names)
        for asked, gone in ((["app*:1"], {"app:1", "apple:1"}), (["app"], {"app:2"}),
                            ([self.images["quay.io/team/tool:1"].root.digest], {"quay.io/team/tool:1"}),
                            (["--upstream", "quay.io"], {"quay.io/team/app:1"})):
            with self.subTest(asked):
                self.assertEqual(self.proxy.tell("purge", *asked)["images"], len(gone))
                left -= gone
                self.wait_gone(digest for name in gone for digest in self.own_digests(name))
                self.assertEqual(len(self.proxy.images()), len(left))
                self.assertEqual(self.shared.digest in self.files(), bool(left))
                ended = self.proxy.run("purge", *asked)
                self.assertEqual((ended.returncode, ended.stdout), (1, ""))
                self.assertIn("nothing in the cache", ended.stderr)
        self.assertEqual(self.proxy.tell("stats")["blobs"], 0)

    def test_a_blob(self):
        """By its digest, from all who hold it; the images stay, and the blob is fetched again."""
        self.start("app:1", "quay.io/team/app:1")
        self.assertEqual(self.proxy.tell("purge", self.shared.digest)["blobs"], 1)
        self.wait_gone([self.shared.digest])
        self.assertEqual({image["missing"] for image in self.proxy.images().values()}, {1})
        for name in self.images:
            self.fetch(name)

    def test_of_a_cache_that_is_not_served(self):
        self.start("app:1", "app:2")
        self.proxy.stop()
        self.assertEqual(self.proxy.tell("purge", "app:1")["blobs"], 4)
        self.assertFalse(self.files() & self.own_digests("app:1"))
        self.proxy.start()
        for reply in self.fetch("app:2"):
            self.assert_hit(reply)
        self.assert_miss(self.fetch("app:1")[0])

    def test_of_a_cache_that_is_too_full(self):
        """Offline nothing is evicted, and there may be more than the budget: purging is what makes room."""
        self.start("app:1", *(f"app:{number}" for number in range(2, 30)))
        self.proxy.stop()
        for key, value in {"cache.offline": True, "cache.max_size": "1MiB"}.items():
            self.proxy.set_key(key, value)
        self.proxy.start()
        self.assertGreater(self.proxy.tell("stats")["used_bytes"], MIB)
        self.assertEqual(self.proxy.tell("purge", "app:2*")["images"], 11)
        for reply in self.fetch("app:1"):
            self.assert_hit(reply)

    def test_while_it_is_pulled(self):
        """Whatever is purged under a client's hands: he gets the right bytes."""
        self.start("app:1")
        stop, wrong = threading.Event(), []

        def pull():
            while not stop.is_set():
                try:
                    self.fetch("app:1")
                except AssertionError as error:
                    wrong.append(str(error))
        threads = [threading.Thread(target=pull) for _ in range(3)]
        for thread in threads:
            thread.start()
        for _ in range(20):
            self.proxy.run("purge", "*")
        stop.set()
        for thread in threads:
            thread.join()
        self.assertEqual(wrong, [])


@case.short
class CommandLineTest(ManageCase):
    def test_usage(self):
        self.start()
        for arguments in (["purge"], ["pin"], ["unpin", "--json"], ["ls", "--dry-run"], ["stats", "app"], ["purge", "--all"]):
            with self.subTest(arguments):
                ended = self.proxy.run(*arguments)
                self.assertEqual((ended.returncode, ended.stdout), (2, ""))
                self.assertIn("entrepot: ", ended.stderr)

    def test_no_cache_and_a_cache_that_somebody_else_has(self):
        self.start("app:1")
        self.proxy.ask_to_stop()
        self.proxy.wait_stopped()
        elsewhere = self.scratch / "elsewhere"
        self.proxy.set_key("cache.directory", str(elsewhere))
        ended = self.proxy.run("ls")
        self.assertEqual(ended.returncode, 1)
        self.assertIn(f"there is no cache in {elsewhere}", ended.stderr)
        self.assertFalse(elsewhere.exists())
        self.assertIn("there is no cache", json.loads(self.proxy.run("ls", "--json").stdout)["errors"][0]["message"])
        self.proxy.set_key("cache.directory", str(self.proxy.cache))
        self.proxy.start()
        (self.proxy.cache / "control.sock").unlink()
        ended = self.proxy.run("ls")
        self.assertEqual(ended.returncode, 1)
        self.assertIn("in use by another process", ended.stderr)

    def test_a_control_socket_that_answers_nonsense(self):
        self.start("app:1")
        self.proxy.stop()
        path = self.proxy.cache / "control.sock"
        for answer in (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]", b"HTTP/1.1 500 No\r\nContent-Length: 1\r\n\r\nx", b"nonsense", b""):
            with self.subTest(answer), socket.socket(socket.AF_UNIX) as server:
                path.unlink(missing_ok=True)
                server.bind(str(path))
                server.listen()

                def serve():
                    for _ in range(2):  # the first is to see whether anybody is there
                        connection, _ = server.accept()
                        with connection:
                            if connection.recv(65536):
                                connection.sendall(answer)
                thread = threading.Thread(target=serve)
                thread.start()
                ended = self.proxy.run("stats")
                thread.join(paths.patience(10))
                self.assertEqual((ended.returncode, ended.stdout), (1, ""))
                self.assertIn("entrepot: ", ended.stderr)
        path.unlink()

    def test_requests_that_make_no_sense(self):
        self.start("app:1")
        control = self.proxy.control()
        for verb, body, status in (("nothing", b"{}", 400), ("ls", b"[", 400), ("ls", b"[]", 400), ("ls", b'{"x":1}', 400),
                                   ("ls", b'{"image":1}', 400), ("ls", b'{"most":-1}', 400), ("ls", b'{"after":"x"}', 400),
                                   ("purge", b"{}", 400), ("purge", b'{"images":[1]}', 400), ("purge", b'{"images":["app:1"],"dry_run":"yes"}', 400),
                                   ("purge", json.dumps({"images": ["a"] * 1001}).encode(), 400), ("ls", b" " * (2 * MIB), 413),
                                   ("pin", b'{"images":["app:7"]}', 404), ("ls", b'{"image":"\xff"}', 400)):
            with self.subTest((verb, body[:60])):
                reply = control.request("POST", f"/api/v1/verbs/{verb}", body=body)
                self.assertEqual(reply.status, status)
                self.assertTrue(reply.json()["errors"][0]["message"])
                control = self.proxy.control()
        self.assertEqual(self.proxy.control().get("/api/v1/verbs/ls").status, 405)
        self.assertEqual(self.proxy.admin().request("POST", "/api/v1/verbs/ls", body=b"{}").status, 405)
        self.assertEqual(list(self.proxy.images()), [f"{PREFIX}/app:1"])
