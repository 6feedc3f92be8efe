"""What must hold between values that are each fine by themselves."""

import ssl
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import PurePath

from engine.settings.access import AdminCertificateSettings, BucketSettings
from engine.settings.database import CONNS_PER_PROCESS_MIN, PostgresSettings
from engine.settings.keyfile import key_file_problem, key_material_problem
from engine.settings.live import LiveSettings
from engine.settings.node import FileKeys, NodeSettings
from engine.settings.secret import is_known_digest
from engine.settings.source import Path
from engine.settings.storage import BackendSettings
from engine.settings.tls import UnusableTlsFiles, server_context

_NO_SCOPE = "no scope permits nothing: leave the key out, or name some"

Found = tuple[Path, str]
"""Where, and what is wrong."""


def node_problems(settings: NodeSettings) -> Iterator[Found]:
    """Problems of node settings; reads the key file and those of TLS."""
    listen = settings.listen
    for key, tls in (("tls", listen.tls), ("control_tls", listen.control_tls)):
        if tls is not None:
            try:
                server_context(tls)
            except UnusableTlsFiles as error:
                yield ("listen", key), str(error)
    if listen.control_tls is None and not listen.control.is_loopback:
        yield (
            ("listen", "control"),
            f"{listen.control} is reachable by others: it asks for TLS (listen.control_tls), or for 127.0.0.1 or [::1]",
        )
    taken: dict[int, str] = {}
    for name, address in (("s3", listen.s3), ("control", listen.control), ("metrics", listen.metrics)):
        if address.port and address.port in taken:
            yield ("listen", name), f"port {address.port} is taken by listen.{taken[address.port]}"
        taken.setdefault(address.port, name)
    if isinstance(settings.database, PostgresSettings):
        yield from _scarce_connections(settings.database, settings.processes.dataplane)
    if isinstance(settings.keys, FileKeys):
        problem = key_file_problem(settings.keys.path)
        if problem is not None:
            yield ("keys", "path"), problem
    else:
        problem = key_material_problem(settings.keys.material.reveal().encode())
        if problem is not None:
            yield ("keys", "material"), problem


def _scarce_connections(database: PostgresSettings, dataplane_count: int) -> Iterator[Found]:
    if database.min_conns > database.max_conns:
        yield ("database", "min_conns"), f"more than the {database.max_conns} of max_conns"
    process_count = dataplane_count + 1
    if database.max_conns < process_count * CONNS_PER_PROCESS_MIN:
        yield (
            ("database", "max_conns"),
            (
                f"{database.max_conns} connections for {dataplane_count} data-plane processes and the control plane "
                f"are too few: each needs {CONNS_PER_PROCESS_MIN}, which makes {process_count * CONNS_PER_PROCESS_MIN}"
            ),
        )


def live_problems(settings: LiveSettings, *, node: str) -> Iterator[Found]:
    """Problems of the live part, its failure domains filled in."""
    if not settings.backends:
        yield ("backends",), "at least one is needed"
    yield from _repeated("backends", "name", (each.name for each in settings.backends))
    yield from _repeated("notifications", "name", (each.name for each in settings.notifications))
    yield from _repeated("identities", "name", (each.name for each in settings.identities))
    yield from _repeated("identities", "access_key_id", (each.access_key_id for each in settings.identities))
    yield from _repeated("admin_tokens", "name", (each.name for each in settings.admin_tokens))
    yield from _repeated("admin_tokens", "sha256", (each.sha256 for each in settings.admin_tokens))
    yield from _certificate_problems(settings.admin_certificates)
    yield from _repeated("buckets", "name", (each.name for each in settings.buckets))
    yield from _misplaced_backends(settings, node)
    yield from _overlapping_prefixes(settings)
    yield from _impossible_schemes(settings)
    for index, token in enumerate(settings.admin_tokens):
        if is_known_digest(token.sha256):
            yield ("admin_tokens", index, "sha256"), "the digest of a well-known default token is refused"
        if token.scopes == ():
            yield (
                ("admin_tokens", index, "scopes"),
                _NO_SCOPE,
            )
    for index, identity in enumerate(settings.identities):
        if identity.role == "superuser" and identity.buckets:
            yield ("identities", index, "buckets"), "a superuser is held to no buckets: make it a writer"
    storage = settings.storage
    if storage.inline_buffer_bytes > storage.chunk_bytes:
        yield ("storage", "inline_buffer_bytes"), "more than chunk_bytes"


