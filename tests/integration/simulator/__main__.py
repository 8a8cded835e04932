#!/usr/bin/python3
"""A simulated registry to try things out with, by hand.

    tests/integration/simulator/__main__.py hub

serves `library/hut:latest` to everybody and `team/hut:latest` to the user "reader" with the password "secret", over plain HTTP on
ports of 127.0.0.1. Prints one line of JSON, {"registry": "http://…", "hosts": {name: url}}, then what it is asked, a line each, and
ends when its standard input does.
"""

import json
import pathlib
import sys
import threading

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from harness import image  # noqa: E402
from harness.content import Content  # noqa: E402
from simulator import ecr, github, gitlab, google, hosts, hub, kubernetes, quay  # noqa: E402

SERVICES = {"hub": hub.Hub, "quay": quay.Quay, "ecr": ecr.Ecr, "ecr-public": ecr.EcrPublicService, "gar": google.ArtifactRegistry,
            "ghcr": github.Ghcr, "k8s": kubernetes.Kubernetes, "gitlab": gitlab.GitLab}


def main():
    if sys.argv[1:] not in [[name] for name in SERVICES]:
        sys.exit(f"{__doc__}\nOne of: {', '.join(SERVICES)}")
    store = image.store()
    places = hosts.LocalHosts()
    service = SERVICES[sys.argv[1]](places, Content(store), users={"reader": "secret"})
    service.publish("library/hut", store.image("hut"))
    service.publish("team/hut", store.image("hut"), private=True)
    print(json.dumps({"registry": service.registry.url, "hosts": places.urls(service)}), flush=True)
    done = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.buffer.read(), done.set()), daemon=True).start()
    lines: list[str] = []
    while not done.wait(0.2):
        told = len(lines)
        lines = service.traffic()
        print(*lines[told:], sep="\n", end="\n" if len(lines) > told else "", flush=True)


if __name__ == "__main__":
    main()
