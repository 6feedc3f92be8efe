"""What a server says and what a lost connection means, before the store translates it for the engine."""

RUN_AGAIN_STATES = frozenset({"40001", "40P01", "23505", "23503"})
"""SQLSTATEs (PostgreSQL manual, appendix A) after which a unit is run again from the start.

Serialisation failure, deadlock, and rows that somebody else was quicker to make or to delete: run again, the unit sees
them and says itself what that means.
"""

_READ_ONLY_STATE = "25006"
_LOST_STATES = frozenset({"57P01", "57P02", "57P03", "25P03", "57P05", _READ_ONLY_STATE})
_FULL_STATES = frozenset({"53100"})


class ConnectionLost(Exception):
    """The connection is gone, or leads to a server that does not write: nothing more can be asked on it.

    `refused` is the statement in the place of whose answer the server itself said so: it ran neither that one nor any
    behind it. Null when the connection just broke, and nobody knows what the server did.
    """

    def __init__(self, why: str, *, refused: str | None = None) -> None:
        super().__init__(why)
        self.refused = refused


class ServerError(Exception):
    """A statement failed. `state` is its SQLSTATE."""

    def __init__(self, *, statement: str, state: str, message: str, constraint: str | None) -> None:
        super().__init__(f"{statement}: {message} ({state})")
        self.statement = statement
        self.state = state
        self.constraint = constraint

    @property
    def is_run_again(self) -> bool:
        """Whether the unit may be run again at once."""
        return self.state in RUN_AGAIN_STATES

    @property
    def is_constraint(self) -> bool:
        """Whether the schema refused a row."""
        return self.state.startswith("23")

    @property
    def is_disk_full(self) -> bool:
        return self.state in _FULL_STATES

    @property
    def is_connection_lost(self) -> bool:
        """Whether the server ends the connection, or has become one that does not write."""
        return self.state in _LOST_STATES or self.state.startswith("08")

    @property
    def is_read_only(self) -> bool:
        """Whether the server has become a standby."""
        return self.state == _READ_ONLY_STATE
