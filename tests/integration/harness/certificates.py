"""A throw-away certificate authority and server certificates, made by openssl for one test run."""

import dataclasses
import pathlib

from .process import run


@dataclasses.dataclass(frozen=True)
class Certificate:
    certificate: pathlib.Path
    key: pathlib.Path


class Authority:
    """Lives in `folder`. `ca_file` is what a client has to trust."""

    def __init__(self, folder: pathlib.Path):
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self.ca_file = folder / "ca.crt"
        self._key = folder / "ca.key"
        run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
             "-days", "2", "-subj", "/CN=entrepot test authority", "-keyout", self._key, "-out", self.ca_file,
             "-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign"])

    def client(self, name: str, days: int = 2) -> Certificate:
        """For a client that has to show who he is."""
        return self.server(name, f"DNS:{name}", days, usage="clientAuth")

    def server(self, name: str = "localhost", hosts: str = "DNS:localhost,IP:127.0.0.1", days: int = 2,
               digest: str = "sha256", usage: str = "serverAuth") -> Certificate:
        """A server's certificate for the hosts (in openssl's subjectAltName notation). Negative days: it has ended."""
        certificate, key = self._folder / f"{name}.crt", self._folder / f"{name}.key"
        request, extensions = self._folder / f"{name}.csr", self._folder / f"{name}.ext"
        run(["openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
             "-subj", f"/CN={name[:64]}", "-keyout", key, "-out", request])
        extensions.write_text(f"subjectAltName={hosts}\nextendedKeyUsage={usage}\nkeyUsage=digitalSignature\n")
        run(["openssl", "x509", "-req", "-in", request, "-CA", self.ca_file, "-CAkey", self._key,
             "-CAcreateserial", "-days", days, f"-{digest}", "-extfile", extensions, "-out", certificate])
        return Certificate(certificate, key)


def signing_pair(folder: pathlib.Path) -> Certificate:
    """A self-signed RSA pair, for signing tokens with RS256."""
    pair = Certificate(folder / "token.crt", folder / "token.key")
    run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
         "-subj", "/CN=entrepot test tokens", "-keyout", pair.key, "-out", pair.certificate])
    return pair
