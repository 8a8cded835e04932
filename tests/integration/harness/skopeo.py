"""skopeo as a client: containers/image, the library of podman, buildah and CRI-O."""

import json
import pathlib

from .process import run


def copy(source: str, to: pathlib.Path, *, mirror: str | None = None, everything: bool = True) -> dict[str, int]:
    """Pulls `source` ("127.0.0.1:5000/library/house:latest") into an OCI layout at `to`, every platform of it unless told
    otherwise. With `mirror`, docker.io is asked there. Returns the digests and sizes that arrived."""
    to.parent.mkdir(parents=True, exist_ok=True)
    # Our own configuration even without a mirror: the system's may rewrite names.
    configuration = to.parent / f"{to.name}-registries.conf"
    configuration.write_text("" if not mirror else (
        '[[registry]]\nprefix = "docker.io"\nlocation = "docker.io"\n'
        f'[[registry.mirror]]\nlocation = "{mirror}"\ninsecure = true\n'))
    command = ["skopeo", "--insecure-policy", "--registries-conf", configuration, "--override-os", "linux",
               "--override-arch", "amd64", "copy", "--quiet", "--src-no-creds"]
    command += ["--src-tls-verify=false"] if not mirror else []
    command += ["--all", "--preserve-digests"] if everything else []
    run([*command, f"docker://{source}", f"oci:{to}:pulled"])
    return contents(to)


def contents(layout: pathlib.Path) -> dict[str, int]:
    return {f"sha256:{path.name}": path.stat().st_size for path in (layout / "blobs/sha256").iterdir()}


def root_digest(layout: pathlib.Path) -> str:
    return json.loads((layout / "index.json").read_bytes())["manifests"][0]["digest"]
