"""ConfigService: what configuration runs, checks of a new one, and how one takes the place of another."""

import asyncio
import hashlib
import json
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar

from penstock.admin.v1 import config_pb2, roles_pb2
from penstock.admin.v1 import config_service_pb2 as pb
from penstock.admin.v1 import config_service_pb2_grpc as pb_grpc

from controlplane.callers import calling
from controlplane.fields import read_name, read_page_size, read_page_token, write_page_token
from controlplane.pool import EnginePool
from controlplane.services.config_messages import (
    PENDING,
    processes,
    write_change,
    write_document,
    write_generation,
    write_source,
)
from controlplane.times import timestamp
from engine.clock import Ids
from engine.deployment.opening import OpenDeployment
from engine.deployment.reloading import Reloaded, Reloading
from engine.errors import ConfigProblem, InvalidConfig, MalformedField, NoSuchResource, WiderThanCaller
from engine.metadata import generations
from engine.metadata.generations import Generation
from engine.metadata.store import Tx
from engine.settings import live_to_document, settings_of
from engine.settings.differences import Change, Effect, redacted
from engine.settings.load import read_file
from engine.settings.references import Surroundings, resolve
from engine.settings.source import Path, path_text, read_source
from engine.settings.sources import live_sources, node_sources

WAIT_POLL_S = 0.1
WATCH_POLL_S = 0.5
WAIT_MAX_S = 50.0
ANSWER_TIME_S = 0.5
"""Of a call's time, kept for its answer."""

NEWEST = 2**62
COMMENT_LENGTH_MAX = 1000

T = TypeVar("T")


