"""skopeo as a client: containers/image, the library of podman, buildah and CRI-O."""

import hashlib
import json
import pathlib

from .process import run


def copy(source: str, to: pathlib.Path, *, mirror: str | None = None, everything: bool = True,
         authorities: pathlib.Path | None = None) -> dict[str, int]:
    """Pulls `source` ("127.0.0.1:5000/library/house:latest") into an OCI layout at `to`, every platform of it unless told
    otherwise. With `mirror`, docker.io is asked there; with `authorities`, a folder of certificates, over verified TLS. Returns
    the digests and sizes that arrived."""
    to.parent.mkdir(parents=True, exist_ok=True)
    command = [*_with_mirror(to.parent / f"{to.name}-registries.conf", mirror), "copy", "--quiet", "--src-no-creds"]
    if authorities:
        command += ["--src-cert-dir", authorities]
    elif not mirror:
        command += ["--src-tls-verify=false"]
    command += ["--all", "--preserve-digests"] if everything else []
    run([*command, f"docker://{source}", f"oci:{to}:pulled"])
    return contents(to)


class Skopeo:
    """As a client that pulls through a mirror, every platform and byte for byte."""

    def __init__(self, folder: pathlib.Path, mirror: str):
        folder.mkdir(parents=True)
        self._folder, self._mirror, self._pulls = folder, mirror, 0

    def pull(self, reference: str) -> str:
        """The digest of what it got."""
        self._pulls += 1
        to = self._folder / str(self._pulls)
        run([*_with_mirror(self._folder / "registries.conf", self._mirror), "copy", "--quiet", "--src-no-creds", "--all",
             f"docker://{reference}", f"dir:{to}"])
        return "sha256:" + hashlib.sha256((to / "manifest.json").read_bytes()).hexdigest()

    def forget(self):
        """It remembers nothing."""


def _with_mirror(configuration: pathlib.Path, mirror: str | None) -> list:
    # Our own configuration even without a mirror: the system's may rewrite names.
    configuration.write_text("" if not mirror else (
        '[[registry]]\nprefix = "docker.io"\nlocation = "docker.io"\n'
        f'[[registry.mirror]]\nlocation = "{mirror}"\ninsecure = true\n'))
    return ["skopeo", "--insecure-policy", "--registries-conf", configuration, "--override-os", "linux",
            "--override-arch", "amd64"]


def contents(layout: pathlib.Path) -> dict[str, int]:
    return {f"sha256:{path.name}": path.stat().st_size for path in (layout / "blobs/sha256").iterdir()}


def root_digest(layout: pathlib.Path) -> str:
    return json.loads((layout / "index.json").read_bytes())["manifests"][0]["digest"]
