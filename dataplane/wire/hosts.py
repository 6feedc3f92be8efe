"""Virtual-host style: which bucket a Host header names under the domains that the configuration lists."""

from collections.abc import Sequence

from engine.names import BucketName, bucket_name


class HostedBuckets:
    """A domain itself, and every host under none of them, means path style."""

    def __init__(self, domains: Sequence[str]) -> None:
        """`domains` are in lower case."""
        self._domains = frozenset(domains)
        # The longest first: a domain under another one is not a bucket of that one.
        self._suffixes = tuple(f".{each}" for each in sorted(domains, key=len, reverse=True))

    def bucket_of(self, host: str) -> BucketName | None:
        """The bucket, which may hold dots; None for path style. Raises InvalidBucketName for what can be no bucket."""
        if not self._suffixes:
            return None
        name = host.rpartition(":")[0] if ":" in host else host
        name = name.lower().removesuffix(".")
        if name in self._domains:
            return None
        for suffix in self._suffixes:
            if name.endswith(suffix):
                return bucket_name(name.removesuffix(suffix))
        return None
