"""What tests of the verbs on a cache have in common."""

from . import case, wait
from .made_image import make_image, make_layer

KIB = 1 << 10


class ManageCase(case.TestCase):
    def setUp(self):
        super().setUp()
        self.upstream = self.make_upstream()
        self.shared = make_layer(self.content, 100 * KIB, "shared")

    def start(self, *names: str, **settings):
        """Pulls an image for each name, "app:1" or "quay.io/team/app:1". All have the layer `shared` and one of their own."""
        self.images = {}
        hub = self.hub(self.upstream.url, tag_ttl="1h")
        quay = {"name": "quay.io", "url": self.upstream.url, "allow_private": ["127.0.0.0/8"], "tag_ttl": "1h"}
        self.proxy = self.make_entrepot(hub, quay, **settings)
        for name in names:
            self.pull(name)
        self.proxy.wait_committed([digest for image in self.images.values() for digest in image.digests])

    def pull(self, name: str, absent_platforms: int = 0):
        repository, tag = name.split(":")
        image = make_image(self.content, name, [self.shared, make_layer(self.content, 50 * KIB, name)], tag,
                           absent_platforms=absent_platforms)
        self.images[name] = image
        self.upstream.tag(self.upstream_name(repository), image)
        self.fetch(name)

    @staticmethod
    def upstream_name(repository: str) -> str:
        return repository.removeprefix("quay.io/") if "/" in repository else f"library/{repository}"

    def fetch(self, name: str):
        repository = name.split(":")[0]
        return self.pull_everything(self.proxy.client(), repository if "/" in repository else f"library/{repository}", self.images[name])

    def own_digests(self, name: str) -> set[str]:
        return set(self.images[name].digests) - {self.shared.digest}

    def files(self) -> set[str]:
        return {f"sha256:{path.name}" for path in (self.proxy.cache / "blobs").rglob("*") if path.is_file()}

    def wait_gone(self, digests):
        wait.until(lambda: not self.files() & set(digests), "the files of what was purged to go")

    def size(self, image) -> int:
        return sum(part.size for part in (*image.manifests, *image.blobs))
