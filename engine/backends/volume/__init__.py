"""Kind `volume`: pieces as records of append-only files in a local directory (docs/reference/formats/volume.md)."""
