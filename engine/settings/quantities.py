"""Types of single values: sizes, durations, counts, addresses, paths, schemes; and what is known but not built."""

import ipaddress
import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, NoReturn

from pydantic import BeforeValidator, PlainSerializer, ValidationInfo
from pydantic_core import PydanticCustomError

from engine.records import Scheme, Sealing, read_scheme
from engine.settings.references import Resolved
from engine.units import DAY_S, GIB, HOUR_S, KIB, MIB, MINUTE_S, TIB

NOT_BUILT = "not_built"
"""Type of the error of what is known by name and does not exist yet; its `what` is a value, or empty for the key."""

_SIZE = re.compile(r"([0-9]+)\s*(B|KiB|MiB|GiB|TiB)?")
_DURATION = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*(ms|s|m|h|d)?")
_INTEGER = re.compile(r"-?[0-9]{1,18}")
_SIZE_UNITS = {None: 1, "B": 1, "KiB": KIB, "MiB": MIB, "GiB": GIB, "TiB": TIB}
_DURATION_UNITS = {None: 1.0, "ms": 0.001, "s": 1.0, "m": MINUTE_S, "h": HOUR_S, "d": DAY_S}
_SIZE_MAX_BYTES = 1 << 60
_DURATION_MAX_S = 3650 * DAY_S


def refuse(message: str, /, **context: Any) -> NoReturn:
    """Refuse a value with a message for people; `{name}` in it stands for an entry of the context."""
    raise PydanticCustomError("refused", message, context or None)


def read_size(value: Any) -> int:
    """A size in bytes: an integer, or text such as `64MiB`."""
    if isinstance(value, int) and not isinstance(value, bool):
        size_bytes = value
    else:
        match = _SIZE.fullmatch(value) if isinstance(value, str) and len(value) < 40 else None
        if match is None:
            refuse("a size is bytes, or text such as 256KiB, 64MiB, 1GiB, 2TiB")
        size_bytes = int(match[1]) * _SIZE_UNITS[match[2]]
    if not 0 <= size_bytes <= _SIZE_MAX_BYTES:
        refuse("a size lies between 0 and 2^60 bytes")
    return size_bytes


def read_duration(value: Any) -> float:
    """A duration in seconds: a number, or text such as `10s`."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        duration_s = float(value)
    else:
        match = _DURATION.fullmatch(value) if isinstance(value, str) and len(value) < 40 else None
        if match is None:
            refuse("a duration is seconds, or text such as 500ms, 10s, 5m, 1h, 2d")
        duration_s = float(match[1]) * _DURATION_UNITS[match[2]]
    if not math.isfinite(duration_s) or not 0 <= duration_s <= _DURATION_MAX_S:
        refuse("a duration lies between 0 and ten years")
    return duration_s


def _moment(value: Any) -> datetime:
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else value
    except ValueError:
        moment = None
    if not isinstance(moment, datetime) or moment.tzinfo is None:
        refuse("a moment has date, time and zone, such as 2027-01-31T00:00:00Z")
    return moment.astimezone(UTC)


def _number(value: Any) -> Any:
    return int(value) if isinstance(value, Resolved) and _INTEGER.fullmatch(value) else value


def _flag(value: Any) -> Any:
    return {"true": True, "false": False}.get(value, value) if isinstance(value, Resolved) else value


def _fraction(value: Any) -> Any:
    if isinstance(value, Resolved):
        try:
            return float(value)
        except ValueError:
            return value
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value


Bytes = Annotated[int, BeforeValidator(read_size)]
Seconds = Annotated[float, BeforeValidator(read_duration)]
Count = Annotated[int, BeforeValidator(_number)]
Flag = Annotated[bool, BeforeValidator(_flag)]
Fraction = Annotated[float, BeforeValidator(_fraction)]
Moment = Annotated[
    datetime,
    BeforeValidator(_moment),
    PlainSerializer(lambda moment: moment.isoformat().replace("+00:00", "Z")),
]


def _path(value: Any, info: ValidationInfo) -> Path:
    if isinstance(value, Path):
        return value
    if not isinstance(value, str) or not value or "\0" in value:
        refuse("a path is text")
    folder = (info.context or {}).get("folder", Path("/"))
    return Path(folder, Path(value).expanduser() if value.startswith("~") else value)


PathOnDisk = Annotated[Path, BeforeValidator(_path), PlainSerializer(str)]
"""An absolute path; a relative one starts at the folder of the configuration file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where to listen. Port 0 lets the system choose; an empty host stands for every interface."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine reaches it."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False


def _address(value: Any) -> Address:
    if isinstance(value, Address):
        return value
    host, colon, port = value.rpartition(":") if isinstance(value, str) else ("", "", "")
    if not colon or re.fullmatch("[0-9]{1,5}", port) is None or int(port) > 65535:
        refuse("an address is `host:port`, such as 127.0.0.1:9000 or [::1]:9000")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
        if ":" not in host:
            refuse("only an IPv6 address stands in brackets")
    elif ":" in host:
        refuse("an IPv6 address stands in brackets, such as [::1]:9000")
    if re.fullmatch(r"[A-Za-z0-9._:%-]*", host) is None:
        refuse("the host of an address is a name or an address of this machine")
    return Address(host=host, port=int(port))


AddressText = Annotated[Address, BeforeValidator(_address), PlainSerializer(str)]


def not_built(what: str = "") -> NoReturn:
    """Refuse what is known by name and does not exist yet: the key itself, or its value `what`."""
    raise PydanticCustomError(NOT_BUILT, "not built yet", {"what": what})


def _nothing_asked(value: Any) -> None:
    if value not in (None, False, "off", (), [], {}):
        not_built()


Absent = Annotated[None, BeforeValidator(_nothing_asked), PlainSerializer(lambda _: None)]
"""A key that is known and not built: nothing, `off` and false are accepted, whatever asks for it is refused by name."""


off_is_none = BeforeValidator(lambda value: None if value in (False, "off") else value)
"""A section that may be switched off by a word."""


def _one_of(built: tuple[str, ...], planned: tuple[str, ...]) -> Callable[[Any], Any]:
    def check(value: Any) -> Any:
        if value is False and "off" in built:
            return "off"  # A document of YAML 1.1 habits.
        if isinstance(value, str) and value in planned:
            not_built(value)
        if not isinstance(value, str) or value not in built:
            refuse("expected {names}", names=" or ".join(built))
        return str(value)

    return check


def one_of(*built: str, planned: tuple[str, ...] = ()) -> BeforeValidator:
    """One of the words that work; a planned one is refused as not built."""
    return BeforeValidator(_one_of(built, planned))


def _scheme(value: Any) -> Any:
    if isinstance(value, Scheme):
        return value
    if isinstance(value, str) and value.startswith("erasure("):
        not_built("erasure(k,m)")
    try:
        return read_scheme(value if isinstance(value, str) else "")
    except ValueError:
        refuse("a scheme is copies(n) with n from 1 to 16")


SchemeText = Annotated[Scheme, BeforeValidator(_scheme), PlainSerializer(str)]


def _sealing(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    if value not in ("none", "all"):
        refuse("expected none or all")
    return Sealing(value)


SealingText = Annotated[Sealing, BeforeValidator(_sealing), PlainSerializer(lambda sealing: sealing.value)]
