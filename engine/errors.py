"""Engine errors: named facts with typed attributes that know no protocol; each plane translates them in one table."""

from collections.abc import Sequence


class EngineError(Exception):
    """Base of all facts the engine reports. `may_repeat` says whether the same call may succeed later."""

    may_repeat: bool = False


# --- names ---


class InvalidBucketName(EngineError):
    """The text is no bucket name."""

    def __init__(self, *, bucket: str) -> None:
        super().__init__(f"{bucket[:80]!r} is not a valid bucket name")
        self.bucket = bucket


class InvalidKey(EngineError):
    """The bytes are no object key."""

    def __init__(self, *, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class KeyTooLong(EngineError):
    """The key has more bytes than a key may have."""

    def __init__(self, *, size_bytes: int, max_bytes: int) -> None:
        super().__init__(f"the key has {size_bytes} bytes, at most {max_bytes} are allowed")
        self.size_bytes = size_bytes
        self.max_bytes = max_bytes


# --- what is not there, what is there already ---


class NoSuchBucket(EngineError):
    """No bucket of that name."""

    def __init__(self, *, bucket: str) -> None:
        super().__init__(f"no bucket {bucket!r}")
        self.bucket = bucket


class NoSuchKey(EngineError):
    """The key has no current version; `marker_version_id` is the id of a delete marker that covers it."""

    def __init__(self, *, bucket: str, key: bytes, marker_version_id: str | None = None) -> None:
        super().__init__(f"no key {key!r} in bucket {bucket!r}")
        self.bucket = bucket
        self.key = key
        self.marker_version_id = marker_version_id


class NoSuchVersion(EngineError):
    """The key has no version of that id."""

    def __init__(self, *, bucket: str, key: bytes, version_id: str) -> None:
        super().__init__(f"no version {version_id!r} of key {key!r} in bucket {bucket!r}")
        self.bucket = bucket
        self.key = key
        self.version_id = version_id


class IsDeleteMarker(EngineError):
    """The version asked for by its id is a delete marker: it has nothing to read, and no tags.

    `created_at_us` is null where nobody looked.
    """

    def __init__(self, *, bucket: str, key: bytes, version_id: str, created_at_us: int | None) -> None:
        super().__init__(f"version {version_id!r} of key {key!r} in bucket {bucket!r} is a delete marker")
        self.bucket = bucket
        self.key = key
        self.version_id = version_id
        self.created_at_us = created_at_us


class NoSuchUpload(EngineError):
    """No open upload of that id for that key."""

    def __init__(self, *, upload_id: str) -> None:
        super().__init__(f"no upload {upload_id[:80]!r}")
        self.upload_id = upload_id


class BucketExists(EngineError):
    """The name is taken; `owned_by_caller` says by whom."""

    def __init__(self, *, bucket: str, owned_by_caller: bool) -> None:
        super().__init__(f"bucket {bucket!r} exists")
        self.bucket = bucket
        self.owned_by_caller = owned_by_caller


class BucketNotEmpty(EngineError):
    """A bucket goes only when no version and no open upload is left in it."""

    def __init__(self, *, bucket: str) -> None:
        super().__init__(f"bucket {bucket!r} is not empty")
        self.bucket = bucket


# --- the request's own mistakes ---


class DigestMismatch(EngineError):
    """The bytes received are not the bytes promised. `what` is `md5`, `sha256` or a checksum algorithm's name."""

    def __init__(self, *, what: str, expected: bytes, computed: bytes) -> None:
        super().__init__(f"the {what} of the body is not the one given")
        self.what = what
        self.expected = expected
        self.computed = computed


class BodySizeMismatch(EngineError):
    """The body ended before the announced size."""

    def __init__(self, *, expected_bytes: int, received_bytes: int) -> None:
        super().__init__(f"{expected_bytes} bytes were announced, {received_bytes} came")
        self.expected_bytes = expected_bytes
        self.received_bytes = received_bytes


class ObjectTooLarge(EngineError):
    """More bytes than one object, PUT or part may have."""

    def __init__(self, *, size_bytes: int, max_bytes: int) -> None:
        super().__init__(f"{size_bytes} bytes are more than the {max_bytes} allowed")
        self.size_bytes = size_bytes
        self.max_bytes = max_bytes


class RangeNotSatisfiable(EngineError):
    """The range lies outside the object."""

    def __init__(self, *, size_bytes: int) -> None:
        super().__init__(f"the range lies outside the object's {size_bytes} bytes")
        self.size_bytes = size_bytes


class NoSuchPart(EngineError):
    """The object has no part of that number."""

    def __init__(self, *, part_number: int, part_count: int) -> None:
        super().__init__(f"the object has {part_count} parts and none of the number {part_number}")
        self.part_number = part_number
        self.part_count = part_count


class ChecksumTypeMismatch(EngineError):
    """A Complete speaks of another type of checksum than its upload was begun with."""

    def __init__(self, *, began: str | None, named: str) -> None:
        super().__init__(f"the upload was begun with the checksum type {began}, not {named}")
        self.began = began
        self.named = named


class PartOrder(EngineError):
    """The part list is not strictly ascending."""


class InvalidPart(EngineError):
    """A listed part was not uploaded, or its ETag or checksum differs."""

    def __init__(self, *, part_number: int) -> None:
        super().__init__(f"part {part_number} was not found or its ETag does not match")
        self.part_number = part_number


class PartTooSmall(EngineError):
    """A part that is not the last is below the least size."""

    def __init__(self, *, part_number: int, size_bytes: int, min_bytes: int) -> None:
        super().__init__(f"part {part_number} has {size_bytes} bytes, at least {min_bytes} are required")
        self.part_number = part_number
        self.size_bytes = size_bytes
        self.min_bytes = min_bytes


class PreconditionFailed(EngineError):
    """A condition the caller set does not hold. `condition` is the header's name."""

    def __init__(self, *, condition: str) -> None:
        super().__init__(f"the condition {condition} does not hold")
        self.condition = condition


class ConcurrentWrite(EngineError):
    """Two conditional writers met and this one lost."""

    may_repeat = True


class VersionLocked(EngineError):
    """Retention or a legal hold keeps the version."""


class NotSupported(EngineError):
    """A thing that is named and not built. `feature` is what the caller asked for."""

    def __init__(self, *, feature: str) -> None:
        super().__init__(f"{feature} is not implemented")
        self.feature = feature


# --- room ---


class BucketQuotaExceeded(EngineError):
    """The write does not fit in what is left of the bucket's quota."""

    def __init__(self, *, bucket: str, wanted_bytes: int) -> None:
        super().__init__(f"bucket {bucket!r} has no room for {wanted_bytes} bytes")
        self.bucket = bucket
        self.wanted_bytes = wanted_bytes


class NoSpaceAnywhere(EngineError):
    """No backend that may take the bytes has room for them."""

    def __init__(self, *, wanted_bytes: int) -> None:
        super().__init__(f"no backend has room for {wanted_bytes} bytes")
        self.wanted_bytes = wanted_bytes


class BackendQuotaExceeded(EngineError):
    """A backend has no room for a piece any more: place it elsewhere and run again."""

    may_repeat = True

    def __init__(self, *, backend_id: int, wanted_bytes: int) -> None:
        super().__init__(f"backend {backend_id} has no room for {wanted_bytes} bytes")
        self.backend_id = backend_id
        self.wanted_bytes = wanted_bytes


# --- what may pass with time ---


class Overloaded(EngineError):
    """A bound on work in flight is reached. `what` names the bound."""

    may_repeat = True

    def __init__(self, *, what: str) -> None:
        super().__init__(f"{what} is at its limit")
        self.what = what


class ReadOnly(EngineError):
    """An operator has switched the deployment to reads only."""

    may_repeat = True

    def __init__(self) -> None:
        super().__init__("the deployment is read-only")


class BackendsUnavailable(EngineError):
    """No backend that holds or could take the bytes answers."""

    may_repeat = True


class NotEnoughDomains(BackendsUnavailable):
    """The scheme asks for more failure domains than there are, the ones that are down counted in."""

    def __init__(self, *, wanted_count: int, domain_count: int) -> None:
        super().__init__(f"{wanted_count} failure domains are asked for, {domain_count} may take pieces")
        self.wanted_count = wanted_count
        self.domain_count = domain_count


class BelowWriteQuorum(EngineError):
    """Fewer pieces stand than the write quorum asks for."""

    may_repeat = True

    def __init__(self, *, standing_count: int, quorum_count: int) -> None:
        super().__init__(f"{standing_count} of {quorum_count} pieces stand")
        self.standing_count = standing_count
        self.quorum_count = quorum_count


class DatabaseUnavailable(EngineError):
    """The metadata database did not do the unit; nothing happened."""

    may_repeat = True


class DatabaseFull(DatabaseUnavailable):
    """The metadata database's disk is full; nothing happened."""


class RowRefused(EngineError):
    """The schema refused a row, again and again: a bug of ours, or a database that somebody changed by hand."""

    def __init__(self, *, constraint: str) -> None:
        super().__init__(f"the metadata database refused a row: {constraint}")
        self.constraint = constraint


class OutcomeUnknown(EngineError):
    """The unit may or may not have been committed; nothing may be deleted on its account."""

    may_repeat = True


class IntentLost(EngineError):
    """An intent this write relied on was recovered by somebody else."""

    may_repeat = True


class PlacementRefused(EngineError):
    """At publish a volume was compacting or gone, or a backend takes no placements: place elsewhere and run again."""

    may_repeat = True

    def __init__(self, *, storage_keys: tuple[str, ...]) -> None:
        super().__init__("pieces stand where no placement is taken any more: " + ", ".join(storage_keys))
        self.storage_keys = storage_keys


class BlobGone(EngineError):
    """A blob that was to be shared is gone: the reaper was first. Read again, or store the bytes anew."""

    may_repeat = True

    def __init__(self, *, blob_id: bytes) -> None:
        super().__init__(f"blob {blob_id.hex()} is gone")
        self.blob_id = blob_id


class LeaseLost(EngineError):
    """The job's lease has another holder now; what this holder wrote was rolled back."""

    may_repeat = True


# --- backends ---


class BackendError(EngineError):
    """Base of what one backend reports about one call. `backend` is its name."""

    def __init__(self, message: str, *, backend: str) -> None:
        super().__init__(f"backend {backend}: {message}")
        self.backend = backend


class BackendUnavailable(BackendError):
    """The call certainly did nothing; another backend, or a later time, may do."""

    may_repeat = True


class BackendShut(BackendUnavailable):
    """It failed again and again: it was not even asked, and will be in a while."""


class BackendTimeout(BackendError):
    """The call's outcome is unknown: a write may have landed or may land later."""

    may_repeat = True


class BackendLate(BackendError):
    """It took longer than there was time for, since another store serves as well. A write may land all the same."""

    may_repeat = True


class BackendFull(BackendError):
    """The backend has no room."""


class BackendOverLimit(BackendError):
    """What may be used of the backend in a month is used up; the call was not made. `kind` says of what."""

    may_repeat = True

    def __init__(self, *, backend: str, kind: str, resets_in_s: float) -> None:
        super().__init__(f"the month's limit of {kind} is used up", backend=backend)
        self.kind = kind
        self.resets_in_s = resets_in_s


class PieceMissing(BackendError):
    """No piece under that storage key."""


class PieceCorrupt(BackendError):
    """Stored bytes do not match their checksum; they were not handed out."""


class ForeignBackend(BackendError):
    """The store's identity object is missing or another deployment's; the store is left untouched.

    `is_occupied`: it was to be a new backend's place, and something of somebody lies there.
    """

    def __init__(self, message: str, *, backend: str, is_occupied: bool = False) -> None:
        super().__init__(message, backend=backend)
        self.is_occupied = is_occupied


class UsageLimitReached(EngineError):
    """Every copy of the bytes asked for is on a backend that is over its limit of the month."""

    may_repeat = True

    def __init__(self, message: str, *, resets_in_s: float) -> None:
        super().__init__(message)
        self.resets_in_s = resets_in_s


class CorruptEverywhere(EngineError):
    """Every copy of the bytes asked for is bad or gone."""


# --- keys ---


class KeyUnavailable(EngineError):
    """The key that sealed the bytes cannot be had now. `key_id` is its fingerprint in hex."""

    def __init__(self, *, key_id: str) -> None:
        super().__init__(f"the key {key_id} is not available")
        self.key_id = key_id


class WrongKey(EngineError):
    """The provider's key does not open the existing ring. Nothing is initialised again."""


class SealBroken(EngineError):
    """Sealed bytes do not authenticate: altered, truncated, swapped, or of another blob."""


# --- configuration ---


class ConfigProblem:
    """One thing wrong with a configuration file: where it stands and what to do."""

    __slots__ = ("line", "message", "path")

    def __init__(self, *, path: str, line: int | None, message: str) -> None:
        self.path = path
        self.line = line
        self.message = message

    def __repr__(self) -> str:
        where = f"line {self.line}: " if self.line is not None else ""
        return f"{where}{self.path}: {self.message}"


class InvalidConfig(EngineError):
    """The configuration has problems; nothing of it was applied."""

    def __init__(self, *, problems: tuple[ConfigProblem, ...]) -> None:
        super().__init__("; ".join(map(repr, problems)))
        self.problems = problems


class MalformedField(EngineError):
    """A field of a request has no acceptable value."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"{field}: {message}")
        self.field = field
        self.message = message


class NoSuchResource(EngineError):
    """No resource of that name. `name` is its resource name, such as `backends/near`."""

    def __init__(self, *, name: str) -> None:
        super().__init__(f"no {name}")
        self.name = name


class ResourceExists(EngineError):
    """The name is taken. `name` is its resource name, such as `identities/alice`."""

    def __init__(self, *, name: str) -> None:
        super().__init__(f"{name} exists")
        self.name = name


class EtagMismatch(EngineError):
    """The resource was changed since its etag was read: read it again."""

    def __init__(self, *, name: str) -> None:
        super().__init__(f"{name} was changed since its etag was read: read it again")
        self.name = name


class IdentityCannot(EngineError):
    """An identity may not do what a caller would have it do. `why` is for people."""

    def __init__(self, *, identity: str, why: str) -> None:
        super().__init__(f"identities/{identity} cannot do this: {why}")
        self.identity = identity
        self.why = why


class CountMismatch(EngineError):
    """There are more or fewer of what is to be destroyed than the caller has seen: look again."""

    def __init__(self, *, what: str, expected_count: int, found_count: int) -> None:
        super().__init__(f"{expected_count} {what} were expected, there are {found_count}: look again")
        self.what = what
        self.expected_count = expected_count
        self.found_count = found_count


class WiderThanCaller(EngineError):
    """Something of a call reaches further than its caller may; `why` says how far that is."""

    def __init__(self, why: str) -> None:
        super().__init__(why)


class OwnedByConfig(EngineError):
    """The configuration says it, so it is changed there. `what` is what was to be changed of the resource `name`."""

    def __init__(self, *, name: str, what: str) -> None:
        super().__init__(f"the configuration names {name}: {what} is changed there, with a reload")
        self.name = name
        self.what = what


class ResumeTooOld(EngineError):
    """A stream cannot go on from where it is asked to: what happened since is not known (any more)."""

    def __init__(self) -> None:
        super().__init__("the resume token is not known here (any more): begin again without one")


class RedundancyAtRisk(EngineError):
    """What is asked for would leave objects, or new ones, without the copies that their schemes ask for."""

    def __init__(self, *, backend: str, lacks: Sequence[str]) -> None:
        super().__init__(f"{backend!r} cannot be emptied: {'; '.join(lacks)}")
        self.backend = backend
        self.lacks = tuple(lacks)


class BackendInState(EngineError):
    """A backend in that state is none of which this can be asked; `hint` says what can be done."""

    def __init__(self, *, backend: str, state: str, hint: str) -> None:
        super().__init__(f"{backend!r} is {state}: {hint}")
        self.backend = backend
        self.state = state
        self.hint = hint


class DrainIncomplete(EngineError):
    """Pieces are left on a backend that was to be emptied. What moved stays moved, and nothing was lost by it."""

    may_repeat = True

    def __init__(self, *, backend: str, left_count: int, is_at_least: bool, why: str) -> None:
        many = f"{'more than ' if is_at_least else ''}{left_count} {'piece' if left_count == 1 else 'pieces'}"
        super().__init__(f"{many} could not be moved off {backend!r}: {why}")
        self.backend = backend
        self.left_count = left_count


class InstanceStopping(EngineError):
    """An instance that was asked to stop cannot be asked to go on."""

    def __init__(self, *, instance: str) -> None:
        super().__init__(f"{instance} was asked to stop")
        self.instance = instance


class NoCache(EngineError):
    """The configuration names no cache of blobs."""

    def __init__(self) -> None:
        super().__init__("no cache is configured: storage.cache names one")


class WorkerDisabled(EngineError):
    """A run was asked of a worker that is switched off or paused."""

    def __init__(self, *, worker: str) -> None:
        super().__init__(f"the worker {worker} is switched off or paused; workers.{worker}.enabled says so")
        self.worker = worker


class OperationOpen(EngineError):
    """Something was asked of an operation that only one that has ended allows."""

    def __init__(self, *, name: str) -> None:
        super().__init__(f"{name} has not ended: cancel it first, or wait for its end")
        self.name = name


class StartRefused(EngineError):
    """The deployment must not start like this; the message says what to do."""


class SchemaTooNew(StartRefused):
    """The database was written by a newer Penstock."""
