"""The configuration: one strict YAML file, its node settings, and the live part that generations hold."""

from engine.settings.documents import live_from_document, live_to_document
from engine.settings.live import LiveSettings
from engine.settings.load import Settings, load_settings, settings_of
from engine.settings.node import NodeSettings
from engine.settings.secret import Secret

__all__ = [
    "LiveSettings",
    "NodeSettings",
    "Secret",
    "Settings",
    "live_from_document",
    "live_to_document",
    "load_settings",
    "settings_of",
]
