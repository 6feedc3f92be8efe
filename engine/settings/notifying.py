"""Targets of notifications: what a bucket's notification document may name."""

from typing import Annotated, Literal

from pydantic import Field

from engine.settings.quantities import Flag, Seconds, one_of
from engine.settings.secret import Secret
from engine.settings.section import Section
from engine.settings.texts import HttpEndpoint, TargetText


class TargetSettings(Section):
    """A webhook that events of buckets are sent to, as `arn:penstock:notify:::NAME` in their notification documents."""

    name: TargetText
    """Name of the target, used once."""

    url: HttpEndpoint
    """Where events are sent by POST; certificates are verified, and no redirect is followed."""

    secret: Secret
    """Key of at least 16 bytes by which messages are signed (HMAC-SHA256); sealed wherever it is stored."""

    format: Annotated[Literal["s3", "cloudevents"], one_of("s3", "cloudevents")] = "s3"
    """`s3` sends S3's event message, `cloudevents` the same as a CloudEvent 1.0 in structured mode."""

    allow_private: Flag = False
    """Whether it may be at an address of this machine or an inner network, which is refused otherwise."""

    timeout_s: Seconds = Field(default=10.0, alias="timeout", ge=0.1, le=15.0)
    """How long one delivery may take."""
