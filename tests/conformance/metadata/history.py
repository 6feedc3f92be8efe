"""Random histories of a deployment: every use case that changes what the journal's images tell of."""

import random
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import cast

from engine.errors import EngineError
from engine.metadata import (
    access_keys,
    accounts,
    admin_tokens,
    backends,
    bucket_documents,
    buckets,
    deployments,
    generations,
    identities,
    identity_changes,
    keys,
    versions,
)
from engine.metadata.access_keys import NewAccessKey
from engine.metadata.admin_tokens import TokenField, TokenSettings
from engine.metadata.complete import CompleteOrder, complete
from engine.metadata.identity_changes import IdentityField, IdentitySettings
from engine.metadata.publish import publish
from engine.metadata.remove import remove, remove_version
from engine.metadata.replacing import replace_blob
from engine.metadata.store import Tx
from engine.metadata.tagging import set_tags
from engine.metadata.uploads import abort
from engine.names import BackendName, ObjectKey, bucket_name
from engine.records import (
    BackendState,
    Bucket,
    Copies,
    DocumentKind,
    NewBlob,
    NewVersion,
    ObjectHeaders,
    Origin,
    Sealing,
    Versioning,
)
from engine.streams import Checksum, ChecksumAlgorithm
from tests.conformance.metadata.watched import WatchedStore
from tests.support.metadata import (
    SetClock,
    make_upload,
    new_blob,
    new_version,
    put_part,
    reap_all,
    run_sql,
)

KEYS = (b"a", b"b", b"b/c", b"d", "ü/λ".encode())


