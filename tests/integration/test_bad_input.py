"""The catalogue of bad inputs (bad_input/): every row whole, byte by byte and in random pieces, and thousands of variations.

After each the server answers others as before; what is refused makes no request upstream; its memory does not grow."""

import collections
import concurrent.futures
import os
import random
import re
import socket
import struct
import time

import bad_input.manifests
import bad_input.names
import bad_input.requests
from bad_input.row import Row
from harness import answers, case, disk, paths, quirks, raw, wait

SEED = int(os.environ.get("ENTREPOT_TEST_SEED", "1"))
INPUTS = int(os.environ.get("ENTREPOT_TEST_INPUTS", "10000"))
MIB = 1 << 20


class BadInputCase(case.TestCase):
    def setUp(self):
        super().setUp()
        self.random = random.Random(SEED)
        self.upstream = self.make_upstream()
        self.upstream.tag("library/hut", self.store.image("hut"))
        self.entrepot = self.make_entrepot({**self.hub(self.upstream.url), "tag_ttl": "1h"}, log__level="info")
        self.blob = self.content.make(300_000, "bad input")
        self.small = self.content.make(5000, "small")
        client = self.entrepot.client()
        for _ in range(2):
            self.assertEqual(client.get("/v2/library/hut/manifests/latest").status, 200)
            for blob in (self.blob, self.small):
                self.assertEqual(client.get(self.path_of(blob)).status, 200)
                self.entrepot.wait_committed([blob.digest])
        self.assertEqual(client.get("/v2/library/hut/tags/list").status, 200)
        self.alive = raw.pieces(b"GET /v2/library/hut/manifests/latest HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", "whole", self.random)

    def path_of(self, blob) -> str:
        return f"/v2/library/hut/blobs/{blob.digest}"

    def rows(self) -> list[Row]:
        rows = [*bad_input.requests.ROWS, *bad_input.names.ROWS]
        for blob in (self.blob, self.small):
            rows += bad_input.names.ranges(self.path_of(blob).encode(), blob.size)
        return rows

    def expect_alive(self):
        self.assertEqual(raw.talk(self.entrepot.port, self.alive).answers(), [200])


@case.short
class CatalogueTest(BadInputCase):
    def check(self, row: Row, how: str):
        methods = [line.split(b" ")[0] for line in re.findall(rb"(?m)^[A-Z]+ /\S* HTTP/1", row.sent)]

        def is_over(received):
            if row.closes:
                return False
            try:
                return len(raw.Talk(bytes(received), False).answers(methods)) >= len(row.statuses)
            except AssertionError:
                return False

        before = len(self.upstream.seen())
        talk = raw.talk(self.entrepot.port, raw.pieces(row.sent, how, self.random), is_over=is_over, ends_by=row.ends_by)
        statuses = talk.answers(methods)
        self.assertEqual(len(statuses), len(row.statuses), talk.received[:500])
        for status, allowed in zip(statuses, row.statuses):
            self.assertIn(status, allowed, talk.received[:500])
        self.assertTrue(talk.ended or not row.closes)
        self.assertIn(row.holds, talk.received)
        if row.lacks:
            self.assertNotIn(row.lacks, talk.received)
        if not row.may_fetch:
            self.assertEqual([seen.target for seen in self.upstream.seen()[before:]], [])

    def test_every_row(self):
        rows = self.rows()
        memory = disk.anonymous_memory(self.entrepot.pid)
        for row in rows:
            for how in ("whole", "bytes", "random"):
                with self.subTest(row.id, how=how):
                    self.check(row, how)
            self.expect_alive()
        grown = disk.anonymous_memory(self.entrepot.pid) - memory
        print(f"{len(rows)} rows, each in three ways; memory grew by {grown / MIB:.1f} MiB", end=" ... ")
        if not paths.is_sanitized():
            self.assertLess(grown, 8 * MIB)


