"""Sets bytes of limited backends aside for bodies (`engine.objects.reserving.Reserver`)."""

from functools import partial

from engine.backends.base import Backend
from engine.deployment.allowances import Allowances
from engine.objects.reserving import GiveBack
from engine.records import UsageKind


class ReadReserver:
    """Over the accounts of one process. Safe for many threads."""

    def __init__(self, allowances: Allowances) -> None:
        self._allowances = allowances

    @property
    def is_needed(self) -> bool:
        return self._allowances.limits_any(UsageKind.EGRESS_BYTES)

    def is_limited(self, backend_id: int, /) -> bool:
        return self._allowances.limits(backend_id, UsageKind.EGRESS_BYTES)

    def reserve(self, backend: Backend, size_bytes: int, /) -> GiveBack:
        """Raises BackendOverLimit, BackendUnavailable."""
        amounts = {UsageKind.EGRESS_BYTES: size_bytes}
        spent_at_s = self._allowances.spend(backend.backend_id, backend.name, amounts, nowait=False)
        return partial(self._allowances.give_back, backend.backend_id, amounts, spent_at_s=spent_at_s)
