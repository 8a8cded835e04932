"""/etc as one program shall see it: the system's, with files of the test's own on top. Needs root: overlayfs in a mount
namespace that ends with the program."""

import pathlib

_SCRIPT = """
mount -t tmpfs none "$1"
mkdir "$1/upper" "$1/work"
cp -a "$2/." "$1/upper"
mount -t overlay none -o "lowerdir=/etc,upperdir=$1/upper,workdir=$1/work" /etc
shift 2
exec "$@"
"""


class OwnEtc:
    def __init__(self, folder: pathlib.Path):
        self._files, self._mount = folder / "files", folder / "mount"
        self._files.mkdir(parents=True)
        self._mount.mkdir()

    def write(self, path: str, text: str):
        """`path` is below /etc. For programs that start later."""
        file = self._files / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def trust(self, address: str, ca_file: pathlib.Path):
        """docker's and containers' certs.d: that authority for that host:port."""
        for folder in ("docker", "containers"):
            self.write(f"{folder}/certs.d/{address}/ca.crt", ca_file.read_text())

    def command(self, command) -> list:
        return ["unshare", "--mount", "--propagation", "private", "sh", "-ec", _SCRIPT, "sh", self._mount, self._files, *command]
