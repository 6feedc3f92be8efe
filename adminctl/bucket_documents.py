"""Tags and CORS rules of buckets as operators write and read them."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, BinaryIO

import click
from penstock.admin.v1 import bucket_pb2

CORS_KEYS = {
    "ID": "id",
    "AllowedOrigins": "allowed_origins",
    "AllowedMethods": "allowed_methods",
    "AllowedHeaders": "allowed_headers",
    "ExposeHeaders": "expose_headers",
    "MaxAgeSeconds": "max_age",
}
"""Keys of a rule as `aws s3api` has them, and the fields they stand for."""


def tags_of(texts: Iterable[str]) -> dict[str, str]:
    """`KEY=VALUE` each."""
    tags: dict[str, str] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals or key in tags:
            why = "stands there twice" if equals else "is no KEY=VALUE"
            raise click.BadParameter(f"{text[:80]!r} {why}", param_hint="--tag")
        tags[key] = value
    return tags


def cors_rules_of(file: BinaryIO) -> list[bucket_pb2.CorsRule]:
    """`{"CORSRules": [{"AllowedOrigins": [...], "AllowedMethods": [...], ...}]}`, or the list alone."""
    try:
        told = json.loads(file.read())
        rules = told["CORSRules"] if isinstance(told, dict) else told
        if not isinstance(rules, list) or not rules:
            raise ValueError("no rules")
        return [_rule(each) for each in rules]
    except (ValueError, KeyError, TypeError, OverflowError) as error:
        raise click.BadParameter(
            f'{file.name}: expected {{"CORSRules": [{{"AllowedOrigins": […], "AllowedMethods": […]}}]}}: {error}',
            param_hint="--cors",
        ) from error


def cors_line(rule: bucket_pb2.CorsRule) -> str:
    """A rule in a line."""
    told = [f"{', '.join(rule.allowed_methods)} from {', '.join(rule.allowed_origins)}"]
    if rule.allowed_headers:
        told.append(f"with {', '.join(rule.allowed_headers)}")
    if rule.expose_headers:
        told.append(f"shows {', '.join(rule.expose_headers)}")
    if rule.HasField("max_age"):
        told.append(f"for {rule.max_age.seconds} s")
    if rule.id:
        told.append(f"({rule.id})")
    return "; ".join(told)


def _rule(told: Any) -> bucket_pb2.CorsRule:
    if not isinstance(told, dict):
        raise ValueError("a rule is an object")
    fields: dict[str, Any] = {}
    for key, value in told.items():
        if key not in CORS_KEYS:
            raise ValueError(f"a rule has no {key!r}")
        if key not in ("ID", "MaxAgeSeconds") and not isinstance(value, list):
            raise ValueError(f"{key} is a list")
        fields[CORS_KEYS[key]] = value
    if "max_age" in fields:
        from google.protobuf.duration_pb2 import Duration

        fields["max_age"] = Duration(seconds=fields["max_age"])
    return bucket_pb2.CorsRule(**fields)