@case.short
class ConnectionsTest(BadInputCase):
    """Rows that are no bytes, or more than one request."""

    def test_ia02_who_comes_and_goes_is_not_worth_a_line(self):
        before = self.entrepot.log()
        for number in range(200):
            with socket.create_connection(("127.0.0.1", self.entrepot.port)) as connection:
                if number % 2:
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.expect_alive()
        wait.until(lambda: self.entrepot.metric("entrepot_http_connections") <= 1, "the connections to be gone")
        said = [line for line in self.entrepot.log()[len(before):].splitlines() if " answered " not in line]
        self.assertEqual(said, [])

    def test_ia01_who_says_nothing_is_not_waited_for(self):
        with socket.create_connection(("127.0.0.1", self.entrepot.port), timeout=paths.patience(60)) as connection:
            self.assertEqual(connection.recv(1), b"")

    def test_e19_tags_differ_by_case(self):
        self.upstream.tag("library/hut", self.store.image("house"), "Latest")
        for _ in range(2):
            for tag, image in (("Latest", "house"), ("latest", "hut")):
                self.assertEqual(self.entrepot.client().get(f"/v2/library/hut/manifests/{tag}").digest, self.store.image(image).root.digest)

    def test_e25_e33_one_object_whatever_its_name(self):
        encoded = self.path_of(self.blob).replace(":", "%3A")
        for target in (encoded, self.path_of(self.blob).replace("library/hut", "hut"), "/v2/hut/manifests/latest"):
            before = len(self.upstream.seen())
            self.assertEqual(self.entrepot.client().get(target).cache_status, "entrepot; hit")
            self.assertEqual(len(self.upstream.seen()), before, target)

    def test_d14_d35_bodies_on_the_admin_listener(self):
        """Nothing there takes a body: one is known whatever its name's case, and not read; a packed one is not unpacked."""
        for field, status in ((b"Transfer-encoding: Chunked", 405), (b"Content-Encoding: gzip\r\nContent-Length: 1000000000", 415),
                              (b"Content-Encoding: gzip\r\nTransfer-Encoding: chunked", 415)):
            port = int(self.entrepot.addresses["admin"].rsplit(":", 1)[1])
            sent = b"POST /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\n" + field + b"\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
            talk = raw.talk(port, raw.pieces(sent, "random", self.random), ends_by="fin")
            self.assertEqual((talk.answers(), talk.ended), ([status], True), field)

    def test_e34_one_name_under_two_upstreams(self):
        quay = self.make_upstream()
        quay.tag("library/hut", self.store.image("house"))
        entrepot = self.make_entrepot(self.hub(self.upstream.url), {"name": "quay.io", "url": quay.url, "allow_private": ["127.0.0.0/8"]},
                                      name="two")
        for _ in range(3):
            for target, image in (("library/hut/manifests/latest", "hut"), ("quay.io/library/hut/manifests/latest", "house"),
                                  ("library/hut/manifests/latest?ns=quay.io", "house"), ("library/hut/manifests/latest?ns=docker.io", "hut")):
                self.assertEqual(entrepot.client().get(f"/v2/{target}").digest, self.store.image(image).root.digest, target)

    def test_d30_what_comes_after_the_last_answer(self):
        talk = raw.talk(self.entrepot.port, [self.alive[0], b"GET /v2/library/hut/manifests/other HTTP/1.1\r\nHost: a\r\n\r\n" * 1000])
        self.assertEqual((talk.answers(), talk.ended), ([200], True))
        self.assertEqual([seen.target for seen in self.upstream.seen() if "other" in seen.target], [])

    def test_e26_the_empty_blob(self):
        empty = self.content.add(b"")
        for _ in range(3):
            reply = self.entrepot.client().get(self.path_of(empty))
            self.assertEqual((reply.status, reply.header("Content-Length"), reply.digest), (200, "0", empty.digest))
            self.entrepot.wait_committed([empty.digest])