class ConfigServicer(pb_grpc.ConfigServiceServicer):
    def __init__(
        self, opened: OpenDeployment, environ: Mapping[str, str], *, ids: Ids, pool: EnginePool
    ) -> None:
        self._opened = opened
        self._store = opened.store
        self._config_file = opened.settings.path
        self._surroundings = Surroundings(environ=environ, folder=self._config_file.parent)
        self._pool = pool
        self._reloading = Reloading(opened.store, opened.ring, opened.settings, environ=environ, ids=ids)

    async def GetConfig(self, request: pb.GetConfigRequest, context: Any) -> pb.GetConfigResponse:
        if request.view == config_pb2.CONFIG_VIEW_FILE:
            return await self._pool.run(self._file)
        if request.view == config_pb2.CONFIG_VIEW_RUNTIME:
            return await self._pool.run(self._runtime)
        if request.view in (config_pb2.CONFIG_VIEW_UNSPECIFIED, config_pb2.CONFIG_VIEW_EFFECTIVE):
            return await self._pool.run(self._effective)
        raise MalformedField("view", "no view that is known here")

    async def ValidateConfig(
        self, request: pb.ValidateConfigRequest, context: Any
    ) -> pb.ValidateConfigResponse:
        problems = await self._pool.run(self._problems, _read_raw(request.raw))
        answer = pb.ValidateConfigResponse()
        for problem in problems:
            answer.problems.add(path=problem.path, line=problem.line or 0, message=problem.message)
        return answer

    async def DiffConfig(self, request: pb.DiffConfigRequest, context: Any) -> pb.DiffConfigResponse:
        old = _read_generation("from_generation", request.from_generation)
        new = _read_generation("to_generation", request.to_generation)
        if request.raw:
            if new is not None:
                raise MalformedField("raw", "either it or `to_generation` is compared")
            if calling().role < roles_pb2.ROLE_ADMIN:
                raise WiderThanCaller(
                    "references of a text that is sent are looked up here: only an admin may ask"
                )
            raw = _read_raw(request.raw)
            changes = await self._pool.run(self._of_text, raw, partial(self._reloading.difference, old, raw))
        else:
            changes = await self._pool.run(self._of_file, partial(self._reloading.difference, old, new))
        return pb.DiffConfigResponse(changes=map(write_change, changes))

    async def ReloadConfig(self, request: pb.ReloadConfigRequest, context: Any) -> pb.ReloadConfigResponse:
        reload = partial(self._reloading.reload, author=calling().name, validate_only=request.validate_only)
        done = await self._pool.run(self._of_file, reload)
        answer = pb.ReloadConfigResponse(
            generation=done.generation,
            committed=done.is_new,
            changes=map(write_change, done.changes),
            warnings=_warnings(done),
        )
        if not request.validate_only:
            answer.processes.extend(await self._taking(done.generation, request.wait, context))
        return answer

    async def ApplyConfig(self, request: pb.ApplyConfigRequest, context: Any) -> pb.ApplyConfigResponse:
        raw = _read_raw(request.raw)
        apply = partial(
            self._reloading.apply,
            raw,
            author=calling().name,
            base=_read_generation("base_generation", request.base_generation),
            comment=_read_comment(request.comment),
            validate_only=request.validate_only,
        )
        done = await self._pool.run(self._of_text, raw, apply)
        answer = pb.ApplyConfigResponse(
            generation=done.generation,
            committed=done.is_new,
            changes=map(write_change, done.changes),
            warnings=_warnings(done),
        )
        if not request.validate_only:
            answer.processes.extend(await self._taking(done.generation, request.wait, context))
        return answer

    async def RollbackConfig(
        self, request: pb.RollbackConfigRequest, context: Any
    ) -> pb.RollbackConfigResponse:
        if request.generation < 1:
            raise MalformedField("generation", "generations count from 1")
        done = await self._pool.run(
            self._reloading.roll_back,
            request.generation,
            author=calling().name,
            validate_only=request.validate_only,
        )
        answer = pb.RollbackConfigResponse(
            generation=done.generation,
            committed=done.is_new,
            changes=map(write_change, done.changes),
            warnings=_warnings(done),
        )
        if not request.validate_only:
            answer.processes.extend(await self._taking(done.generation, request.wait, context))
        return answer

    async def ListConfigGenerations(
        self, request: pb.ListConfigGenerationsRequest, context: Any
    ) -> pb.ListConfigGenerationsResponse:
        count_max = read_page_size(request.page_size)
        before = _read_position(read_page_token(request.page_token))
        shown, position = await self._pool.run(self._page, before, count_max)
        return pb.ListConfigGenerationsResponse(generations=shown, next_page_token=write_page_token(position))

    async def GetConfigGeneration(
        self, request: pb.GetConfigGenerationRequest, context: Any
    ) -> pb.GetConfigGenerationResponse:
        leaf = read_name("name", request.name, "configGenerations")
        if not leaf.isascii() or not leaf.isdecimal() or len(leaf) > 18:
            raise MalformedField(
                "name", f"expected `configGenerations/{{number}}`, got {request.name[:80]!r}"
            )
        return await self._pool.run(self._one, int(leaf))

    async def WatchConfig(
        self, request: pb.WatchConfigRequest, context: Any
    ) -> AsyncIterator[pb.WatchConfigResponse]:
        told: pb.WatchConfigResponse | None = None
        while True:
            seen = await self._pool.run(self._store.read, _state)
            if seen != told:
                told = seen
                yield seen
            await asyncio.sleep(WATCH_POLL_S)

    async def _taking(self, generation: int, wait: bool, context: Any) -> list[config_pb2.ConfigProcess]:
        """What each live process makes of a generation, once all have said so or the call's time is nearly over."""
        left_s = context.time_remaining()
        most_s = WAIT_MAX_S if left_s is None else min(WAIT_MAX_S, left_s - ANSWER_TIME_S)
        deadline_s = time.monotonic() + most_s
        while True:
            found = await self._pool.run(self._store.read, partial(processes, generation=generation))
            if not wait or not any(each.state == PENDING for each in found) or time.monotonic() >= deadline_s:
                return found
            await asyncio.sleep(WAIT_POLL_S)

    def _effective(self) -> pb.GetConfigResponse:
        newest = self._store.read(generations.current)
        if newest is None:
            raise NoSuchResource(name="config")
        return self._shown(newest, json.loads(newest.document))

    def _runtime(self) -> pb.GetConfigResponse:
        snapshot = self._opened.snapshot
        row = self._store.read(partial(generations.find, generation=snapshot.generation))
        if row is None:
            raise NoSuchResource(name=f"configGenerations/{snapshot.generation}")
        return self._shown(row, live_to_document(snapshot.live, lambda _: b""))

    def _shown(self, row: Generation, live: Mapping[str, Any]) -> pb.GetConfigResponse:
        settings = self._opened.settings
        node = settings.node.model_dump(mode="json", by_alias=True, exclude_none=True)
        sources = [
            *node_sources(settings.node, settings.node_references),
            *live_sources(live, node=settings.node.node.name, is_of_file=row.file_digest is not None),
        ]
        digest = self._file_digest()
        return pb.GetConfigResponse(
            generation=row.generation,
            config=write_document(redacted({**node, **live})),
            author=row.author,
            create_time=timestamp(row.created_at_us),
            file_matches=digest is not None and digest == row.file_digest,
            sources=map(write_source, sources),
        )

    def _file(self) -> pb.GetConfigResponse:
        raw = read_file(self._config_file)
        newest = self._store.read(generations.current)
        return pb.GetConfigResponse(
            config=write_document(redacted(read_source(raw).value)),
            file_matches=newest is not None and hashlib.sha256(raw).digest() == newest.file_digest,
        )

    def _page(self, before: int, count_max: int) -> tuple[list[config_pb2.ConfigGeneration], str | None]:
        # One more tells what the last of the page changed, and whether there is another page.
        rows = self._store.read(partial(generations.list_generations, before=before, count_max=count_max + 1))
        shown = rows[:count_max]
        befores: list[Generation | None] = [*rows[1:], None]
        told = [
            write_generation(row, () if was is None else self._reloading.changes(was, row))
            for row, was in zip(shown, befores, strict=False)
        ]
        return told, str(shown[-1].generation) if len(rows) > count_max else None

    def _one(self, number: int) -> pb.GetConfigGenerationResponse:
        row, before = self._store.read(
            lambda tx: (generations.find(tx, number), generations.find(tx, number - 1))
        )
        if row is None:
            raise NoSuchResource(name=f"configGenerations/{number}")
        changes = self._reloading.changes(before, row)
        return pb.GetConfigGenerationResponse(
            generation=write_generation(row, () if before is None else changes),
            config=write_document(redacted(json.loads(row.document))),
            changes=map(write_change, changes),
        )

    def _of_file(self, call: Callable[[], T]) -> T:
        """What a call gives that reads the file; its problems tell nothing of what references stand for."""
        try:
            return call()
        except InvalidConfig as error:
            try:
                raw = read_file(self._config_file)
            except InvalidConfig:
                raise error from None
            raise self._untold(error, raw) from error

    def _of_text(self, raw: bytes, call: Callable[[], T]) -> T:
        """The same of a call about a text that was sent."""
        try:
            return call()
        except InvalidConfig as error:
            raise self._untold(error, raw) from error

    def _untold(self, error: InvalidConfig, raw: bytes) -> InvalidConfig:
        return InvalidConfig(problems=tuple(untold(each, raw, self._surroundings) for each in error.problems))

    def _problems(self, raw: bytes) -> list[ConfigProblem]:
        # Relative paths of the text mean what they mean in the node's own file.
        try:
            settings_of(raw, path=self._config_file, environ=self._surroundings.environ)
        except InvalidConfig as error:
            return list(self._untold(error, raw).problems)
        return []

    def _file_digest(self) -> bytes | None:
        try:
            return hashlib.sha256(self._config_file.read_bytes()).digest()
        except OSError:
            return None


