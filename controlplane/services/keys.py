"""KeyService: the key ring, and how much it seals."""

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from penstock.admin.v1 import key_pb2
from penstock.admin.v1 import key_service_pb2 as pb
from penstock.admin.v1 import key_service_pb2_grpc as pb_grpc

from controlplane.fields import read_name, read_page_size, read_page_token, write_page_token
from controlplane.pool import EnginePool
from controlplane.sealing_survey import SealingSurvey, Sums
from controlplane.times import timestamp
from engine.errors import KeyUnavailable, MalformedField, NoSuchResource
from engine.metadata.backends import list_backends
from engine.metadata.buckets import list_buckets
from engine.metadata.keys import KeyRow, list_keys
from engine.metadata.store import Store, Tx
from engine.sealing.keyring import KeyRing, KeyState

BUCKET_PAGE_COUNT = 1000

_STATES = {
    KeyState.PRIMARY: key_pb2.KEY_STATE_PRIMARY,
    KeyState.ACTIVE: key_pb2.KEY_STATE_ACTIVE,
    KeyState.RETIRED: key_pb2.KEY_STATE_RETIRED,
    KeyState.DESTROYED: key_pb2.KEY_STATE_DESTROYED,
}


class KeyServicer(pb_grpc.KeyServiceServicer):
    def __init__(self, store: Store, ring: KeyRing, survey: SealingSurvey, pool: EnginePool) -> None:
        self._store = store
        self._ring = ring
        self._survey = survey
        self._pool = pool

    async def ListKeys(self, request: pb.ListKeysRequest, context: Any) -> pb.ListKeysResponse:
        position = read_page_token(request.page_token)
        count_max = read_page_size(request.page_size)
        rows = await self._pool.run(self._store.read, list_keys)
        names = [row.key_id.hex() for row in rows]
        if position is not None and position not in names:
            raise MalformedField("page_token", "not a token of this method")
        rest = rows if position is None else rows[names.index(position) + 1 :]
        shown = rest[:count_max]
        return pb.ListKeysResponse(
            keys=map(self._write, shown),
            next_page_token=write_page_token(
                shown[-1].key_id.hex() if len(rest) > len(shown) and shown else None
            ),
        )

    async def GetKey(self, request: pb.GetKeyRequest, context: Any) -> pb.GetKeyResponse:
        fingerprint = read_name("name", request.name, "keys")
        for row in await self._pool.run(self._store.read, list_keys):
            if row.key_id.hex() == fingerprint:
                return pb.GetKeyResponse(key=self._write(row))
        raise NoSuchResource(name=f"keys/{fingerprint}")

    async def GetEncryptionStatus(
        self, request: pb.GetEncryptionStatusRequest, context: Any
    ) -> pb.GetEncryptionStatusResponse:
        surveyed = await self._pool.run(self._survey.look)
        backends, buckets = await self._pool.run(self._store.read, _names)
        return pb.GetEncryptionStatusResponse(
            complete=surveyed.is_complete,
            measure_time=timestamp(surveyed.measured_at_us),
            backends=_shares(surveyed.backends, backends),
            buckets=_shares(surveyed.buckets, buckets),
            keys=_by_key(surveyed.backends),
        )

    def _write(self, row: KeyRow) -> key_pb2.Key:
        return key_pb2.Key(
            name=f"keys/{row.key_id.hex()}",
            key_name=row.key_name,
            provider=row.provider,
            state=_STATES[KeyState(row.state)],
            create_time=timestamp(row.created_at_us),
            loaded=self._holds(row.key_id),
        )

    def _holds(self, key_id: bytes) -> bool:
        try:
            self._ring.key(key_id)
        except KeyUnavailable:
            return False
        return True


def _names(tx: Tx) -> tuple[Mapping[int, str], Mapping[int, str]]:
    backends = {row.backend_id: f"backends/{row.name}" for row in list_backends(tx)}
    buckets: dict[int, str] = {}
    after = ""
    while page := list_buckets(tx, account_id=None, after=after, count_max=BUCKET_PAGE_COUNT):
        buckets |= {bucket.bucket_id: f"buckets/{bucket.name}" for bucket in page}
        after = page[-1].name
    return backends, buckets


def _shares(sums: Sums, names: Mapping[int, str]) -> list[pb.SealedShare]:
    """By name; what is gone since it was counted is left out, what holds nothing as well."""
    shares: dict[str, pb.SealedShare] = {}
    for (subject_id, key_id), size_bytes in sums.items():
        name = names.get(subject_id)
        if name is None:
            continue
        share = shares.setdefault(name, pb.SealedShare(name=name))
        if key_id is None:
            share.plain_bytes += size_bytes
        else:
            share.sealed_bytes += size_bytes
    return [shares[name] for name in sorted(shares)]


def _by_key(sums: Sums) -> list[pb.SealedShare]:
    sealed: dict[str, int] = defaultdict(int)
    for (_, key_id), size_bytes in sums.items():
        if key_id is not None:
            sealed[f"keys/{key_id.hex()}"] += size_bytes
    return [pb.SealedShare(name=name, sealed_bytes=sealed[name]) for name in sorted(sealed)]
