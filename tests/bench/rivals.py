"""The rivals: each a pull-through cache of the upstream, with the best configuration that is still honest for a registry.

All log as little as they can, none logs requests, and each may use all cores. A tag may be answered from the cache for an
hour, so that it does not run out while it is measured; docker-registry asks the upstream for a tag every time and has no
setting for it.
"""

import json
import pathlib
import re
import socket

from harness.certificates import Certificate
from harness.process import Process
from harness.wait import until

from . import load

TAG_TTL = "1h"


class Rival:
    """A server with a cache in `folder`, which need not exist. `start` it, and `stop` it."""
    name: str
    program: str

    def __init__(self, upstream_url: str, folder: pathlib.Path, tls: Certificate | None = None):
        """`tls`: it is spoken to over TLS alone."""
        self._upstream, self._folder, self._tls = upstream_url, folder, tls
        self._process: Process | None = None
        self.address = ""

    def start(self):
        self._folder.mkdir(parents=True)
        (self._folder / "cache").mkdir()
        self._process = Process(self._prepare(), self._folder / "log", env={"HTTP_PROXY": "", "HTTPS_PROXY": ""})
        try:
            until(self._is_ready, f"{self.name} to be ready", seconds=20)
        except AssertionError:
            self.stop()
            raise

    def stop(self):
        if self._process:
            self._process.stop(20)
            self._process = None

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.exit_code() is None

    def log(self) -> str:
        return (self._folder / "log").read_text(errors="replace")

    def says_hit(self, headers) -> bool | None:
        """Whether the answer says that it came from the cache; None when this rival never says."""
        raise NotImplementedError

    def _prepare(self) -> list:
        """Writes its configuration; returns its command."""
        raise NotImplementedError

    def _is_ready(self) -> bool:
        if self._process.exit_code() is not None:
            raise AssertionError(f"{self.name} ended with {self._process.exit_code()}:\n{self.log()[-2000:]}")
        if self._tls and self.address and "://" not in self.address:
            self.address = f"https://{self.address}"
        return bool(self.address) and _answers(self.address)


class Entrepot(Rival):
    name = "entrepot"
    program = "build/release/entrepot"

    def _prepare(self):
        config = self._folder / "entrepot.toml"
        config.write_text(f'[[upstream]]\nname = "docker.io"\nurl = "{self._upstream}"\ntag_ttl = "{TAG_TTL}"\n')
        settings = {"server.listen": ["127.0.0.1:0"], "admin.listen": "127.0.0.1:0", "log.access": False,
                    "cache.directory": str(self._folder / "cache")}
        if self._tls:
            settings |= {"server.tls.certificate": str(self._tls.certificate), "server.tls.key": str(self._tls.key)}
        command = [self.program, "serve", "--config", config]
        for key, value in settings.items():
            command += ["--set", f"{key}={value if isinstance(value, str) else json.dumps(value)}"]
        return command

    def _is_ready(self):
        lines = re.findall(r'\blistening\b.*\baddress="?([^" ]+)"? .*\blistener=(\w+)', self.log())
        found = {listener: address for address, listener in lines}
        self.address, admin = found.get("data", ""), found.get("admin", "")
        return super()._is_ready() and bool(admin) and _answers(admin, "/readyz")

    def says_hit(self, headers):
        return bool(re.match(r"entrepot; *hit", headers.get("Cache-Status") or ""))


class DockerRegistry(Rival):
    name = "docker-registry"
    program = "docker-registry"

    def _prepare(self):
        self.address = _free_address()
        config = self._folder / "registry.yml"
        config.write_text(f"""\
version: 0.1
log:
  level: error
  accesslog:
    disabled: true
storage:
  cache:
    blobdescriptor: inmemory
  filesystem:
    rootdirectory: {self._folder}/cache
    maxthreads: 100
  maintenance:
    uploadpurging:
      enabled: false
http:
  addr: {self.address}
  secret: bench
{self._tls_lines()}proxy:
  remoteurl: {self._upstream}
""")
        return [self.program, "serve", config]

    def _tls_lines(self) -> str:
        return f"  tls:\n    certificate: {self._tls.certificate}\n    key: {self._tls.key}\n" if self._tls else ""

    def says_hit(self, headers):
        return None


class Nginx(Rival):
    name = "nginx"
    program = "nginx"
    sendfile = "on"

    def _prepare(self):
        self.address = _free_address()
        config = self._folder / "nginx.conf"
        template = pathlib.Path(__file__).with_name("nginx.conf").read_text()
        for key, value in {"FOLDER": self._folder, "ADDRESS": self.address, "TAG_TTL": TAG_TTL,
                           "UPSTREAM": self._upstream.split("//")[1], "SENDFILE": self.sendfile, "TLS": self._tls_words(),
                           "TLS_LINES": self._tls_lines()}.items():
            template = template.replace(f"@{key}@", str(value))
        config.write_text(template)
        return [self.program, "-e", self._folder / "log", "-c", config]

    def _tls_words(self) -> str:
        return "ssl" if self._tls else ""

    def _tls_lines(self) -> str:
        return f"ssl_certificate {self._tls.certificate}; ssl_certificate_key {self._tls.key};" if self._tls else ""

    def says_hit(self, headers):
        return headers.get("X-Cache") == "HIT"


class NginxRead(Nginx):
    """Reads blobs too instead of using sendfile: cheaper for small ones, and dearer for large ones."""
    name = "nginx-read"
    sendfile = "off"


USUAL = (Entrepot, DockerRegistry, Nginx)
ALL = (*USUAL, NginxRead)


def _free_address() -> str:
    """For servers that cannot choose their port themselves, or do not say which."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{probe.getsockname()[1]}"


def _answers(address: str, path: str = "/v2/") -> bool:
    return load.status(address, path) == 200