def untold(problem: ConfigProblem, raw: bytes, surroundings: Surroundings) -> ConfigProblem:
    """The problem without what references stand for: a caller may send a reference to any file of this node."""
    try:
        resolution = resolve(read_source(raw).value, surroundings)
    except InvalidConfig:
        return problem
    message = problem.message
    for place, reference in resolution.references.items():
        if place in resolution.unresolved:
            continue
        if path_text(place) == problem.path:
            message = f"what {reference} stands for is not accepted here"
            break
        value = _value_at(resolution.value, place)
        if value:
            message = message.replace(value, reference)
    return ConfigProblem(path=problem.path, line=problem.line, message=message)


def _value_at(value: Any, place: Path) -> str:
    for step in place:
        value = value[step]
    return str(value)


def _state(tx: Tx) -> pb.WatchConfigResponse:
    newest = generations.newest_number(tx)
    return pb.WatchConfigResponse(generation=newest, processes=processes(tx, newest))


def _warnings(done: Reloaded) -> list[str]:
    told = [f"bucket {name!r} is kept: a configuration names it no more" for name in done.kept_buckets]
    waiting = sorted({each.effect for each in done.changes} - {Effect.LIVE}, key=lambda each: each.value)
    return told + [f"{_paths(done.changes, effect)}: counts after a {effect.value}" for effect in waiting]


def _paths(changes: Sequence[Change], effect: Effect) -> str:
    return ", ".join(each.path for each in changes if each.effect is effect)


def _read_raw(text: str) -> bytes:
    if not text.strip():
        raise MalformedField("raw", "the text of a configuration file is required")
    return text.encode()


def _read_comment(text: str) -> str | None:
    if len(text) > COMMENT_LENGTH_MAX or not text.isprintable():
        raise MalformedField(
            "comment", f"a comment is one line of at most {COMMENT_LENGTH_MAX} printable characters"
        )
    return text.strip() or None


def _read_generation(field: str, number: int) -> int | None:
    if number < 0:
        raise MalformedField(field, "generations count from 1; 0 means none of them")
    return number or None


def _read_position(position: str | None) -> int:
    if position is None:
        return NEWEST
    if not position.isascii() or not position.isdecimal() or len(position) > 18:
        raise MalformedField("page_token", "not a token of this method")
    return int(position)
