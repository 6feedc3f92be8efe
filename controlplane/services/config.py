"""ConfigService: what configuration runs, and checks of a new one."""

import hashlib
import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from google.protobuf.struct_pb2 import Struct
from penstock.admin.v1 import config_service_pb2 as pb, config_service_pb2_grpc as pb_grpc

from controlplane.pool import EnginePool
from controlplane.times import timestamp
from engine.errors import InvalidConfig, MalformedField, NoSuchResource
from engine.metadata.generations import current
from engine.metadata.store import Store
from engine.settings import load_settings

RAW_BYTES_MAX = 1024 * 1024
_SECRET_KEYS = frozenset({"secret_access_key", "password", "sha256", "key", "sealed"})


class ConfigServicer(pb_grpc.ConfigServiceServicer):
    def __init__(self, store: Store, config_file: Path, environ: Mapping[str, str], pool: EnginePool) -> None:
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
        if len(request.raw) > RAW_BYTES_MAX:
            raise MalformedField("raw", f"a configuration file has at most {RAW_BYTES_MAX} bytes")
        return await self._pool.run(self._validate, request.raw)

    def _validate(self, raw: str) -> pb.ValidateConfigResponse:
        answer = pb.ValidateConfigResponse()
        # Relative paths of the text mean what they mean in the node's own file.
        with tempfile.NamedTemporaryFile("w", suffix=".yaml", dir=self._folder()) as file:
            file.write(raw)
            file.flush()
            try:
                load_settings(Path(file.name), self._environ)
            except InvalidConfig as error:
                for problem in error.problems:
                    answer.problems.add(path=problem.path, line=problem.line or 0, message=problem.message)
        return answer

    def _folder(self) -> Path | None:
        folder = self._config_file.parent
        return folder if os.access(folder, os.W_OK) else None

    def _file_digest(self) -> bytes | None:
        try:
            return hashlib.sha256(self._config_file.read_bytes()).digest()
        except OSError:
            return None


def redacted(document: Any) -> Any:
    """The document without anything that could be a secret, sealed ones included."""
    if isinstance(document, dict):
        return {key: "***" if key in _SECRET_KEYS else redacted(value) for key, value in document.items()}
    if isinstance(document, list):
        return [redacted(value) for value in document]
    return document
