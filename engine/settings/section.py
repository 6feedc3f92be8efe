"""The base of every section of the configuration: strict, frozen, and closed to keys it does not know."""

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """Fields' docstrings state unit and meaning; the configuration reference is written from them.

    Nothing is converted but what `quantities` converts, and errors do not repeat what was given: it may be a secret.
    """

    model_config = ConfigDict(
        strict=True,
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,
    )
