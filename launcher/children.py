"""One child process: how it is started, in a process group of its own, and how that whole group is ended."""

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from launcher.parent_death import tied_to_parent


@dataclass(frozen=True, slots=True, kw_only=True)
class ChildSpec:
    """A program that is kept running. `stop_timeout_s` is what it gets between SIGTERM and SIGKILL.

    `environ` is added to the parent's environment, `open_fds` are descriptors of the parent's that it finds open.
    """

    name: str
    command: Sequence[str]
    stop_timeout_s: float
    environ: Mapping[str, str] = field(default_factory=dict)
    open_fds: tuple[int, ...] = ()


class Child:
    """A started program and all that it forks.

    It is no member of the parent's process group: an interrupt typed at a terminal reaches the parent alone, which
    then stops its children in order.
    """

    def __init__(self, spec: ChildSpec) -> None:
        self.spec = spec
        self._process = subprocess.Popen(
            spec.command,
            env={**os.environ, **spec.environ},
            stdin=subprocess.DEVNULL,
            pass_fds=spec.open_fds,
            process_group=0,
            preexec_fn=tied_to_parent(),
        )

    @property
    def pid(self) -> int:
        return self._process.pid

    def poll(self) -> int | None:
        """Exit status once it has ended, minus the signal's number when one ended it; null while it runs.

        An ended program is not reaped yet: its process id stays taken, so that `clear` kills no stranger's group.
        """
        ended = os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        if ended is None:
            return None
        return ended.si_status if ended.si_code == os.CLD_EXITED else -ended.si_status

    def terminate(self) -> None:
        """Ask the program itself to stop; it sees to what it forked."""
        os.kill(self.pid, signal.SIGTERM)

    def clear(self) -> None:
        """Kill whatever is left of the group, and reap the program: what stays behind would hold ports and locks."""
        os.killpg(self.pid, signal.SIGKILL)
        self._process.wait()


def ending(status: int) -> str:
    """An exit status in words."""
    if status >= 0:
        return f"ended with status {status}"
    try:
        return f"was ended by {signal.Signals(-status).name}"
    except ValueError:
        return f"was ended by signal {-status}"
