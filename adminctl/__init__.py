"""The operator's command line: it speaks the public gRPC API and nothing else."""
