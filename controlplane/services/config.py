"""ConfigService: what configuration runs, and checks of a new one."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path as FilePath
from typing import Any

from google.protobuf.struct_pb2 import Struct
from penstock.admin.v1 import config_service_pb2 as pb
from penstock.admin.v1 import config_service_pb2_grpc as pb_grpc

from controlplane.pool import EnginePool
from controlplane.times import timestamp
from engine.errors import ConfigProblem, InvalidConfig, MalformedField, NoSuchResource
from engine.metadata.generations import current
from engine.metadata.store import Store
from engine.settings import settings_of
from engine.settings.references import Surroundings, resolve
from engine.settings.source import Path, path_text, read_source

_SECRET_KEYS = frozenset({"secret_access_key", "password", "sha256", "key", "sealed"})


class ConfigServicer(pb_grpc.ConfigServiceServicer):
    def __init__(
        self, store: Store, config_file: FilePath, environ: Mapping[str, str], pool: EnginePool
    ) -> None:
        self._store = store
        self._config_file = config_file
        self._environ = environ
        self._pool = pool

    async def GetConfig(self, request: pb.GetConfigRequest, context: Any) -> pb.GetConfigResponse:
        generation = await self._pool.run(self._store.read, current)
        if generation is None:
            raise NoSuchResource(name="config")
        digest = await self._pool.run(self._file_digest)
        document = Struct()
        document.update(redacted(json.loads(generation.document)))
        return pb.GetConfigResponse(
            generation=generation.generation,
            config=document,
            author=generation.author,
            create_time=timestamp(generation.created_at_us),
            file_matches=digest is not None and digest == generation.file_digest,
        )

    async def ValidateConfig(
        self, request: pb.ValidateConfigRequest, context: Any
    ) -> pb.ValidateConfigResponse:
        if not request.raw.strip():
            raise MalformedField("raw", "the text of a configuration file is required")
        problems = await self._pool.run(self._problems, request.raw.encode())
        answer = pb.ValidateConfigResponse()
        for problem in problems:
            answer.problems.add(path=problem.path, line=problem.line or 0, message=problem.message)
        return answer

    def _problems(self, raw: bytes) -> list[ConfigProblem]:
        # Relative paths of the text mean what they mean in the node's own file.
        path = self._config_file.absolute()
        try:
            settings_of(raw, path=path, environ=self._environ)
        except InvalidConfig as error:
            surroundings = Surroundings(environ=self._environ, folder=path.parent)
            return [untold(problem, raw, surroundings) for problem in error.problems]
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


def redacted(document: Any) -> Any:
    """The document without anything that could be a secret, sealed ones included."""
    if isinstance(document, dict):
        return {key: "***" if key in _SECRET_KEYS else redacted(value) for key, value in document.items()}
    if isinstance(document, list):
        return [redacted(value) for value in document]
    return document
