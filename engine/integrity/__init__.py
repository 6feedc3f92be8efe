"""Digests and checksums: computed once as bytes pass, compared before they count."""
