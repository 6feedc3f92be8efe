"""Methods of the API by their names, from the descriptors of the generated package: none is written down here."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import grpc
import penstock.admin.v1
from google.protobuf import json_format
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from penstock.admin.v1 import roles_pb2

from adminctl.refusals import Refused

PACKAGE = "penstock.admin.v1"


@dataclass(frozen=True, slots=True)
class Method:
    """One method of a service."""

    descriptor: MethodDescriptor

    @property
    def name(self) -> str:
        """`BackendService/ListBackends`."""
        return f"{self.descriptor.containing_service.name}/{self.descriptor.name}"

    @property
    def is_stream(self) -> bool:
        return bool(self.descriptor.server_streaming)

    @property
    def role(self) -> str:
        role = self.descriptor.GetOptions().Extensions[roles_pb2.required_role]
        return roles_pb2.Role.Name(role).removeprefix("ROLE_").lower()

    def request(self, text: str) -> Message:
        """Read from JSON; raises Refused."""
        message = GetMessageClass(self.descriptor.input_type)()
        try:
            return json_format.Parse(text or "{}", message)
        except json_format.ParseError as error:
            raise Refused(f"the request is no {self.descriptor.input_type.full_name}: {error}") from error

    def on(self, channel: grpc.Channel) -> Callable[..., Any]:
        """To be called with a request; answers a message, or an iterator of them for a stream."""
        path = f"/{self.descriptor.containing_service.full_name}/{self.descriptor.name}"
        make = channel.unary_stream if self.is_stream else channel.unary_unary
        answer = GetMessageClass(self.descriptor.output_type)
        return make(path, request_serializer=_serialized, response_deserializer=answer.FromString)


def all_methods() -> Iterator[Method]:
    """Every method of every service, by service and in the order of the protos."""
    for module in sorted(pkgutil.iter_modules(penstock.admin.v1.__path__), key=lambda each: each.name):
        if module.name.endswith("_service_pb2"):
            file = importlib.import_module(f"{PACKAGE}.{module.name}").DESCRIPTOR
            for service in file.services_by_name.values():
                yield from map(Method, service.methods)


def find_method(name: str) -> Method:
    """By `Service/Method`, with or without the package before it; raises Refused."""
    short = name.removeprefix("/").removeprefix(f"{PACKAGE}.")
    for method in all_methods():
        if method.name == short:
            return method
    raise Refused(f"there is no method {name!r}; `adminctl api list` shows them")


def _serialized(message: Message) -> bytes:
    return message.SerializeToString()
