"""A registry that is no stand-in: Debian's docker-registry, with a recorder in front that has its name and its TLS."""

from harness.content import Content
from harness.registry import Registry
from harness.upstream import ScriptedUpstream

from . import service


class Plain(service.Service):
    """`behind` decides what it has and who may read it."""

    def __init__(self, hosts, content: Content, behind: Registry):
        super().__init__(content, {})
        self.registry = self._add(ScriptedUpstream(content, behind=behind, **hosts.place("registry.example.test")))
