"""A real docker daemon with everything of its own: data, state, socket, containerd. It shares nothing with a daemon that
the system may run. Needs root, overlayfs or patience (vfs), and cgroups for running containers."""

import json
import os
import pathlib
import re
import shutil
import signal

from . import paths, wait
from .own_etc import OwnEtc
from .process import Process, run

# Debian's own, even where another docker comes first in the PATH.
_CLI = "/usr/bin/docker"


def why_not() -> str:
    """Why no daemon can run here; "" when one can."""
    if os.geteuid() != 0:
        return "a docker daemon needs root"
    missing = [name for name in ("dockerd", "containerd", "runc") if not shutil.which(name)]
    return f"{', '.join(missing)} not installed" if missing else ""


class Dockerd:
    """Empty at the start. `mirror` is what --registry-mirror gets; `etc` is the /etc that it sees."""

    def __init__(self, folder: pathlib.Path, log: pathlib.Path, mirror: str | None, etc: OwnEtc | None = None):
        folder.mkdir(parents=True)
        self._folder = folder
        self._socket = folder / "docker.sock"
        self._log = log
        (folder / "daemon.json").write_text("{}")
        if _writes_a_key():  # to /etc/docker, which is not ours
            (folder / "daemon.json").write_text(json.dumps({"deprecated-key-path": str(folder / "key.json")}))
        command = ["dockerd", "--config-file", folder / "daemon.json", "--data-root", folder / "data",
                   "--exec-root", folder / "exec", "--pidfile", folder / "docker.pid", "-H", f"unix://{self._socket}",
                   "--iptables=false", "--ip6tables=false", "--ip-masq=false", "--ip-forward=false", "--bridge=none"]
        if mirror:
            command += ["--registry-mirror", mirror]
        # Whatever does not go to loopback ends at a closed port: a pull that misses its mirror must not find the internet.
        nowhere = "http://127.0.0.1:9"
        self._process = Process(etc.command(command) if etc else command, log, env={
            "HTTP_PROXY": nowhere, "HTTPS_PROXY": nowhere, "NO_PROXY": "127.0.0.0/8,192.0.2.0/24,localhost,.test"})
        try:
            wait.until(self._is_up, f"dockerd to be up ({log})", 60)
        except AssertionError:
            self.stop()
            raise

    def _is_up(self) -> bool:
        if self._process.exit_code() is not None:
            raise AssertionError(f"dockerd ended: {self._process.text()[-3000:]}")
        return self._socket.exists() and "Server Version" in self.docker("info", check=False)

    def docker(self, *arguments, check: bool = True) -> str:
        """Runs the docker command line against this daemon."""
        environment = {"DOCKER_CONFIG": str(self._folder / "config"), "DOCKER_HOST": "", "DOCKER_CONTEXT": ""}
        return run([_CLI, "-H", f"unix://{self._socket}", *arguments], env=environment,
                   seconds=paths.patience(300), check=check)

    def pull(self, reference: str) -> str:
        """Pulls; returns the digest that docker says it pulled."""
        output = self.docker("pull", reference)
        for line in output.splitlines():
            if line.startswith("Digest: "):
                return line.removeprefix("Digest: ").strip()
        raise AssertionError(f"docker pull printed no digest:\n{output}")

    def fetch_by_containerd(self, reference: str, mirror: str, overrides_path: bool) -> set[str]:
        """Fetches every platform's content by containerd's ctr and a hosts directory; the digests that it has then. What it
        had before is forgotten first."""
        registry = reference.split("/")[0]
        hosts = self._folder / "hosts" / registry
        hosts.mkdir(parents=True, exist_ok=True)
        (hosts / "hosts.toml").write_text(f'server = "http://127.0.0.1:9"\n[host."{mirror}"]\ncapabilities = ["pull", "resolve"]\n'
                                          + ("override_path = true\n" if overrides_path else ""))
        ctr = ["ctr", "--address", self._folder / "exec/containerd/containerd.sock", "--namespace", "test"]
        before = run([*ctr, "content", "ls", "-q"]).split()
        if before:
            run([*ctr, "content", "rm", *before])
        run([*ctr, "content", "fetch", "--all-platforms", "--hosts-dir", hosts.parent, reference], seconds=paths.patience(120))
        return set(run([*ctr, "content", "ls", "-q"]).split())

    def forget(self):
        """Every image."""
        images = self.docker("images", "--quiet", "--no-trunc").split()
        if images:
            self.docker("rmi", "--force", *set(images))

    def inspect(self, reference: str) -> dict:
        return json.loads(self.docker("image", "inspect", reference))[0]

    def run_container(self, reference: str, *command: str) -> str:
        """Runs a command in a container without a network and returns what it printed."""
        return self.docker("run", "--rm", "--network", "none", reference, *command).strip()

    def stop(self):
        self._process.stop(30)
        self._stop_containerd()
        for mount in reversed(_mounts_below(self._folder)):
            run(["umount", "-l", mount], check=False)
        shutil.rmtree(self._folder, ignore_errors=True)

    def _stop_containerd(self):
        """dockerd ends the containerd that it started; this is for when dockerd had to be killed."""
        pid_file = self._folder / "exec/containerd/containerd.pid"
        if not pid_file.exists():
            return
        pid = int(pid_file.read_text())
        command_line = pathlib.Path(f"/proc/{pid}/cmdline")
        if command_line.exists() and str(self._folder) in command_line.read_text():
            os.kill(pid, signal.SIGKILL)
            wait.until(lambda: not command_line.exists() or not command_line.read_text(), "containerd to end")


def _writes_a_key() -> bool:
    """Docker up to 23 keeps a key beside the system's configuration; later ones refuse the setting for it."""
    version = re.search(r"version (\d+)\.", run(["dockerd", "--version"]))
    return version is not None and int(version.group(1)) <= 23


def _mounts_below(folder: pathlib.Path) -> list[str]:
    mounts = [line.split()[4] for line in pathlib.Path("/proc/self/mountinfo").read_text().splitlines()]
    return [mount for mount in mounts if mount.startswith(f"{folder}/")]
