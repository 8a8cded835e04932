"""What a request that is answered from here costs, in instructions of our own (not the kernel's), counted by callgrind: the same on a
busy machine, so that speed cannot rot unseen. docs/benchmarks.md has the times.

A row that has become dearer than its margin allows fails. One that has become cheaper does, too: its figure is to follow.
ENTREPOT_TEST_INSTRUCTIONS=show prints the counts and expects nothing."""

import os
import re
import socket
import subprocess

from harness import case, paths, wait

REQUESTS = 1000
KIB = 1 << 10
# Instructions for one request on a kept connection, and how far off is still the same. How large answers are cut into pieces depends
# on how fast the client reads.
EXPECTED = {
    "blob of 4 KiB": (10_600, 0.10),
    "blob of 1 MiB": (33_600, 0.40),
    "manifest by digest": (10_700, 0.10),
    "manifest by tag": (9_500, 0.10),
    "HEAD of a manifest": (10_750, 0.10),
    "a Range of a blob": (27_000, 0.10),
}


class InstructionsTest(case.TestCase):
    def setUp(self):
        super().setUp()
        upstream = self.make_upstream()
        hut = self.store.image("hut")
        upstream.tag("library/hut", hut)
        small, large = self.content.make(4 * KIB, "small"), self.content.make(KIB * KIB, "large")
        self.profiles = self.scratch / "profile"
        self.proxy = self.make_entrepot(self.hub(upstream.url, tag_ttl="1h"), log__access=False, log__level="info", server__threads=1, under=(
            "valgrind", "--tool=callgrind", "--quiet", f"--callgrind-out-file={self.profiles}"))
        self.rows = {
            "blob of 4 KiB": (f"GET /v2/library/hut/blobs/{small.digest}",),
            "blob of 1 MiB": (f"GET /v2/library/hut/blobs/{large.digest}",),
            "manifest by digest": (f"GET /v2/library/hut/manifests/{hut.root.digest}",),
            "manifest by tag": (f"GET /v2/library/hut/manifests/{hut.tag}",),
            "HEAD of a manifest": (f"HEAD /v2/library/hut/manifests/{hut.root.digest}",),
            "a Range of a blob": (f"GET /v2/library/hut/blobs/{large.digest}", "Range: bytes=1000-8999"),
        }

    def control(self, *arguments: str):
        told = subprocess.run(["callgrind_control", *arguments, str(self.proxy.pid)], capture_output=True, text=True,
                              timeout=paths.patience(120), check=False)
        self.assertEqual(told.returncode, 0, told.stdout + told.stderr)

    def count(self) -> int:
        """What was counted since the last time."""
        for old in self.scratch.glob("profile.*"):
            old.unlink()
        self.control("--dump")
        dump, = self.scratch.glob("profile.*")
        return int(re.search(r"^(?:totals|summary): (\d+)", dump.read_text(), re.MULTILINE).group(1))

    def ask(self, connection, first_line: str, *fields: str) -> bytes:
        """The head of the answer, of which all was read."""
        lines = (f"{first_line} HTTP/1.1", "Host: x", "Accept: */*", *fields, "", "")
        connection.sendall("\r\n".join(lines).encode())
        answer = b""
        while b"\r\n\r\n" not in answer:
            answer += connection.recv(1 << 20)
        head, _, body = answer.partition(b"\r\n\r\n")
        self.assertRegex(head, b"^HTTP/1.1 20[06] ")
        left = 0 if first_line.startswith("HEAD") else int(re.search(rb"(?i)content-length: (\d+)", head).group(1)) - len(body)
        while left > 0:
            left -= len(connection.recv(min(left, 1 << 20)))
        return head

    def test_a_hit_costs_what_it_did(self):
        found = {}
        with socket.create_connection(self.proxy.addresses["data"].rsplit(":", 1)) as connection:
            for name, request in self.rows.items():
                wait.until(lambda r=request: b"entrepot; hit" in self.ask(connection, *r), f"{name} to be a hit")
                for _ in range(10):  # what the first hits keep
                    self.ask(connection, *request)
                self.count()
                for _ in range(REQUESTS):
                    head = self.ask(connection, *request)
                found[name] = self.count() // REQUESTS
                self.assertIn(b"entrepot; hit", head)
        print("\n" + "\n".join(f"{name}: {count} instructions" for name, count in found.items()))
        if os.environ.get("ENTREPOT_TEST_INSTRUCTIONS") == "show":
            return
        for name, (expected, margin) in EXPECTED.items():
            with self.subTest(name):
                self.assertAlmostEqual(found[name], expected, delta=margin * expected)
