"""More of the harness itself: crowds, disks, hanging up, and the scripted upstream as a program."""

import http.client
import json
import pathlib
import subprocess
import sys
import threading

from harness import case, client, disk, quirks, wait
from harness.content import Content, digest_of, noise
from harness.crowd import Crowd


class CrowdTest(case.TestCase):
    def setUp(self):
        super().setUp()
        self.upstream = self.make_upstream()
        self.blob = self.content.make(500_000, "crowd")
        self.target = f"/v2/x/blobs/{self.blob.digest}"
        self.tally = client.Tally(None)
        self.client = client.Client(self.upstream.url, tally=self.tally, truth=self.content)

    def test_it_sees_how_far_each_is(self):
        gate = self.make_gate()
        self.upstream.on("GET", self.blob.digest, quirks.stall(1000, gate))
        crowd = Crowd([lambda on_bytes: self.client.get(self.target, on_bytes=on_bytes)] * 5)
        crowd.wait_for(1000)
        self.assertEqual(crowd.got, [1000] * 5)
        gate.set()
        self.assertEqual([r.digest for r in crowd.wait_ended()], [self.blob.digest] * 5)

    def test_one_that_ends_early_is_told(self):
        self.upstream.on("GET", self.blob.digest, quirks.cut(1000))
        crowd = Crowd([lambda on_bytes: self.client.get(self.target, on_bytes=on_bytes)])
        with self.assertRaisesRegex(AssertionError, "ended before"):
            crowd.wait_for(1001)

    def test_one_that_fails_is_told(self):
        with self.assertRaisesRegex(AssertionError, "1 clients failed"):
            Crowd([lambda on_bytes: 1 / 0]).wait_ended()

    def test_a_client_can_hang_up(self):
        gate = self.make_gate()
        self.upstream.on("GET", self.blob.digest, quirks.stall(100_000, gate))
        reply = self.client.get(self.target, on_bytes=lambda total: total >= 50_000)
        self.assertGreaterEqual(reply.size, 50_000)
        self.assertEqual((reply.complete, reply.error), (False, "hung up"))
        self.assertEqual((self.tally.cut, self.tally.right, self.tally.wrong), (0, 0, 0), "it is nobody's fault")
        seen, = self.upstream.seen("GET")
        wait.until(lambda: seen.ended, "the upstream to see it")


class DiskTest(case.TestCase):
    def test_blocks_are_counted_and_a_file_with_two_names_once(self):
        folder = self.scratch / "counted"
        (folder / "below").mkdir(parents=True)
        (folder / "sha256-ab").write_bytes(bytes(100_000))
        (folder / "below/ab").hardlink_to(folder / "sha256-ab")
        with open(folder / "holes", "wb") as file:
            file.truncate(10_000_000)
        for count in (disk.used, disk.used_while_it_changes):
            self.assertEqual(count(folder), (folder / "below/ab").stat().st_blocks * 512)

    def test_the_highest_is_kept(self):
        values = iter([1, 5, 3])
        sampled = threading.Event()

        def sample():
            value = next(values, None)
            if value is None:
                sampled.set()
            return value or 0

        with disk.Highest(sample, 0.001) as highest:
            self.assertTrue(sampled.wait(30))
        self.assertEqual(highest.value, 5)

    def test_a_sample_that_fails_is_told(self):
        with self.assertRaisesRegex(AssertionError, "sampling failed"), disk.Highest(lambda: 1 / 0):
            pass

    def test_a_small_disk_is_full_soon(self):
        if disk.why_no_mount():
            self.skipTest(disk.why_no_mount())
        disk.mount_small(self.scratch / "small", "1m")
        self.addCleanup(disk.unmount, self.scratch / "small")
        with self.assertRaises(OSError):
            (self.scratch / "small/file").write_bytes(bytes(2_000_000))


class ContentTest(case.TestCase):
    def test_blobs_are_what_their_seed_says(self):
        content = Content()
        one, again, other = content.make(70_000, "a"), content.make(70_000, "a"), content.make(70_000, "b")
        self.assertEqual(one, again)
        self.assertNotEqual(one.digest, other.digest)
        self.assertEqual(b"".join(content.chunks(one.digest, 10, 69_998)), noise(70_000, "a")[10:69_999])
        self.assertEqual(content.slice_digest(one.digest, 10, 69_998), digest_of(noise(70_000, "a")[10:69_999]))
        self.assertEqual(b"".join(content.chunks(content.add(b"").digest, 0, -1)), b"")


class ProgramTest(case.TestCase):
    """tests/integration/scripted_upstream.py, as a program of another language uses it."""

    def setUp(self):
        super().setUp()
        program = pathlib.Path(__file__).with_name("scripted_upstream.py")
        self.process = subprocess.Popen([sys.executable, program], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.addCleanup(self.process.stdout.close)
        self.addCleanup(self.process.wait, 30)
        self.addCleanup(self.process.stdin.close)
        self.port = json.loads(self.process.stdout.readline())["port"]
        self.tally = client.Tally(None)
        self.client = client.Client(f"http://127.0.0.1:{self.port}", tally=self.tally)

    def control(self, method: str, path: str, body: bytes = b"", status: int = 200):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        connection.request(method, "/-/" + path, body)
        response = connection.getresponse()
        self.assertEqual(response.status, status)
        answer = json.loads(response.read())
        connection.close()
        return answer

    def test_it_is_scripted_over_http(self):
        blob = self.control("POST", "blobs", b"hello")
        self.assertEqual((blob["digest"], blob["size"]), (digest_of(b"hello"), 5))
        target = f"/v2/x/blobs/{blob['digest']}"
        self.assertEqual(self.client.get(target).digest, blob["digest"])
        self.control("POST", "rules", json.dumps({"quirks": [{"cut": {"after": 3}}], "times": 1}).encode())
        self.assertEqual(self.client.get(target).size, 3)
        self.assertEqual([(r["method"], r["target"], r["sent"]) for r in self.control("GET", "seen?method=GET&containing=/blobs/")],
                         [("GET", target, 5), ("GET", target, 3)])
        self.control("DELETE", "seen")
        self.assertEqual(self.control("GET", "seen"), [])

    def test_gates_tags_and_made_blobs(self):
        made = self.control("POST", "blobs?size=100000&seed=7")
        self.assertEqual(made["digest"], digest_of(noise(100_000, "7")))
        rule = {"containing": "/blobs/", "quirks": [{"stall": {"after": 1000, "gate": "here"}}]}
        self.control("POST", "rules", json.dumps(rule).encode())
        crowd = Crowd([lambda on_bytes: self.client.get(f"/v2/x/blobs/{made['digest']}", on_bytes=on_bytes)])
        crowd.wait_for(1000)
        self.control("POST", "gates/here")
        self.assertEqual(crowd.wait_ended()[0].digest, made["digest"])
        self.control("DELETE", "rules")
        self.control("POST", "tags", json.dumps({"repository": "x", "tag": "latest", "digest": made["digest"]}).encode())
        self.assertEqual(self.client.head("/v2/x/manifests/latest").header("Docker-Content-Digest"), made["digest"])

    def test_a_wrong_script_is_told(self):
        for body in (b'{"quirks": [{"nothing": {}}]}', b'{"quirks": [{"cut": {"at": 1}}]}', b'{}', b'no json'):
            self.assertIn("error", self.control("POST", "rules", body, status=400))
        self.control("POST", "nothing", status=400)

    def test_it_ends_with_its_standard_input(self):
        self.process.stdin.close()
        self.assertEqual(self.process.wait(30), 0)
