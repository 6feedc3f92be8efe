"""Writes docs/reference/control-api.md from the protos: every rpc with its role, every message with its fields."""

import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    EnumDescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
    FileDescriptorSet,
    MethodDescriptorProto,
    ServiceDescriptorProto,
)
from penstock.admin.v1 import roles_pb2

from controlplane.methods import SERVICES
from tools.reference_page import REFERENCE, cell, run

PAGE = REFERENCE / "control-api.md"
PROTO = Path(__file__).parent.parent / "proto"
THIRD_PARTY = Path(__file__).parent.parent / "third_party"
PACKAGE = "penstock.admin.v1"

INTRODUCTION = """\
# Control API

gRPC, package `penstock.admin.v1`; the protos in `proto/` are the API, and this page is written from them by
`tools/control_api_reference.py`. `adminctl` speaks nothing else; stubs in any language do as well.

- **Where**: `listen.control` for bearers of admin tokens (metadata `authorization: Bearer TOKEN`) and owners of client
  certificates ([TLS](../howto/tls.md)), and two unix sockets in `node.state_dir` that need neither: `admin.sock` stands
  for an admin, `viewer.sock` for a viewer. Without any token or certificate there is no TCP listener. The folder has
  mode 0700, the sockets 0600.
- **Tokens** may be held to scopes, such as `WorkerService/*`, and end; a stream outlasts its token by ten seconds.
- **Roles**: `viewer` reads, `operator` also runs what can be undone, `admin` everything; each may what those before it
  may. A caller whose role does not suffice gets `PERMISSION_DENIED`, a stranger `UNAUTHENTICATED`.
- **Errors** are rich: `google.rpc.Status` with an `ErrorInfo` of domain `penstock` and a reason from
  [the list](error-reasons.md); `INVALID_ARGUMENT` names the fields in `BadRequest`.
- **Pages**: `page_size` is at most 1000, and 50 when 0; `next_page_token` goes into the next call's `page_token`.
- **Audit**: a method that changes something leaves two events, before it does anything and before it is answered; when
  the first cannot be written the call is refused. Every answer's trailing metadata has `x-request-id`, by which events
  and log lines are found, and an error has it as `RequestInfo`. A caller may send its own: 1 to 64 of A-Z, a-z, 0-9,
  `.`, `_` and `-`; anything else is ignored.
- **Bounds**: messages of 4 MiB, metadata of 16 KiB, 100 calls at once on a connection, 400 on a listener, 256
  connections to it, 60 seconds a call or the caller's deadline, whichever is shorter. Over TCP 50 calls a second are
  taken on after a burst of 100; the others wait their turn.
- `grpc.health.v1.Health` answers every caller; `grpc.reflection.v1alpha` answers on the unix sockets only.
"""


class Comments:
    """Leading comments of a file's elements, by their path in the descriptor."""

    def __init__(self, file: FileDescriptorProto) -> None:
        self._texts = {tuple(each.path): each.leading_comments for each in file.source_code_info.location}

    def of(self, *path: int) -> str:
        """Paragraphs, each on lines of its own, without the comment's indentation."""
        lines = [
            line.removeprefix(" ").rstrip() for line in self._texts.get(path, "").strip("\n").split("\n")
        ]
        return "\n".join(lines).strip()


def page() -> str:
    """The whole page as Markdown."""
    files = _files()
    order = [service.full_name for service in SERVICES]
    services: dict[str, list[str]] = {}
    messages: dict[str, list[str]] = {}
    used_once: set[str] = set()
    for file in files:
        comments = Comments(file)
        own = {
            message.name: list(_fields(message, comments, index))
            for index, message in enumerate(file.message_type)
        }
        for index, service in enumerate(file.service):
            services[f"{file.package}.{service.name}"] = list(_service(service, comments, index, own))
            used_once |= {
                _leaf(name) for each in service.method for name in (each.input_type, each.output_type)
            }
        for index, message in enumerate(file.message_type):
            messages[message.name] = [
                f"### {message.name}\n",
                f"{comments.of(4, index)}\n",
                *own[message.name],
            ]
        for index, enum in enumerate(file.enum_type):
            messages[enum.name] = [
                f"### {enum.name}\n",
                f"{comments.of(5, index)}\n",
                *_values(enum, comments, index),
            ]
    parts = [INTRODUCTION]
    for name in order:
        parts += services[name]
    parts.append("## Messages\n")
    for name in sorted(messages.keys() - used_once):
        parts += messages[name]
    return "\n".join(parts).rstrip("\n") + "\n"


def _files() -> Sequence[FileDescriptorProto]:
    """Our protos, with their comments."""
    names = sorted(str(path) for path in PROTO.rglob("*.proto"))
    with tempfile.TemporaryDirectory() as folder:
        described = Path(folder, "files.binpb")
        # In a process of its own: importing the compiler hooks into imports.
        command = [sys.executable, "-m", "grpc_tools.protoc", f"-I{PROTO}", f"-I{THIRD_PARTY}"]
        options = ["--include_source_info", f"--descriptor_set_out={described}"]
        subprocess.run([*command, *options, *names], check=True, capture_output=True)
        return FileDescriptorSet.FromString(described.read_bytes()).file


def _service(
    service: ServiceDescriptorProto, comments: Comments, index: int, own: Mapping[str, Sequence[str]]
) -> Iterator[str]:
    yield f"## {service.name}\n"
    yield f"{comments.of(6, index)}\n"
    for number, method in enumerate(service.method):
        yield f"### {method.name}\n"
        yield f"{_signature(method)} · role **{_role(method)}**\n"
        yield f"{comments.of(6, index, 2, number)}\n"
        for title, name in (("Request", _leaf(method.input_type)), ("Answer", _leaf(method.output_type))):
            if own[name]:
                yield f"{title}:\n"
                yield from own[name]


def _signature(method: MethodDescriptorProto) -> str:
    streams = "stream " if method.server_streaming else ""
    return f"`{_leaf(method.input_type)}` → `{streams}{_leaf(method.output_type)}`"


def _role(method: MethodDescriptorProto) -> str:
    role = method.options.Extensions[roles_pb2.required_role]
    return roles_pb2.Role.Name(role).removeprefix("ROLE_").lower()


def _fields(message: DescriptorProto, comments: Comments, index: int) -> Iterator[str]:
    if not message.field:
        return
    yield "| field | type | meaning |\n|---|---|---|"
    for number, field in enumerate(message.field):
        yield f"| `{field.name}` | {_type(field)} | {cell(comments.of(4, index, 2, number))} |"
    yield ""


def _type(field: FieldDescriptorProto) -> str:
    if field.type_name:
        leaf = _leaf(field.type_name)
        name = f"[{leaf}](#{leaf.lower()})" if field.type_name.startswith(f".{PACKAGE}.") else f"`{leaf}`"
    else:
        name = FieldDescriptorProto.Type.Name(field.type).removeprefix("TYPE_").lower()
    repeated = field.label == FieldDescriptorProto.LABEL_REPEATED
    return f"{name}, repeated" if repeated else f"{name}, optional" if field.proto3_optional else name


def _values(enum: EnumDescriptorProto, comments: Comments, index: int) -> Iterator[str]:
    yield "| value | meaning |\n|---|---|"
    for number, value in enumerate(enum.value):
        yield f"| `{value.name}` | {cell(comments.of(5, index, 2, number))} |"
    yield ""


def _leaf(type_name: str) -> str:
    return re.sub(r".*\.", "", type_name)


if __name__ == "__main__":
    sys.exit(run(PAGE, page, description=__doc__))
