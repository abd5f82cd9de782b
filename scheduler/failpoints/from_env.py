"""Arms the failpoint that the environment names: ``THESAN_FAILPOINT=name[:nth][:action]``.

Actions: ``kill`` (the default: SIGKILL to oneself, as `kill -9` does), ``linger`` (the same, 0.3 s later: the other
threads go on meanwhile, which shows what did not wait for this one), ``stop`` (SIGSTOP: the process freezes until
somebody continues it), ``exit`` (leave at once with status 70, without cleaning up).
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Mapping
from typing import Final

from scheduler.failpoints import Failpoint, arm

__all__ = ["VARIABLE", "arm_from_env"]

VARIABLE: Final = "THESAN_FAILPOINT"
_LINGER_S: Final = 0.3


def _kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _linger() -> None:
    time.sleep(_LINGER_S)
    _kill()


def _stop() -> None:
    os.kill(os.getpid(), signal.SIGSTOP)


def _exit() -> None:
    os._exit(70)


_ACTIONS: Final[dict[str, Callable[[], object]]] = {
    "kill": _kill,
    "linger": _linger,
    "stop": _stop,
    "exit": _exit,
}


def arm_from_env(environ: Mapping[str, str] = os.environ) -> str | None:
    """Arm what `environ` asks for, if anything; returns what that was. Raises ValueError for what cannot be meant."""
    told = environ.get(VARIABLE)
    if not told:
        return None
    name, *rest = told.split(":")
    nth, action = 1, "kill"
    for part in rest:
        if part.isdecimal():
            nth = int(part)
        elif part in _ACTIONS:
            action = part
        else:
            raise ValueError(f"{VARIABLE}={told}: {part!r} is neither a count nor one of {', '.join(_ACTIONS)}")
    arm(Failpoint(name, _ACTIONS[action], nth))
    return told
