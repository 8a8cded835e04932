"""Where the hosts of a simulated service listen."""

from harness.certificates import Authority, Certificate
from harness.own_etc import OwnEtc


class NamedHosts:
    """Under their real names: port 443 of addresses in 127.1.0.0/24, in the test's own network, each with a certificate for its
    own name and address alone. Who starts with `etc` finds them by name."""

    NETWORK = "127.1.0.0/24"

    def __init__(self, authority: Authority, etc: OwnEtc):
        self._authority, self._etc = authority, etc
        self.addresses: dict[str, str] = {"localhost": "127.0.0.1"}

    def place(self, name: str, port: int = 443, certificate: Certificate | None = None) -> dict:
        """For the constructor of a server. Port 80 is plain HTTP."""
        address = self.addresses.setdefault(name, f"127.1.0.{len(self.addresses)}")
        self._etc.write("hosts", "".join(f"{address} {name}\n" for name, address in self.addresses.items()))
        tls = None if port == 80 else certificate or self._authority.server(name, f"DNS:{name},IP:{address}")
        return {"name": name, "at": (address, port), "tls": tls}


class LocalHosts:
    """All at 127.0.0.1, on whatever ports are free; plain HTTP, since nobody trusts a certificate for that."""

    def __init__(self):
        self._names: list[str] = []

    def place(self, name: str) -> dict:
        self._names.append(name)
        return {}

    def urls(self, service) -> dict[str, str]:
        """Where the hosts of a service are, by their real names. They were placed in the order in which they were made."""
        return {name: server.url for name, server in zip(self._names, service.servers, strict=True)}
