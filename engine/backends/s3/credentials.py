"""The keys requests are signed with: given in the configuration, or found as AWS's own tools find them."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any


class NoKeys(Exception):
    """There are no keys to sign with; the message says where they were looked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningKeys:
    """An access key with its secret; `token` belongs to temporary ones."""

    access_key_id: str
    secret: str = field(repr=False)
    token: str | None = field(default=None, repr=False)


KeySource = Callable[[], SigningKeys]
"""The keys to sign with now. Raises NoKeys."""


def given_keys(access_key_id: str, secret: str) -> KeySource:
    """Keys that stay the same."""
    keys = SigningKeys(access_key_id=access_key_id, secret=secret)
    return lambda: keys


class FoundKeys:
    """Keys from the environment, a profile, or the machine's metadata service (IMDS), renewed when they run out.

    Safe for many threads.
    """

    def __init__(self, profile: str | None) -> None:
        self._profile = profile
        self._found: Any = None

    def __call__(self) -> SigningKeys:
        # Importing botocore takes a tenth of a second, which only those who need it pay.
        from botocore.exceptions import BotoCoreError

        try:
            if self._found is None:
                self._found = self._find()
            frozen = None if self._found is None else self._found.get_frozen_credentials()
        except BotoCoreError as error:
            raise NoKeys(str(error)) from error
        if frozen is None or not frozen.access_key or not frozen.secret_key:
            where = "the environment, AWS profiles and the machine's metadata service have"
            raise NoKeys(
                f"{where} no access key" if self._profile is None else f"profile {self._profile!r} has none"
            )
        return SigningKeys(access_key_id=frozen.access_key, secret=frozen.secret_key, token=frozen.token)

    def _find(self) -> Any:
        import botocore.session

        return botocore.session.Session(profile=self._profile).get_credentials()
