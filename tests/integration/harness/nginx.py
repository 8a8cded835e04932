"""Debian's nginx in front of a server: a real one that speaks HTTP/2."""

import dataclasses
import pathlib
import socket

from . import wait
from .certificates import Certificate
from .process import Process

_CONFIG = """
daemon off;
master_process off;
pid {folder}/pid;
error_log stderr;
events {{ worker_connections 256; }}
http {{
  log_format fields '$connection $server_protocol $request_method $uri $status';
  access_log {folder}/access fields;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  keepalive_requests {requests};
  server {{
    listen {address} ssl http2;
    ssl_certificate {tls.certificate};
    ssl_certificate_key {tls.key};
    location / {{ proxy_pass {behind}; proxy_set_header Host $http_host; }}
  }}
}}
"""


@dataclasses.dataclass(frozen=True)
class Passed:
    """A request, from the log."""
    connection: str
    version: str
    method: str
    path: str
    status: int


class Nginx:
    """`requests`: of a connection; then nginx says GOAWAY."""

    def __init__(self, folder: pathlib.Path, log: pathlib.Path, at: tuple[str, int], tls: Certificate, behind: str,
                 requests: int = 1000):
        folder.mkdir()
        config = folder / "nginx.conf"
        config.write_text(_CONFIG.format(folder=folder, address=f"{at[0]}:{at[1]}", tls=tls, behind=behind, requests=requests))
        self._access = folder / "access"
        self._process = Process(["nginx", "-c", config, "-p", folder], log)
        self._at = at
        wait.until(self._is_listening, f"nginx to listen ({log})")

    def passed(self) -> list[Passed]:
        """A request is logged when its answer has ended."""
        lines = (line.split() for line in self._access.read_text().splitlines())
        return [Passed(connection, version, method, path, int(status)) for connection, version, method, path, status in lines]

    def stop(self):
        self._process.stop(5)

    def _is_listening(self) -> bool:
        if self._process.exit_code() is not None:
            raise AssertionError(f"nginx ended: {self._process.text()[-2000:]}")
        with socket.socket() as probe:
            return probe.connect_ex(self._at) == 0
