"""Blobs kept on a local disk because the backends they lie on cost time or money."""
