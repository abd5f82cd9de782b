"""How often somebody may do something: a bucket of tokens for each user or address, in bounded memory."""

from __future__ import annotations

import ipaddress
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

MAX_BUCKETS: Final = 10_000
"""Of those not seen for longest the bucket is forgotten, which makes it full."""


class Limits:
    """`rate_per_s` tokens come back each second, up to `burst`. `clock`: seconds that never jump."""

    def __init__(self, rate_per_s: float, burst: float, clock: Callable[[], float]) -> None:
        if rate_per_s <= 0 or burst < 1:
            raise ValueError(f"a rate of {rate_per_s} a second in bursts of {burst} lets nothing through")
        self.rate_per_s = rate_per_s
        self.burst = burst
        self.refused = 0
        self._clock = clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, who: str) -> float:
        """Take a token, if there is one: 0. Otherwise the seconds until there is."""
        tokens, now = self._filled(who)
        if tokens < 1:
            self.refused += 1
            return (1 - tokens) / self.rate_per_s
        self._buckets[who] = tokens - 1, now
        self._buckets.move_to_end(who)
        if len(self._buckets) > MAX_BUCKETS:
            self._buckets.popitem(last=False)
        return 0.0

    def give_back(self, who: str) -> None:
        """The last token was not to be taken."""
        tokens, now = self._filled(who)
        self._buckets[who] = min(self.burst, tokens + 1), now

    def _filled(self, who: str) -> tuple[float, float]:
        now = self._clock()
        tokens, since = self._buckets.get(who, (self.burst, now))
        return min(self.burst, tokens + (now - since) * self.rate_per_s), now

    def __len__(self) -> int:
        return len(self._buckets)


def host_of(address: str) -> str:
    """Of an address with its port, what limits count by: the host, or of IPv6 its network, which one machine can
    fill as it likes."""
    host, _, port = address.rpartition(":")
    try:
        ip = ipaddress.ip_address((host if port.isdecimal() and host else address).strip("[]"))
    except ValueError:
        return host or address
    if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped is None:
        return str(ipaddress.ip_network((ip, 64), strict=False))
    return str(ip)