def common_problems(node: NodeSettings, live: LiveSettings) -> Iterator[Found]:
    """Problems of the two parts with each other."""
    tls = node.listen.control_tls
    if live.admin_certificates and (tls is None or tls.client_ca is None):
        yield (
            ("admin_certificates",),
            "no client is asked for a certificate: name the authority of theirs in listen.control_tls.client_ca",
        )
    storage = live.storage
    is_remembering = isinstance(node.database, PostgresSettings) and storage.degraded_reads == "on"
    if is_remembering and not live.debug.allowed and storage.read_grace_s < storage.degraded_max_age_s:
        yield (
            ("storage", "read_grace"),
            "less than degraded_max_age: what is served while the database is away must still be there",
        )


def _certificate_problems(certificates: Sequence[AdminCertificateSettings]) -> Iterator[Found]:
    yield from _repeated("admin_certificates", "name", (each.name for each in certificates))
    for field in ("uri", "common_name"):
        named = [getattr(each, field) for each in certificates]
        yield from _repeated("admin_certificates", field, (each for each in named if each is not None))
    for index, each in enumerate(certificates):
        if (each.uri is None) == (each.common_name is None):
            yield ("admin_certificates", index), "exactly one of uri and common_name says whose it is"
        if each.scopes == ():
            yield ("admin_certificates", index, "scopes"), _NO_SCOPE


def _repeated(section: str, field: str, values: Iterable[str]) -> Iterator[Found]:
    first: dict[str, int] = {}
    for index, value in enumerate(values):
        if value in first:
            yield (section, index, field), f"{value!r} stands already in {section}[{first[value]}]"
        first.setdefault(value, index)


def _misplaced_backends(settings: LiveSettings, node: str) -> Iterator[Found]:
    paths: dict[PurePath, int] = {}
    for index, each in enumerate(settings.backends):
        if each.kind == "memory" and not settings.debug.allowed:
            yield (
                ("backends", index, "kind"),
                "a backend in memory loses its bytes: it asks for debug.allowed: true",
            )
        if each.ca is not None:
            try:
                ssl.create_default_context(cafile=each.ca)
            except OSError as error:
                why = "holds no certificates" if isinstance(error, ssl.SSLError) else error.strerror
                yield ("backends", index, "ca"), f"{each.ca}: {why}"
        if each.path is None:
            continue
        if each.node != node:
            yield (
                ("backends", index, "node"),
                (
                    f"this node is {node!r}; a volume of another node is served by a Penstock there, as an S3 backend"
                ),
            )
        path = each.path.resolve()
        for other, other_index in paths.items():
            if path == other or path in other.parents or other in path.parents:
                yield ("backends", index, "path"), f"{path} and that of backends[{other_index}] overlap"
        paths[path] = index


def _overlapping_prefixes(settings: LiveSettings) -> Iterator[Found]:
    """S3 backends that would write into each other's keys."""
    taken: list[tuple[int, BackendSettings]] = []
    for index, each in enumerate(settings.backends):
        if each.kind != "s3":
            continue
        for other_index, other in taken:
            if (each.endpoint, each.region, each.bucket) != (other.endpoint, other.region, other.bucket):
                continue
            own, others = (f"{one.prefix}/" if one.prefix else "" for one in (each, other))
            if own.startswith(others) or others.startswith(own):
                yield (
                    ("backends", index, "prefix"),
                    f"it overlaps with that of backends[{other_index}] in the same bucket",
                )
        taken.append((index, each))


def _impossible_schemes(settings: LiveSettings) -> Iterator[Found]:
    by_domain: dict[str, list[str]] = {}
    for each in settings.backends:
        by_domain.setdefault(each.failure_domain, []).append(each.name)
    asked: list[tuple[Path, int]] = [(("storage", "default_scheme"), settings.storage.default_scheme.count)]
    asked += [(("buckets", index, "scheme"), count) for index, count in _bucket_copies(settings.buckets)]
    for path, count in asked:
        if count > len(by_domain):
            yield (
                path,
                (
                    f"copies({count}) asks for {count} failure domains, there {_are(by_domain)}; "
                    "give a backend its own failure_domain if it fails apart from the others"
                ),
            )
    quorum = settings.storage.write_quorum
    if quorum is not None and quorum > settings.storage.default_scheme.count:
        yield ("storage", "write_quorum"), f"more than the copies of {settings.storage.default_scheme}"


def _bucket_copies(buckets: Iterable[BucketSettings]) -> Iterator[tuple[int, int]]:
    for index, bucket in enumerate(buckets):
        if bucket.scheme is not None:
            yield index, bucket.scheme.count


def _are(by_domain: Mapping[str, list[str]]) -> str:
    shared = [names for names in by_domain.values() if len(names) > 1]
    together = "; ".join(f"{', '.join(names)} share one" for names in shared)
    count = f"is {len(by_domain)}" if len(by_domain) == 1 else f"are {len(by_domain)}"
    return f"{count} ({together})" if together else count
