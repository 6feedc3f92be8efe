"""The control plane: the gRPC admin API and the background workers."""
