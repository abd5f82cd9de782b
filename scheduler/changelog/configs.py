"""Which digest names which configuration, as told by the SaveConfig records that passed.

Tasks and updates refer to their configuration by digest. What writes them and what reads them keep one `Configs` each.
It holds nothing alive: the state does, for as long as a task or an update uses a configuration, and so does an entry
that waits to be written. So it needs no pruning, and it still knows a configuration that the state has already dropped
while the entry that used it is on its way to the disk.
"""

from __future__ import annotations

from weakref import WeakKeyDictionary, WeakValueDictionary

from scheduler.core.records import TaskConfig

__all__ = ["Configs"]


class Configs:
    """Both directions between digests and the live configurations they name."""

    def __init__(self) -> None:
        self._by_digest: WeakValueDictionary[bytes, TaskConfig] = WeakValueDictionary()
        self._digests: WeakKeyDictionary[TaskConfig, bytes] = WeakKeyDictionary()

    def remember(self, digest: bytes, config: TaskConfig) -> TaskConfig:
        """Learn a SaveConfig. Returns the one object to use: an equal one that is alive already, or `config`."""
        known = self._by_digest.get(digest)
        if known is not None and known == config:
            config = known
        self._by_digest[digest] = config
        # An equal key would be kept, and would take the entry with it when it dies.
        self._digests.pop(config, None)
        self._digests[config] = digest
        return config

    def digest_of(self, config: TaskConfig) -> bytes:
        """Raises KeyError when no SaveConfig came before."""
        return self._digests[config]

    def config_of(self, digest: bytes) -> TaskConfig:
        """Raises KeyError when no SaveConfig came before, or nothing uses it any more."""
        return self._by_digest[digest]
