"""The part of the configuration that a generation holds: everything but the node's own settings."""

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import PrivateAttr

from engine.settings.access import (
    AdminCertificateSettings,
    AdminTokenSettings,
    BucketSettings,
    IdentitySettings,
)
from engine.settings.notifying import TargetSettings
from engine.settings.quantities import one_of
from engine.settings.running import (
    AdmissionSettings,
    DebugSettings,
    RateLimitSettings,
    TelemetrySettings,
    WorkersSettings,
)
from engine.settings.section import Section
from engine.settings.source import Path
from engine.settings.storage import BackendSettings, StorageSettings
from engine.settings.texts import RegionName


class LiveSettings(Section):
    """One validated state of everything that is not a node's own."""

    region: RegionName = "us-east-1"
    """Region that clients sign for and that GetBucketLocation answers."""

    storage: StorageSettings = StorageSettings()
    """How objects are stored."""

    backends: tuple[BackendSettings, ...]
    """Stores, in the order in which `routing: pack` fills them."""

    routing: Annotated[
        Literal["pack", "spread", "weighted", "cost"], one_of("pack", "spread", "weighted", "cost")
    ] = "spread"
    """Which backend new pieces go to, of those that may take them; what is stored stays where it is.

    `pack` fills one backend after the other, `spread` the emptiest first. `weighted` draws lots by `backends[].weight`,
    `cost` takes the one where the piece costs least by `backends[].cost`, among equals the emptiest.
    """

    identities: tuple[IdentitySettings, ...] = ()
    """S3 clients."""

    admin_tokens: tuple[AdminTokenSettings, ...] = ()
    """Tokens for the control API; without one it listens on unix sockets only."""

    admin_certificates: tuple[AdminCertificateSettings, ...] = ()
    """Client certificates that stand for tokens at the control API."""

    buckets: tuple[BucketSettings, ...] = ()
    """Buckets that are there from the start; one that is taken out is kept."""

    admission: AdmissionSettings = AdmissionSettings()
    """Bounds on what is in flight."""

    rate_limits: RateLimitSettings = RateLimitSettings()
    """Most requests a second on this node, shared out over its processes; beyond them clients get 503 `SlowDown`.

    Bursts of two seconds' worth pass. A client with a single connection meets the share of one process.
    """

    workers: WorkersSettings = WorkersSettings()
    """Background jobs."""

    notifications: tuple[TargetSettings, ...] = ()
    """Where events of buckets may be sent."""

    telemetry: TelemetrySettings = TelemetrySettings()
    """Logs."""

    debug: DebugSettings = DebugSettings()
    """What is for tests only."""

    _references: Mapping[Path, str] = PrivateAttr(default_factory=dict)

    @property
    def references(self) -> Mapping[Path, str]:
        """Where values came out of references, and the text that referred to them."""
        return self._references

    def referring(self, references: Mapping[Path, str]) -> "LiveSettings":
        """The same settings, knowing which of their values came out of references."""
        known = self.model_copy()
        known._references = dict(references)
        return known
