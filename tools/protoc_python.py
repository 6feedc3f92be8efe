"""A protoc plugin that makes Python messages or services with grpcio-tools.

buf runs plugins that speak protoc's plugin protocol (CodeGeneratorRequest on stdin, CodeGeneratorResponse on stdout);
grpcio-tools ships a whole protoc instead, with the Python generators built in. This adapter hands the one to the other.
"""

import sys
import tempfile
from pathlib import Path

from google.protobuf import descriptor_pb2
from google.protobuf.compiler import plugin_pb2
from grpc_tools import protoc

OUTPUTS = {"messages": "--python_out", "services": "--grpc_python_out"}


def generate(request: plugin_pb2.CodeGeneratorRequest, kind: str) -> plugin_pb2.CodeGeneratorResponse:
    """Generate `kind` (a key of `OUTPUTS`) for the files the request asks for."""
    response = plugin_pb2.CodeGeneratorResponse()
    response.supported_features = plugin_pb2.CodeGeneratorResponse.FEATURE_PROTO3_OPTIONAL
    files = descriptor_pb2.FileDescriptorSet(file=request.proto_file)
    with tempfile.TemporaryDirectory() as folder:
        described = Path(folder, "files.binpb")
        described.write_bytes(files.SerializeToString())
        out = Path(folder, "out")
        out.mkdir()
        wanted = [
            file.name
            for file in request.proto_file
            if file.name in set(request.file_to_generate) and (kind == "messages" or file.service)
        ]
        if wanted:
            status = protoc.main(
                ["protoc", f"--descriptor_set_in={described}", f"{OUTPUTS[kind]}={out}", *wanted]
            )
            if status != 0:
                response.error = f"grpcio-tools' protoc ended with {status}"
                return response
        for path in sorted(out.rglob("*.py")):
            response.file.add(name=str(path.relative_to(out)), content=path.read_text())
    return response


def main() -> None:
    """Read a request, write a response."""
    request = plugin_pb2.CodeGeneratorRequest.FromString(sys.stdin.buffer.read())
    sys.stdout.buffer.write(generate(request, sys.argv[1]).SerializeToString())


if __name__ == "__main__":
    main()
