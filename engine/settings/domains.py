"""Failure domains of backends that do not name one: volumes on one disk fail together, stores by themselves."""

from collections.abc import Sequence
from pathlib import Path

from engine.settings.storage import BackendSettings


def with_domains(backends: Sequence[BackendSettings], *, node: str) -> tuple[BackendSettings, ...]:
    """The backends with node and failure domain filled in.

    The domain of a volume is named after the first backend on its disk, because device numbers change between boots.
    """
    first_on_device: dict[int, str] = {}
    placed = []
    for each in backends:
        domain = each.failure_domain
        if each.path is not None:
            device_domain = first_on_device.setdefault(_device(each.path), f"{node}/disk-of-{each.name}")
            domain = domain or device_domain
            update = {"failure_domain": domain, "node": each.node or node}
        elif each.kind == "s3":
            # The same on every node, since every node reaches it.
            update = {"failure_domain": domain or each.name}
        else:
            update = {"failure_domain": domain or f"{node}/{each.name}"}
        placed.append(each.model_copy(update=update))
    return tuple(placed)


def _device(path: Path) -> int:
    """Device of a folder, or of the nearest one above it that is there."""
    for folder in (path, *path.parents):
        try:
            return folder.stat().st_dev
        except OSError:
            continue
    return -1
