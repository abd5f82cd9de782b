"""Shiro's wildcard permissions, as in Aurora's INI files.

A permission is parts between colons, each a list between commas; `*` is everything, and parts that are missing at the
end are everything too. Upper and lower case are the same. Source: Apache Shiro's documentation, "Understanding
Permissions"; Aurora's documentation, "Securing your Aurora Cluster".

>>> grants = Grants([parse("thrift.AuroraSchedulerManager:killTasks,restartShards:www")])
>>> grants.allows("thrift.AuroraSchedulerManager", "killTasks", "www", "prod", "hello")
True
>>> grants.allows("thrift.AuroraSchedulerManager", "createJob", "www", "prod", "hello")
False
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

EVERYTHING: Final = "*"

Permission = tuple[frozenset[str], ...]
"""Parts, each with its alternatives in lower case."""


def parse(text: str) -> Permission:
    """Raises ValueError with a sentence."""
    parts = tuple(frozenset(word.strip().lower() for word in part.split(",")) for part in text.split(":"))
    if any("" in part for part in parts):
        raise ValueError(f"{text!r} is no permission: a part is empty; write * for everything")
    return parts


class Grants:
    """What one user may do. Immutable but for what it remembers of its own answers."""

    __slots__ = ("_of_method", "permissions")

    def __init__(self, permissions: Iterable[Permission] = ()) -> None:
        self.permissions: Final = tuple(permissions)
        self._of_method: dict[tuple[str, str], tuple[Permission, ...]] = {}

    def allows(self, service: str, method: str, *rest: str) -> bool:
        """Is it implied by one of the permissions? `service` and `method` come from us, never from a caller: what they
        select is remembered, since a monitor asks for the same a thousand times a second.
        """
        left = self._of_method.get((service, method))
        if left is None:
            left = self._of_method[service, method] = self._narrowed(service.lower(), method.lower())
        if () in left:
            return True
        wanted = tuple(part.lower() for part in rest)
        return any(_implies(permission, wanted) for permission in left)

    def _narrowed(self, service: str, method: str) -> tuple[Permission, ...]:
        """What is left to be looked at of each permission that has this service and method."""
        return tuple(p[2:] for p in self.permissions if _implies(p[:2], (service, method)))


def _implies(permission: Permission, wanted: tuple[str, ...]) -> bool:
    for part, word in zip(permission, wanted, strict=False):
        if word not in part and EVERYTHING not in part:
            return False
    return all(EVERYTHING in part for part in permission[len(wanted) :])
