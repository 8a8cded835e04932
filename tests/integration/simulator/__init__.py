"""Stand-ins for the registries that people pull from, each with the peculiarities that are publicly known of it, each behind a
switch. A service is all of its hosts: registry, token service, storage; each host remembers what it was asked.

    service = hub.Hub(hosts, content, users={"reader": password})
    service.publish("library/hut", image)             everybody's
    service.publish("team/hut", image, private=True)  the users'

`hosts` says where they listen: hosts.NamedHosts gives them their real names, over TLS, in a network of the test's own;
hosts.LocalHosts ports of 127.0.0.1. What is not known for certain of a service is a switch of its registry, and tested both ways.

What all of them do less than the real ones: nothing can be pushed, tokens are opaque, and nobody's permissions change.
"""
