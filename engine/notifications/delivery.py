"""One delivery: a message in its target's format, sent."""

from typing import Protocol

from engine.clock import id_text
from engine.notifications.messages import cloud_event, with_region
from engine.notifications.targets import MessageFormat, Target


class Sender(Protocol):
    """How a message reaches its target; see `engine.notifications.webhooks.Webhooks`."""

    def send(self, target: Target, body: bytes, *, event_id: str, content_type: str) -> None: ...


def deliver(sender: Sender, target: Target, message: str, *, event_id: bytes, region: str) -> None:
    """Returns once the receiver has it. Raises DeliveryFailed."""
    told_id = id_text(event_id)
    text, content_type = with_region(message, region), "application/json"
    if target.format is MessageFormat.CLOUD_EVENTS:
        text = cloud_event(text, event_id=told_id)
        content_type = "application/cloudevents+json; charset=UTF-8"
    sender.send(target, text.encode(), event_id=told_id, content_type=content_type)
