"""podman and buildah as clients, each with a store of its own and with an /etc/containers of the test's. Needs root."""

import json
import pathlib

from . import paths
from .own_etc import OwnEtc
from .process import run

_NOWHERE = "http://127.0.0.1:9"   # whoever misses the mirror must not find the internet


class Containers:
    """`program` is "podman" or "buildah"; `mirrors` maps a registry to the place that is asked instead."""

    def __init__(self, program: str, folder: pathlib.Path, mirrors: dict[str, str], etc: OwnEtc | None = None, insecure: bool = True):
        self._program, self._folder = program, folder
        self._etc = etc or OwnEtc(folder / "etc")
        self._etc.write("containers/policy.json", json.dumps({"default": [{"type": "insecureAcceptAnything"}]}))
        self._etc.write("containers/registries.conf", "".join(
            f'[[registry]]\nprefix = "{registry}"\nlocation = "{registry}"\n'
            f'[[registry.mirror]]\nlocation = "{mirror}"\ninsecure = {str(insecure).lower()}\n'
            for registry, mirror in mirrors.items()))

    def _run(self, *arguments: str) -> str:
        command = [self._program, "--root", self._folder / "root", "--runroot", self._folder / "run", "--storage-driver", "vfs"]
        proxies = {"HTTP_PROXY": _NOWHERE, "HTTPS_PROXY": _NOWHERE, "NO_PROXY": "127.0.0.0/8,192.0.2.0/24,localhost,.test",
                   "XDG_RUNTIME_DIR": "", "CONTAINERS_REGISTRIES_CONF": ""}
        return run(self._etc.command([*command, *arguments]), env=proxies, seconds=paths.patience(300))

    def pull(self, reference: str) -> set[str]:
        """The manifest digests that it says it has of it then."""
        self._run("pull", "--quiet", reference)
        if self._program == "buildah":
            inspected = json.loads(self._run("inspect", "--type", "image", reference))
            return {inspected["FromImageDigest"]}
        inspected = json.loads(self._run("image", "inspect", reference))[0]
        return {digest.split("@")[1] for digest in inspected["RepoDigests"]}

    def forget(self):
        """Everything, so that the next pull begins with nothing."""
        self._run("rmi", "--all", "--force")
