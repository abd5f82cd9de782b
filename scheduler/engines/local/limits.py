"""How many files this process may open: one descriptor for every task, beside everything else."""

from __future__ import annotations

import resource
from functools import cache

WANTED = 65536


@cache
def make_room() -> int:
    """Raise our own limit as far as allowed, once. Returns what it was: tasks get that, since programs that still use
    select(2) cannot live with more than 1024."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = WANTED if hard == resource.RLIM_INFINITY else min(WANTED, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return soft
