"""The base of all integration tests: makes the parts, and ends and checks them in the right order."""

import os
import pathlib
import shutil
import tempfile
import threading
import unittest

from . import disk, dockerd, image, paths, registry, tokens, upstream
from .certificates import Authority, Certificate
from .containers import Containers
from .content import Content
from .disk_faults import DiskFaults
from .entrepot import Entrepot
from .ext4 import Ext4
from .own_etc import OwnEtc
from .own_network import OwnNetwork


def short(test):
    """Marks a test (or a class) for the short run that the sanitizer builds get."""
    test.is_short = True
    return test


class TestCase(unittest.TestCase):
    maxDiff = None

    def setUp(self):
        self.log_folder = paths.LOGS / self.id()
        shutil.rmtree(self.log_folder, ignore_errors=True)
        self.log_folder.mkdir(parents=True)
        paths.SCRATCH.mkdir(parents=True, exist_ok=True)
        self.scratch = pathlib.Path(tempfile.mkdtemp(prefix="entrepot-", dir=paths.SCRATCH))
        self.addCleanup(shutil.rmtree, self.scratch, ignore_errors=True)
        self.store = image.store()
        self.content = Content(self.store)
        self.addCleanup(self.content.clear)
        self._authority: Authority | None = None

    # -- parts; each ends with the test

    @property
    def authority(self) -> Authority:
        if not self._authority:
            self._authority = Authority(self.scratch / "authority")
        return self._authority

    def make_registry(self, name: str = "registry", **options) -> registry.Registry:
        """docker-registry on the store with the test images."""
        made = registry.Registry(self.store.registry_root, self.log_folder / f"{name}.log", **options)
        self.addCleanup(made.stop)
        return made

    def make_upstream(self, **options) -> upstream.ScriptedUpstream:
        return self._serve(upstream.ScriptedUpstream(self.content, **options))

    def make_storage(self, **options) -> upstream.Storage:
        storage = self._serve(upstream.Storage(self.content, **options))
        self.addCleanup(lambda: self.assertEqual(storage.leaked, [], "credentials reached the storage host"))
        return storage

    def make_tokens(self, **options) -> tokens.TokenService:
        return self._serve(tokens.TokenService(**options))

    def _serve(self, server):
        self.addCleanup(lambda: self.assertEqual(server.failures, [], "the scripted server itself failed"))
        self.addCleanup(server.stop)
        return server

    def make_entrepot(self, *upstreams: dict, name: str = "entrepot", tls: Certificate | None = None,
                      environment: dict | None = None, etc: OwnEtc | None = None, under: tuple[str, ...] = (), **settings) -> Entrepot:
        """entrepot in front of the upstreams. In settings, `server__threads=2` is the key server.threads."""
        keys = {key.replace("__", "."): value for key, value in settings.items()}
        if tls:
            keys |= {"server.tls.certificate": str(tls.certificate), "server.tls.key": str(tls.key)}
        folder = self.scratch / name
        folder.mkdir()
        made = Entrepot(folder, self.log_folder / f"{name}.log", list(upstreams), keys, self.content,
                        self.authority.ca_file if tls else None, environment, etc, under)
        self.addCleanup(made.finish)
        return made

    def need_docker(self):
        """Docker, podman, and networks and mounts of their own: what only root can have."""
        why_not = dockerd.why_not()
        if not why_not:
            return
        # Only where a person said that it may be missing: a test that is silently not run proves nothing.
        if os.environ.get("ENTREPOT_WITHOUT_DOCKER"):
            self.skipTest(why_not)
        self.fail(f"{why_not}; ENTREPOT_WITHOUT_DOCKER=1 leaves these tests out")

    def make_dockerd(self, mirror: str | None, name: str = "dockerd", etc: OwnEtc | None = None) -> dockerd.Dockerd:
        self.need_docker()
        made = dockerd.Dockerd(self.scratch / name, self.log_folder / f"{name}.log", mirror, etc)
        self.addCleanup(made.stop)
        return made

    def make_containers(self, program: str, mirrors: dict[str, str], name: str = "", **options) -> Containers:
        """podman or buildah."""
        self.need_docker()
        return Containers(program, self.scratch / (name or program), mirrors, **options)

    def make_network(self) -> OwnNetwork:
        """From now on everything happens in there."""
        self.need_docker()
        made = OwnNetwork()
        self.addCleanup(made.leave)
        return made

    def make_disk_faults(self, root: pathlib.Path) -> DiskFaults:
        """A disk below `root` that fails on command: for programs that are started with its `environment`."""
        return DiskFaults(self.scratch / "disk-faults", root)

    def make_ext4(self, mib: int, inodes: int | None = None) -> Ext4:
        """A small file system. Programs that start from now on see it, others do not."""
        why_not = disk.why_no_mount()
        if why_not and os.environ.get("ENTREPOT_WITHOUT_MOUNT"):
            self.skipTest(why_not)
        if why_not:
            self.fail(f"{why_not}; ENTREPOT_WITHOUT_MOUNT=1 leaves these tests out")
        made = Ext4(self.scratch / "ext4", mib, inodes)
        self.addCleanup(made.close)
        return made

    def make_gate(self) -> threading.Event:
        """For quirks that wait. Open at the end of the test, whatever happens."""
        gate = threading.Event()
        self.addCleanup(gate.set)
        return gate

    # -- what many tests say

    def hub(self, address_or_url: str, **more) -> dict:
        """The table of an upstream that stands in for Docker Hub."""
        return {"name": "docker.io", "url": address_or_url, "default": True, "allow_private": ["127.0.0.0/8"], **more}

    def pull_everything(self, client, repository: str, the_image: image.Image):
        """What a client asks for: the tag, the manifest, every blob. Checks every byte."""
        by_tag = client.get(f"/v2/{repository}/manifests/{the_image.tag}")
        self.assertEqual((by_tag.status, by_tag.digest), (200, the_image.root.digest), by_tag.body)
        replies = [by_tag]
        for manifest in the_image.manifests:
            replies.append(client.get(f"/v2/{repository}/manifests/{manifest.digest}"))
            self.assertEqual((replies[-1].status, replies[-1].digest), (200, manifest.digest), replies[-1].body)
        for blob in the_image.blobs:
            replies.append(client.get(f"/v2/{repository}/blobs/{blob.digest}"))
            reply = replies[-1]
            self.assertEqual((reply.status, reply.digest, reply.error), (200, blob.digest, ""), reply.headers)
        return replies

    def assert_hit(self, reply):
        self.assertRegex(reply.cache_status, r"^entrepot; *hit\b")

    def assert_miss(self, reply):
        self.assertRegex(reply.cache_status, r"^entrepot; *fwd=")


class OneUpstream(TestCase):
    """Most tests: a scripted upstream that stands in for Docker Hub, entrepot in front of it, and a client."""

    def setUp(self):
        super().setUp()
        self.upstream = self.make_upstream()
        self.entrepot = self.make_entrepot(self.hub(self.upstream.url))
        self.client = self.entrepot.client()
