"""Makes a file, a text that was sent, or a generation of before the next generation of a deployment that serves."""

import json
import logging
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from engine.backends.s3.identity import check_vacant as check_vacant_prefix
from engine.backends.volume.identity import check_vacant
from engine.clock import Ids, SystemClock
from engine.deployment.places import occupied_message, s3_place
from engine.deployment.ring import DocumentSeal
from engine.deployment.rows import (
    apply_identities,
    apply_live,
    has_other_secret,
    kept_buckets,
    refuse_contradictions,
)
from engine.errors import (
    BackendUnavailable,
    ConcurrentWrite,
    ConfigProblem,
    ForeignBackend,
    InvalidConfig,
    NoSuchResource,
)
from engine.metadata import backends, generations
from engine.metadata.generations import Generation
from engine.metadata.store import Store, Tx
from engine.records import Origin
from engine.sealing.keyring import KeyRing
from engine.settings import LiveSettings, Settings, live_from_document, live_to_document, settings_of
from engine.settings.checks import common_problems, live_problems
from engine.settings.differences import Change, Marks, live_changes, node_changes
from engine.settings.node import NodeSettings
from engine.settings.reading import read_settled
from engine.settings.source import path_text, with_lines

ATTEMPT_COUNT_MAX = 8
"""Times a change is made again because somebody else made a generation meanwhile."""

NODE_SETTING = (
    "a setting of the node, which only its file changes: say what it runs on, or leave all of them out"
)

_log = logging.getLogger("penstock.deployment")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reloaded:
    """What became of a wish for another generation.

    `generation` is the newest one; `is_new`: it was made by this. `changes` are those to the generation before, or the
    ones that would be made; those of node settings are among them, though no generation holds them. `kept_buckets` are
    such that the configuration once made and names no more.
    """

    generation: int
    is_new: bool
    changes: Sequence[Change]
    kept_buckets: Sequence[str] = ()


