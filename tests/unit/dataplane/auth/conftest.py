"""An authenticator that knows one key, and a clock that stands."""

from dataclasses import dataclass

import pytest

from dataplane.auth.identity import Credential, Identity, Role
from dataplane.auth.signing_keys import SigningKeys
from dataplane.auth.sigv4 import Authenticator
from dataplane.wire.times import parse_amz_date
from tests.support.sigv4_signer import Signer

ALICE = Identity(name="alice", account_id=7, account="main", role=Role.WRITER)


@dataclass
class StandingClock:
    """Time that moves only when told to."""

    seconds: int

    def now_us(self) -> int:
        return self.seconds * 1_000_000


@pytest.fixture
def signer() -> Signer:
    return Signer()


@pytest.fixture
def clock(signer: Signer) -> StandingClock:
    seconds = parse_amz_date(signer.amz_date)
    assert seconds is not None
    return StandingClock(seconds)


@pytest.fixture
def authenticator(signer: Signer, clock: StandingClock) -> Authenticator:
    known = Credential(access_key_id=signer.access_key_id, secret=signer.secret, identity=ALICE)
    return Authenticator(
        {known.access_key_id: known}.get,
        region="us-east-1",
        now_us=clock.now_us,
        signing_keys=SigningKeys(),
    )
