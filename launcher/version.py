"""The version of this installation."""

import platform
from importlib.metadata import version


def version_line() -> str:
    """Name, version, and the Python it runs on."""
    system = f"{platform.system()} {platform.machine()}"
    return f"penstock {version('penstock')} (Python {platform.python_version()}, {system})"
