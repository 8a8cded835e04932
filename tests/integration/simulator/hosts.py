"""Where the hosts of a simulated service listen."""

from harness.certificates import Authority
from harness.own_etc import OwnEtc


class NamedHosts:
    """Under their real names: port 443 of addresses in 127.1.0.0/24, in the test's own network, each with a certificate for its
    own name alone. Who starts with `etc` finds them by name."""

    NETWORK = "127.1.0.0/24"

    def __init__(self, authority: Authority, etc: OwnEtc):
        self._authority, self._etc = authority, etc
        self._addresses: dict[str, str] = {"localhost": "127.0.0.1"}

    def place(self, name: str) -> dict:
        """For the constructor of a server."""
        address = f"127.1.0.{len(self._addresses)}"
        self._addresses[name] = address
        self._etc.write("hosts", "".join(f"{address} {name}\n" for name, address in self._addresses.items()))
        return {"name": name, "at": (address, 443), "tls": self._authority.server(name, f"DNS:{name}")}


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
