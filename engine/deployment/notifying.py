"""Targets of notifications as a generation names them."""

from collections.abc import Mapping

from engine.notifications.targets import MessageFormat, Target
from engine.settings import LiveSettings


def notification_targets(live: LiveSettings) -> Mapping[str, Target]:
    """By name."""
    return {
        each.name: Target(
            name=each.name,
            url=each.url,
            secret=each.secret.reveal().encode(),
            format=MessageFormat(each.format),
            allows_private=each.allow_private,
            timeout_s=each.timeout_s,
        )
        for each in live.notifications
    }
