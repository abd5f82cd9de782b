"""When Python looks for cyclic garbage. A full look at a large state stops the world for half a second.

What we keep is acyclic, so there is little to find. While the state is read back nothing is looked for, which halves
the time; afterwards all of it is frozen, which means that later looks pass it over. In quiet moments the same again
for what has grown old since.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

__all__ = ["THRESHOLDS", "quiet_moment", "rehydrating"]

THRESHOLDS: Final = (5_000, 2, 20_000)
"""New objects before a look at the young; looks at the young before one at the middle-aged; at those before a full one.

Python's own are (700, 10, 10). While updates roll nearly all that is made lives, and a look takes 0.3 us an object,
on a busy machine thrice that. So a look at the middle-aged must find few of them: 20,000 here, about 5 ms. Many short
looks cost no more than few long ones: each object is looked through once as young and once as middle-aged.
"""


@contextmanager
def rehydrating() -> Iterator[None]:
    """Around reading the state: no collection inside, everything alive frozen afterwards, thresholds raised."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.set_threshold(*THRESHOLDS)
        if was_enabled:
            gc.enable()


def quiet_moment() -> None:
    """Collect what died young, freeze what is left. Milliseconds; call it when nothing waits."""
    gc.collect(1)
    gc.freeze()
