"""The storage engine: a library of use cases over metadata, backends and sealing; it knows no HTTP and no gRPC."""