class Reloading:
    """For one process of a deployment, whose file it reads. Safe for many threads, and for many processes at once."""

    def __init__(
        self,
        store: Store,
        ring: KeyRing,
        running: Settings,
        *,
        environ: Mapping[str, str],
        ids: Ids,
    ) -> None:
        """Of `running` the node's settings count, and where the file is."""
        self._store = store
        self._ring = ring
        self._path = running.path
        self._node = running.node
        self._environ = environ
        self._ids = ids
        self._seal = DocumentSeal(ring)
        self._marks = Marks()

    def reload(self, *, author: str, validate_only: bool = False) -> Reloaded:
        """Make the file the next generation, unless it says what the newest one says.

        Raises InvalidConfig, each problem with its line: of the file, of a new volume's folder, and of what the rows
        of the deployment do not allow, such as to take out a backend that holds pieces. Then nothing has changed.
        """
        raw = read_settled(self._path)
        wanted = self._settings_of(raw)
        try:
            reloaded = self._bring(
                lambda newest: wanted.live,
                file_digest=wanted.file_digest,
                author=author,
                validate_only=validate_only,
            )
        except InvalidConfig as error:
            raise InvalidConfig(problems=with_lines(error.problems, raw)) from error
        return replace(reloaded, changes=[*reloaded.changes, *self.node_changes(wanted.node)])

    def apply(
        self,
        raw: bytes,
        *,
        author: str,
        base: int | None = None,
        comment: str | None = None,
        validate_only: bool = False,
    ) -> Reloaded:
        """Make a text the next generation: that of a whole file, or one without settings of a node.

        `comment` is kept with it, for whoever wonders later why.

        Raises InvalidConfig as `reload` does, and for settings of a node other than those it runs on, which only its
        file can change; ConcurrentWrite when `base` is given, and no more the newest generation. Then nothing has
        changed. The file stays as it is.
        """
        wanted = self._settings_of(raw, standing=self._node)
        for_node = tuple(
            ConfigProblem(path=each.path, line=None, message=NODE_SETTING)
            for each in self.node_changes(wanted.node)
        )
        if for_node:
            raise InvalidConfig(problems=with_lines(for_node, raw))

        def live(newest: Generation) -> LiveSettings:
            if base is not None and newest.generation != base:
                raise ConcurrentWrite(
                    f"generation {newest.generation} is in force, and no more {base}: look again"
                )
            return wanted.live

        try:
            return self._bring(
                live, file_digest=None, author=author, comment=comment, validate_only=validate_only
            )
        except InvalidConfig as error:
            raise InvalidConfig(problems=with_lines(error.problems, raw)) from error

    def roll_back(self, number: int, *, author: str, validate_only: bool = False) -> Reloaded:
        """Make what generation `number` said the next generation.

        Raises NoSuchResource, and InvalidConfig when it cannot be any more: a reference that has no value here, a
        backend that came later and holds pieces. Then nothing has changed.
        """

        def live(newest: Generation) -> LiveSettings:
            found = (
                newest
                if newest.generation == number
                else self._store.read(partial(generations.find, generation=number))
            )
            if found is None:
                raise NoSuchResource(name=f"configGenerations/{number}")
            wanted = self._live_of(found)
            self._check(wanted)
            return wanted

        return self._bring(live, file_digest=None, author=author, validate_only=validate_only)

    def difference(self, old: int | None, new: int | bytes | None) -> list[Change]:
        """What generation `new` says otherwise than `old`; null is the newest for `old`, and the file for `new`.

        `new` may be a text as well, of the kinds that `apply` takes. Raises NoSuchResource, and InvalidConfig when the
        file or the text is invalid.
        """
        before = self._marked(self._generation(old))
        if isinstance(new, int):
            return live_changes(before, self._marked(self._generation(new)))
        if new is None:
            wanted = self._settings_of(read_settled(self._path))
        else:
            wanted = self._settings_of(new, standing=self._node)
        return [*live_changes(before, self._marks.of_live(wanted.live)), *self.node_changes(wanted.node)]

    def changes(self, before: Generation | None, generation: Generation) -> list[Change]:
        """What a generation says otherwise than another one; null for none at all."""
        return live_changes({} if before is None else self._marked(before), self._marked(generation))

    def node_changes(self, node: NodeSettings) -> list[Change]:
        """What other settings of this node say otherwise than those it runs on."""
        return node_changes(self._marks.of_node(self._node), self._marks.of_node(node))

    def _bring(
        self,
        wish: Callable[[Generation], LiveSettings],
        *,
        file_digest: bytes | None,
        author: str,
        comment: str | None = None,
        validate_only: bool,
    ) -> Reloaded:
        for _ in range(ATTEMPT_COUNT_MAX):
            newest = self._generation(None)
            live = wish(newest)
            self._refuse_occupied(live)
            changes = live_changes(self._marked(newest), self._marks.of_live(live))
            if validate_only:
                self._store.read(partial(refuse_contradictions, live=live))
                return Reloaded(generation=newest.generation, is_new=False, changes=changes)
            if not changes:
                # The same references may stand for other secrets by now.
                if self._store.read(partial(has_other_secret, live=live, ring=self._ring)):
                    self._store.write(partial(apply_identities, live=live, ring=self._ring))
                return Reloaded(generation=newest.generation, is_new=False, changes=())
            number = self._store.write(
                partial(
                    self._commit,
                    live=live,
                    seen=newest.generation,
                    file_digest=file_digest,
                    author=author,
                    comment=comment,
                )
            )
            if number is None:
                continue
            kept = kept_buckets(self._store, live)
            _log.info(
                "deployment.reloaded",
                extra={"generation": number, "author": author, "change_count": len(changes)},
            )
            return Reloaded(generation=number, is_new=True, changes=changes, kept_buckets=kept)
        raise ConcurrentWrite("others keep changing the configuration")

    def _commit(
        self,
        tx: Tx,
        *,
        live: LiveSettings,
        seen: int,
        file_digest: bytes | None,
        author: str,
        comment: str | None,
    ) -> int | None:
        """Null when somebody else made a generation after the one that was seen."""
        if generations.newest_number(tx) != seen:
            return None
        number = generations.commit_generation(
            tx,
            document=_text(live_to_document(live, self._seal.seal)),
            file_digest=file_digest,
            origin=Origin.API if file_digest is None else Origin.CONFIG,
            author=author,
            comment=comment,
        )
        apply_live(tx, live, node=self._node.node.name, ring=self._ring, ids=self._ids)
        return number

    def _settings_of(self, raw: bytes, *, standing: NodeSettings | None = None) -> Settings:
        wanted = settings_of(raw, path=self._path, environ=self._environ, standing=standing)
        name = self._node.node.name
        if wanted.node.node.name != name:
            problem = ConfigProblem(path="node.name", line=None, message=f"it is {name!r} and never changes")
            raise InvalidConfig(problems=with_lines([problem], raw))
        return wanted

    def _live_of(self, generation: Generation) -> LiveSettings:
        return live_from_document(
            json.loads(generation.document),
            self._seal.open,
            environ=self._environ,
            folder=self._path.parent,
        )

    def _check(self, live: LiveSettings) -> None:
        """What a file would be refused for, and what was accepted once may be refused for by now."""
        found = [*live_problems(live, node=self._node.node.name), *common_problems(self._node, live)]
        if found:
            raise InvalidConfig(
                problems=tuple(
                    ConfigProblem(path=path_text(place), line=None, message=why) for place, why in found
                )
            )

    def _generation(self, number: int | None) -> Generation:
        unit = generations.current if number is None else partial(generations.find, generation=number)
        found = self._store.read(unit)
        if found is None:
            raise NoSuchResource(name="config" if number is None else f"configGenerations/{number}")
        return found

    def _marked(self, generation: Generation) -> dict[str, object]:
        marked: dict[str, object] = self._marks.of_document(json.loads(generation.document), self._seal.open)
        return marked

    def _refuse_occupied(self, live: LiveSettings) -> None:
        known = {row.name for row in self._store.read(backends.list_backends)}
        problems = tuple(_occupied(live, known))
        if problems:
            raise InvalidConfig(problems=problems)


def _occupied(live: LiveSettings, known: Collection[str]) -> Iterator[ConfigProblem]:
    """New volumes want empty folders, new S3 backends empty prefixes that can be reached."""
    for index, each in enumerate(live.backends):
        if each.kind == "memory" or each.name in known:
            continue
        try:
            if each.kind == "s3":
                check_vacant_prefix(s3_place(each), each.name, SystemClock())
            else:
                check_vacant(each.folder, each.name)
        except (ForeignBackend, BackendUnavailable) as error:
            yield ConfigProblem(
                path=f"backends[{index}].{'bucket' if each.kind == 's3' else 'path'}",
                line=None,
                message=occupied_message(each.name, error),
            )


def _text(document: Mapping[str, object]) -> str:
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
