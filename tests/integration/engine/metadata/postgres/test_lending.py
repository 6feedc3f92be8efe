"""Connections are lent to many callers: nobody waits for one longer than makes sense."""

from concurrent.futures import ThreadPoolExecutor

from engine.errors import DatabaseUnavailable
from engine.metadata.postgres.lending import Lender
from tests.support.postgres import running_server

FOR_EVER_S = 3600.0


def test_who_queued_before_an_outage_was_noticed_is_refused_as_those_who_come_later() -> None:
    with running_server() as server, ThreadPoolExecutor(3) as others:
        lender = Lender(server.target("postgres", max_conns=2))
        lent = lender.take(None, FOR_EVER_S)
        queued = [others.submit(lender.take, None, FOR_EVER_S) for _ in range(3)]

        server.stop("immediate")
        lender.discard(lent)

        outcomes = [each.exception() for each in queued]
        lender.close()
    # One may have been lent a connection that was open already, and finds it broken.
    refused = [each for each in outcomes if each is not None]
    assert len(refused) >= 2
    assert all(isinstance(each, DatabaseUnavailable) for each in refused)
