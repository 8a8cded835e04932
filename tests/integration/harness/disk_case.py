"""What the tests of disk faults have in common: entrepot on a disk that fails on command, and what must hold in any fault."""

import json

from . import case, wait

MIB = 1 << 20
INDEX = "application/vnd.oci.image.index.v1+json"


class DiskCase(case.TestCase):
    """A test begins with `start`, which gives `entrepot` and `faults`. No test may see a wrong byte or a 5xx."""

    def setUp(self):
        super().setUp()
        self.upstream = self.make_upstream()
        self.hut = self.store.image("hut")
        self.upstream.tag("library/hut", self.hut)

    def start(self, place=None, environment=None, upstream=None, **settings):
        """The cache is `place`/cache. The control socket is elsewhere, where it outlives the disk."""
        place = place or self.scratch
        self.cache = place / "cache"
        self.cache.mkdir(mode=0o700, exist_ok=True)
        self.faults = self.make_disk_faults(self.cache)
        self.addCleanup(self.faults.clear)
        keys = {"cache__directory": str(self.cache), "control__listen": f"unix:{self.scratch}/control.sock",
                "cache__min_free": "0B", "server__threads": 2, **settings}
        self.entrepot = self.make_entrepot(self.hub(self.upstream.url, **(upstream or {})), environment=self.faults.environment | (environment or {}),
                                           **keys)

    def start_on_ext4(self, mib: int, inodes: int | None = None, **settings):
        self.ext4 = self.make_ext4(mib, inodes)
        self.start(self.ext4.mount_point, **settings)

    # -- clients

    def blob(self, size: int, name: str):
        return self.content.make(size, f"{self.id()} {name}")

    def manifest(self, name: str):
        """One that no other test has."""
        document = {"schemaVersion": 2, "mediaType": INDEX, "manifests": [], "annotations": {"name": f"{self.id()} {name}"}}
        return self.content.add(json.dumps(document).encode(), INDEX)

    def target(self, blob) -> str:
        return f"/v2/library/hut/{'manifests' if blob.media_type == INDEX else 'blobs'}/{blob.digest}"

    def get(self, blob, **options):
        reply = self.entrepot.client().get(self.target(blob), **options)
        self.assertLess(reply.status, 500, f"{reply.headers} {reply.body}")
        return reply

    def store_blobs(self, *blobs):
        """Before the fault: they are committed."""
        for blob in blobs:
            self.expect_right(self.get(blob), blob)
        self.entrepot.wait_committed([blob.digest for blob in blobs])
        self.upstream.forget()

    def fetches(self, blob) -> int:
        """How often the upstream was asked for it."""
        return len(self.upstream.seen("GET", blob.digest))

    # -- what must hold

    def expect_right(self, reply, blob):
        self.assertEqual((reply.status, reply.digest, reply.error), (200, blob.digest, ""), reply.headers)

    def expect_right_or_short(self, replies, blob):
        """A stream that a fault has hit may end early; it may not look complete."""
        for reply in replies:
            if reply.complete:
                self.expect_right(reply, blob)

    def expect_hit(self, blob):
        """Served from here, and the upstream is not asked."""
        before = self.fetches(blob)
        reply = self.get(blob)
        self.expect_right(reply, blob)
        self.assert_hit(reply)
        self.assertEqual(self.fetches(blob), before)

    def expect_not_stored(self, blob):
        wait.until(lambda: self.entrepot.state(blob.digest) == "absent", f"{blob.digest} to be absent")
        name = blob.digest.split(":")[1]
        wait.until(lambda: not any(self.cache.rglob(f"*{name}*")), f"the files of {blob.digest} to be gone")

    def expect_alive(self):
        for page in ("/healthz", "/readyz"):
            self.assertEqual(self.entrepot.admin().get(page).status, 200, page)

    def expect_recovery(self, *blobs):
        """The fault is over: without a restart, everything is stored again, what failed (`blobs`) and what is new."""
        self.assertTrue(self.entrepot.is_running, self.entrepot.log()[-3000:])
        new = self.blob(300_000, "after the fault")

        def is_stored(blob):
            self.expect_right(self.get(blob), blob)
            return self.entrepot.state(blob.digest) == "committed"

        for blob in (*blobs, new, self.manifest("after the fault")):
            wait.until(lambda b=blob: is_stored(b), f"{blob.digest} to be stored again", 30, 0.2)
            self.expect_hit(blob)
        self.pull_everything(self.entrepot.client(), "library/hut", self.hut)
        self.entrepot.wait_committed([blob.digest for blob in self.hut.blobs])

    def expect_bitten(self, *rules):
        """The control: the fault did happen."""
        for rule in rules:
            self.assertGreater(rule.happened, 0, rule.line)

    def path(self, digest: str):
        algorithm, hex_digest = digest.split(":")
        return self.cache / "blobs" / algorithm / hex_digest[:2] / hex_digest

    def cache_paths(self, folder: str) -> list[str]:
        return sorted(str(path.relative_to(self.cache)) for path in (self.cache / folder).rglob("*") if not path.is_dir())