class History:
    """Random changes of one deployment; the same ones for the same seed."""

    def __init__(self, store: WatchedStore, clock: SetClock, seed: int) -> None:
        self.store = store
        self.clock = clock
        self.chance = random.Random(seed)
        self.uploads: list[tuple[Bucket, bytes, bytes]] = []
        self._number = 0
        store.write(partial(deployments.create_deployment, deployment_id=b"d" * 16, node=None))
        self.make_key(b"key-0", "primary")
        self.account_id = store.write(partial(accounts.ensure_account, name="main", origin=Origin.CONFIG))
        self.backend_ids = [self.make_backend(name) for name in ("near", "far")]
        for name in ("one", "two"):
            self.make_bucket(name)

    def run(self, step_count: int) -> None:
        steps: list[tuple[int, Callable[[], object]]] = [
            (12, self.publish),
            (4, self.copy),
            (6, self.remove),
            (4, self.remove_version),
            (3, self.make_upload),
            (3, self.complete),
            (1, self.abort),
            (2, self.version),
            (3, self.tag),
            (2, self.change_bucket),
            (3, self.change_document),
            (1, self.replace_bucket),
            (1, lambda: self.make_key(f"key-{self.count()}".encode(), "active")),
            (2, self.change_identity),
            (1, self.disable),
            (2, self.change_token),
            (8, self.operate),
            (1, self.commit_generation),
            (1, self.change_backend),
            (1, lambda: self.store.write(partial(deployments.set_node, node="node-1"))),
            (3, self.rewrite),
            (3, lambda: reap_all(self.store)),
            (1, lambda: self.store.write(deployments.note_time)),
        ]
        weights = [weight for weight, _ in steps]
        for _ in range(step_count):
            self.clock.move(self.chance.choice([0, 1, 60]))
            (chosen,) = self.chance.choices([step for _, step in steps], weights)
            try:
                chosen()
            except EngineError:
                # Refused, and so without a trace.
                continue

    def count(self) -> int:
        self._number += 1
        return self._number

    def buckets(self) -> list[Bucket]:
        return self.store.read(partial(buckets.list_buckets, account_id=None, after="", count_max=10))

    def bucket(self) -> Bucket:
        return self.chance.choice(self.buckets())

    def key(self) -> ObjectKey:
        return ObjectKey(self.chance.choice(KEYS))

    def publish(self) -> None:
        sizes = [self.chance.choice([1, 100, 5000]) for _ in range(self.chance.choice([0, 1, 1, 2, 3]))]
        blobs = [self.blob(size) for size in sizes]
        self.publish_version(new_version(self.bucket(), self.key(), *blobs))

    def copy(self) -> None:
        """A version of the blobs of another one, which the reaper may have taken meanwhile."""
        bucket, key = self.bucket(), self.key()
        found = self.store.read(partial(versions.find_current, bucket=bucket.name, key=key))
        if self.chance.random() < 0.3:
            self.store.write(partial(remove, bucket_name=bucket.name, key=key))
            reap_all(self.store)
        joined = [each.blob for each in found.slices]
        self.publish_version(new_version(self.bucket(), self.key(), joined=joined))

    def rewrite(self) -> None:
        """The blob of a version that is it whole gives way to others, in every version that is."""
        bucket, key = self.bucket(), self.key()
        found = self.store.read(partial(versions.find_current, bucket=bucket.name, key=key))
        size = found.version.size_bytes
        sizes = [size] if size < 2 or self.chance.random() < 0.3 else [size // 2, size - size // 2]
        blobs = [self.blob(each) for each in sizes]
        unit = partial(
            replace_blob,
            old_blob_id=found.slices[0].blob.blob_id if found.slices else b"",
            bucket=bucket,
            blobs=blobs,
            segments=new_version(bucket, key, *blobs).segments,
            is_sealed=self.chance.random() < 0.3,
            grace_us=0,
        )
        self.store.write(unit)

    def publish_version(self, new: NewVersion) -> None:
        checksum = Checksum(algorithm=ChecksumAlgorithm.CRC32C, digest=b"1234")
        full = replace(
            new,
            etag=f"{self.count():032x}",
            headers=self.headers(),
            checksums=self.chance.choice([(), (checksum,)]),
            sse_kind=self.chance.choice([None, "AES256"]),
        )
        self.store.write(partial(publish, new=full))

    def headers(self) -> ObjectHeaders:
        return self.chance.choice(
            [
                ObjectHeaders(),
                ObjectHeaders(content_type="text/plain", system={"cache-control": "x"}, user={"a": "ä"}),
                ObjectHeaders(storage_class="GLACIER"),
            ]
        )

    def blob(self, size_bytes: int = 100) -> NewBlob:
        """Sometimes a sealed one, so that it refers to a ring key."""
        new = new_blob(self.chance.choice(self.backend_ids), size_bytes=size_bytes)
        if self.chance.random() < 0.5:
            return new
        return replace(new, blob=replace(new.blob, key_id=b"key-0", wrapped_dek=b"dek", frame_bytes=65536))

    def remove(self) -> None:
        self.store.write(partial(remove, bucket_name=self.bucket().name, key=self.key()))

    def remove_version(self) -> None:
        found = [each for bucket in self.buckets() for each in self.live_versions(bucket)]
        if found:
            bucket, key, version_id = self.chance.choice(found)
            unit = partial(remove_version, bucket_name=bucket.name, key=key, version_id=version_id)
            self.store.write(unit)

    def live_versions(self, bucket: Bucket) -> list[tuple[Bucket, ObjectKey, str]]:
        rows = run_sql(
            self.store.inner,
            "SELECT object_key, version_id FROM object_versions WHERE bucket_id = :bucket_id ORDER BY version_seq",
            {"bucket_id": bucket.bucket_id},
        )
        return [(bucket, ObjectKey(cast(bytes, key)), cast(str, version_id)) for key, version_id in rows]

    def make_upload(self) -> None:
        bucket, key = self.bucket(), self.key()
        self.uploads.append((bucket, key, make_upload(self.store, bucket, key)))

    def complete(self) -> None:
        """Of parts of which one was sent again, and sometimes one is left out."""
        if not self.uploads:
            return
        bucket, key, upload_id = self.uploads.pop()
        numbers = [*range(1, self.chance.choice([2, 3, 4])), 1]
        parts = {
            number: put_part(self.store, bucket, key, upload_id, number, self.blob(), self.blob())
            for number in numbers
        }
        listed = [parts[number] for number in sorted(parts)][self.chance.choice([0, 0, -1]) :]
        order = CompleteOrder(
            upload_id=upload_id,
            bucket=bucket.name,
            key=ObjectKey(key),
            parts=listed,
            parts_digest=b"d",
            etag=f"{self.count():032x}-{len(listed)}",
            checksums=(Checksum(algorithm=ChecksumAlgorithm.CRC32, digest=self.count().to_bytes(4, "big")),),
            result=lambda _: "{}",
        )
        self.store.write(partial(complete, order=order))

    def abort(self) -> None:
        if self.uploads:
            bucket, key, upload_id = self.uploads.pop()
            self.store.write(partial(abort, upload_id=upload_id, bucket=bucket.name, key=ObjectKey(key)))

    def version(self) -> None:
        bucket = self.bucket()
        versioning = self.chance.choice(
            [Versioning.ENABLED, Versioning.SUSPENDED]
            if bucket.versioning is not Versioning.OFF
            else [Versioning.ENABLED, Versioning.OFF]
        )
        self.store.write(partial(buckets.set_versioning, name=bucket.name, versioning=versioning))

    def tag(self) -> None:
        """Of the current version, or of any other, and at times none."""
        found = [each for bucket in self.buckets() for each in self.live_versions(bucket)]
        if found:
            bucket, key, version_id = self.chance.choice(found)
            named = self.chance.choice([None, version_id])
            tags = self.chance.choice([{}, {"colour": f"blue {self.count()}"}])
            self.store.write(lambda tx: set_tags(tx, bucket.name, key, named, tags, bucket.account_id))

    def change_bucket(self) -> None:
        self.store.write(
            partial(
                buckets.update_settings,
                bucket=self.bucket(),
                scheme=self.chance.choice([None, Copies(count=2)]),
                seal=self.chance.choice([None, Sealing.ALL]),
                quota_bytes=self.chance.choice([None, 1_000_000]),
            )
        )

    def change_document(self) -> None:
        name, kind = self.bucket().name, self.chance.choice(list(DocumentKind))
        # Writes read the rules of notifications, so those are some.
        is_read = kind is DocumentKind.NOTIFICATION
        document = self.chance.choice([None, "[]", "[ ]"] if is_read else [None, "[1]", '["ä"]'])
        if document is None:
            self.store.write(partial(bucket_documents.delete_document, name=name, kind=kind))
        else:
            put = partial(bucket_documents.put_document, name=name, kind=kind, document=document)
            self.store.write(put)

    def replace_bucket(self) -> None:
        """Empty one and delete it, with uploads that are open, and make one of that name again."""
        bucket = self.bucket()
        for _, key, version_id in self.live_versions(bucket):
            unit = partial(remove_version, bucket_name=bucket.name, key=key, version_id=version_id)
            self.store.write(unit)
        self.store.write(partial(buckets.delete_bucket, name=bucket.name))
        self.make_bucket(bucket.name)

    def make_bucket(self, name: str) -> None:
        self.store.write(
            partial(
                buckets.create_bucket,
                name=bucket_name(name),
                account_id=self.account_id,
                origin=Origin.API,
            )
        )

    def make_key(self, key_id: bytes, state: str) -> None:
        self.store.write(
            partial(
                keys.insert_key,
                key_id=key_id,
                key_name="main",
                provider="file",
                wrapped_material=b"wrapped",
                state=state,
                check_value=b"check",
            )
        )

    def change_identity(self) -> None:
        name = self.chance.choice(["reader", "writer"])
        account = self.chance.choice(["main", "other"])

        def unit(tx: Tx) -> None:
            identities.apply_identity(
                tx,
                name=name,
                account_id=accounts.ensure_account(tx, account, Origin.CONFIG),
                role=name,
                buckets=self.chance.choice([None, ["one"]]),
                access_key_id=f"{name}-{self.chance.randrange(3)}",
                sealed_secret=f"sealed-{self.count()}".encode(),
                key_id=b"key-0",
            )

        self.store.write(unit)

    def disable(self) -> None:
        names = self.chance.choice([[], ["reader"], ["writer"]])
        self.store.write(partial(identities.disable_missing, identities=names, tokens=names))

    def change_token(self) -> None:
        limited = self.count() % 2 == 0
        self.store.write(
            partial(
                identities.apply_admin_token,
                name=self.chance.choice(["reader", "writer", "ops"]),
                role=self.chance.choice(["viewer", "operator", "admin"]),
                sha256=bytes([self.chance.randrange(3)]) * 32,
                scopes=["WorkerService/*"] if limited else None,
                expires_at_us=2**50 if limited else None,
            )
        )

    def operate(self) -> None:
        """What an operator does by calls to identities, access keys and tokens; no generation here names any."""
        name, key = self.chance.choice(["reader", "api-1", "api-2"]), f"key-{self.chance.randrange(2)}"
        new_key = NewAccessKey(
            access_key_id=key,
            sealed_secret=f"sealed-{self.count()}".encode(),
            key_id=b"key-0",
            expires_at_us=self.chance.choice([None, 2**60]),
        )
        identity = IdentitySettings(
            role=self.chance.choice(["reader", "writer"]),
            buckets=self.chance.choice([None, ("one",)]),
            is_disabled=self.chance.random() < 0.5,
            expires_at_us=self.chance.choice([None, 2**60]),
        )
        token = TokenSettings(
            role=self.chance.choice(["viewer", "admin"]),
            scopes=self.chance.choice([None, ("*/Get*",)]),
            is_disabled=self.chance.random() < 0.5,
        )
        calls: list[Callable[[Tx], object]] = [
            partial(identity_changes.make_identity, name=name, account_id=self.account_id, settings=identity),
            partial(
                identity_changes.change_identity,
                name=name,
                settings=identity,
                fields=frozenset(IdentityField),
            ),
            partial(identity_changes.delete_identity, name=name),
            partial(access_keys.make_access_key, identity=name, new=new_key),
            partial(access_keys.make_access_key, identity=name, new=new_key),
            partial(
                access_keys.change_access_key,
                access_key_id=key,
                is_disabled=self.chance.choice([None, True, False]),
                expires_at_us=None,
                sets_expiry=self.chance.random() < 0.5,
            ),
            partial(access_keys.delete_access_key, access_key_id=key),
            partial(
                admin_tokens.make_token,
                name=name,
                sha256=f"{self.count():032}".encode(),
                settings=token,
            ),
            partial(admin_tokens.change_token, name=name, settings=token, fields=frozenset(TokenField)),
            partial(admin_tokens.delete_token, name=name),
        ]
        self.store.write(self.chance.choice(calls))

    def commit_generation(self) -> None:
        self.store.write(
            partial(
                generations.commit_generation,
                document=f'{{"n":{self.count()}}}',
                file_digest=self.chance.choice([None, b"digest"]),
                origin=Origin.CONFIG,
                author="file",
                comment=self.chance.choice([None, "for a reason"]),
            )
        )

    def make_backend(self, name: str) -> int:
        return self.store.write(
            partial(
                backends.ensure_backend,
                name=BackendName(name),
                kind="memory",
                node=None,
                failure_domain=name,
                identity_id=name.encode().ljust(16, b"-"),
                quota_bytes=None,
            )
        )

    def change_backend(self) -> None:
        backend_id = self.chance.choice(self.backend_ids)
        changes: list[Callable[[Tx], object]] = [
            partial(backends.mark_registered, backend_id=backend_id),
            partial(
                backends.set_state,
                backend_id=backend_id,
                state=self.chance.choice([BackendState.ACTIVE, BackendState.READ_ONLY]),
                reason="told to",
            ),
            partial(
                backends.ensure_backend,
                name=BackendName("near"),
                kind="memory",
                node=None,
                failure_domain=self.chance.choice(["near", "rack-1"]),
                identity_id=b"near".ljust(16, b"-"),
                quota_bytes=self.chance.choice([None, 10_000_000]),
            ),
            # "near" keeps its name: it is found by it above.
            partial(
                backends.rename_backend,
                backend_id=self.backend_ids[1],
                name=self.chance.choice(["far", "far.removed"]),
            ),
        ]
        self.store.write(self.chance.choice(changes))
        self.store.write(
            partial(backends.set_state, backend_id=backend_id, state=BackendState.ACTIVE, reason=None)
        )