class MissingNamesTest(case.OneUpstream):
    """E39: who asks for names that do not exist."""
    # As in proxy/pull/miss_limit.h.
    BURST, PER_SECOND, AT_ONCE = 1000, 20, 8

    def setUp(self):
        super().setUp()
        self.upstream.tag("library/hut", self.store.image("hut"))
        self.assertEqual(self.client.get("/v2/library/hut/manifests/latest").status, 200)

    def asked(self) -> int:
        return sum(seen.target.find("missing") > 0 for seen in self.upstream.seen())

    def ask_for(self, names: list[str]) -> dict[int, int]:
        """How often which status came, of one client with some connections."""
        statuses: collections.Counter = collections.Counter()

        def ask(some: list[str]):
            client = self.entrepot.client(keep=True, source="127.0.0.2")
            return [client.get(name) for name in some]

        with concurrent.futures.ThreadPoolExecutor(self.AT_ONCE) as pool:
            for replies in pool.map(ask, [names[i::self.AT_ONCE] for i in range(self.AT_ONCE)]):
                for reply in replies:
                    statuses[reply.status] += 1
                    if reply.status == 429:
                        self.assertEqual(reply.json()["errors"][0]["code"], "TOOMANYREQUESTS")
                        self.assertRegex(reply.header("Retry-After"), r"^[1-9]\d*$")
        return dict(statuses)

    def test_ten_thousand_in_a_minute(self):
        begun = time.monotonic()
        memory = disk.anonymous_memory(self.entrepot.pid)
        names = [f"/v2/library/missing-{i}/manifests/latest" if i % 2 else f"/v2/library/hut/manifests/missing-{i}" for i in range(10_000)]
        names += [f"/v2/library/missing-{i}/tags/list" for i in range(100)]
        statuses = self.ask_for(names)
        asked, seconds = self.asked(), time.monotonic() - begun
        grown = disk.anonymous_memory(self.entrepot.pid) - memory
        print(f"{len(names)} names, {asked} requests upstream, answers {statuses}, memory grew by {grown / MIB:.1f} MiB", end=" ... ")
        self.assertEqual(set(statuses), {404, 429})
        self.assertEqual(asked, statuses[404])
        self.assertGreaterEqual(asked, self.BURST // 2)  # each loop counts its share, and names fall unevenly
        self.assertLessEqual(asked, self.BURST + self.PER_SECOND * (seconds + 1) + self.AT_ONCE)
        if not paths.is_sanitized():
            self.assertLess(grown, 16 * MIB)
        # The cache is not held back, nor is anybody else.
        held_back = self.entrepot.client(source="127.0.0.2")
        self.assertEqual(held_back.get("/v2/library/hut/manifests/latest").status, 200)
        self.assertEqual(self.client.get("/v2/library/missing-for-another/manifests/latest").status, 404)

    @case.short
    def test_one_is_asked_for_once_in_its_time(self):
        entrepot = self.make_entrepot(self.hub(self.upstream.url, negative_ttl="1h"), name="negative")
        for target in ("/v2/library/missing/manifests/latest", "/v2/library/hut/manifests/missing"):
            before = self.asked()
            for _ in range(5):
                self.assertEqual(entrepot.client().get(target).status, 404)
            self.assertEqual(self.asked() - before, 1)
        entrepot = self.make_entrepot(self.hub(self.upstream.url, negative_ttl="0s"), name="never")
        before = self.asked()
        for _ in range(5):
            self.assertEqual(entrepot.client().get("/v2/library/hut/manifests/missing").status, 404)
        self.assertEqual(self.asked() - before, 5)
        self.upstream.tag("library/hut", self.store.image("hut"), "missing")
        self.assertEqual(entrepot.client().get("/v2/library/hut/manifests/missing").status, 200)


class VariationsTest(BadInputCase):
    """Seeded: ENTREPOT_TEST_SEED, and ENTREPOT_TEST_INPUTS how many."""
    NASTY = [b"\r", b"\n", b"\r\n", b"\r\n\r\n", b"\x00", b" ", b"\t", b":", b",", b";", b"%", b"%00", b"%2f", b"/", b"..", b"\xff", b"\x80",
             b"0", b"-1", b"9" * 20, b"chunked", b"Content-Length: 5\r\n", b"Transfer-Encoding: chunked\r\n", b"Host: evil.test\r\n", b"HTTP/1.1",
             b"GET ", b"HEAD ", b"?ns=evil.test", b"?n=1", b"bytes=", b"Range: bytes=0-1\r\n"]
    STATUSES = {200, 206, 304, 308, 400, 404, 405, 408, 414, 416, 417, 421, 429, 431, 501, 505}
    SAFE = re.compile(r"/v2/(?:[a-z0-9._/-]+/(?:manifests|blobs|tags|referrers)/[A-Za-z0-9._:-]+(?:\?[A-Za-z0-9=&._%:/+-]*)?)?$")

    def vary(self, data: bytes, others: list[bytes], random_: random.Random) -> bytes:
        for _ in range(random_.randint(1, 4)):
            at = random_.randrange(len(data) + 1)
            kind = random_.randrange(6)
            end = min(len(data), at + int(random_.paretovariate(1)))
            if kind == 0:
                data = data[:at] + random_.choice(self.NASTY) + data[at:]
            elif kind == 1:
                data = data[:at] + data[end:]
            elif kind == 2:
                data = data[:at] + bytes([random_.randrange(256)]) + data[at + 1:]
            elif kind == 3:
                data = data[:end] + data[at:]
            elif kind == 4:
                data = data[:at] + random_.choice(self.NASTY) + data[end:]
            else:
                other = random_.choice(others)
                data = data[:at] + other[random_.randrange(len(other) + 1):]
        return data

    def say(self, number: int, rows: list[bytes]) -> str:
        """"" or what is wrong."""
        random_ = random.Random(SEED * 1_000_003 + number)
        data = self.vary(random_.choice(rows), rows, random_)
        how = random_.choice(("whole", "whole", "random"))
        try:
            talk = raw.talk(self.entrepot.port, raw.pieces(data, how, random_), ends_by="fin")
            # Where a HEAD may have been among them, bodies can't be told from what follows.
            if b"HEAD" not in data:
                statuses = talk.answers()
                if not set(statuses) <= self.STATUSES:
                    return f"{number}: {statuses} for {data[:500]!r}"
        except AssertionError as error:
            return f"{number}: {error} for {data[:500]!r}"
        return ""

    def run_inputs(self, count: int):
        rows = [row.sent for row in self.rows() if len(row.sent) <= 4096]
        memory = disk.anonymous_memory(self.entrepot.pid)
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            wrong = [said for said in pool.map(lambda number: self.say(number, rows), range(count)) if said]
        self.assertEqual(wrong[:5], [], f"{len(wrong)} of {count}")
        self.expect_alive()
        strange = [seen.target for seen in self.upstream.seen() if not self.SAFE.match(seen.target) or seen.method not in ("GET", "HEAD")]
        self.assertEqual(strange, [])
        self.assertEqual([seen.header("Host") for seen in self.upstream.seen() if "evil" in (seen.header("Host") or "")], [])
        grown = disk.anonymous_memory(self.entrepot.pid) - memory
        print(f"{count} inputs from seed {SEED}, {len(self.upstream.seen())} requests upstream, memory grew by {grown / MIB:.1f} MiB", end=" ... ")
        if not paths.is_sanitized():
            self.assertLess(grown, 24 * MIB)

    def test_many(self):
        self.run_inputs(INPUTS)

    @case.short
    def test_some(self):
        self.run_inputs(min(INPUTS, 1000))


@case.short
class ManifestsTest(case.OneUpstream):
    """Section M. What is refused is never served, nor kept; what is served is byte for byte what the upstream gave."""

    def check(self, row, blob):
        for _ in range(2):
            reply = self.client.get(f"/v2/library/m/manifests/{blob.digest}")
            self.assertIn(reply.status, (200, 502) if row.or_good else (200,) if row.is_good else (502,), reply.body[:300])
            if reply.status == 200:
                self.assertEqual((reply.digest, reply.header("Content-Type")), (blob.digest, row.served_as or row.media_type))
            else:
                self.assertEqual(reply.json()["errors"][0]["code"], row.code)
                self.assertEqual(self.entrepot.state(blob.digest), "absent")

    def test_every_manifest(self):
        memory = disk.anonymous_memory(self.entrepot.pid)
        for row in bad_input.manifests.ROWS:
            with self.subTest(row.id):
                self.check(row, self.content.add(row.body, row.media_type))
        self.assertEqual(self.client.get("/v2/").status, 200)
        grown = disk.anonymous_memory(self.entrepot.pid) - memory
        print(f"{len(bad_input.manifests.ROWS)} manifests, memory grew by {grown / MIB:.1f} MiB", end=" ... ")
        if not paths.is_sanitized():
            # The bound for a whole process is 48 MiB, and 64 MiB of manifests.
            self.assertLess(grown, 112 * MIB)

    def test_a_circle_of_indexes_is_walked_once(self):
        """M12, as near as hashes allow: an index whose child is not what its digest says."""
        inner = self.content.add(bad_input.manifests.text(bad_input.manifests.index([])), bad_input.manifests.OCI_INDEX)
        outer = bad_input.manifests.index([bad_input.manifests.descriptor(inner.digest, inner.size, bad_input.manifests.OCI_INDEX)] * 3)
        blob = self.content.add(bad_input.manifests.text(outer), bad_input.manifests.OCI_INDEX)
        for digest in (blob.digest, inner.digest):
            self.assertEqual(self.client.get(f"/v2/library/m/manifests/{digest}").digest, digest)

    def test_error_bodies_are_not_passed_on(self):
        """M25."""
        for number, body in enumerate((b'{"errors":"x"}', b"<html>canary</html>", b"x" * MIB, b'{"errors":[{"code":"canary","message":"canary"}]}')):
            self.upstream.on("GET", "/manifests/", quirks.instead(lambda body=body: answers.with_body(500, "application/json", body)))
            reply = self.client.get(f"/v2/library/m/manifests/sha256:{number:064x}")
            self.assertEqual(reply.status, 502)
            self.assertNotIn(b"canary", reply.body)
            self.upstream.behave()
