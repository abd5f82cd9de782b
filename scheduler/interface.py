"""The Thrift interface, loaded once. Nobody else calls ``thriftpy2.load``.

>>> from scheduler.interface import aurora
>>> aurora.JobKey(role="www", environment="prod", name="hello").role
'www'
"""

from importlib.resources import files
from types import ModuleType

import thriftpy2

__all__ = ["aurora", "storage", "thesan"]

# A link to ../thrift in a checkout, a folder of real files in a wheel.
_HERE = files("scheduler") / "idl"


def _load(name: str) -> ModuleType:
    """Load ``<name>.thrift`` under a module name that makes included files resolve to the very same classes.

    thriftpy2 gives that only for names of the form ``<prefix>.<file>_thrift``; the prefix also keeps another
    library's file of the same name apart from ours.
    """
    module: ModuleType = thriftpy2.load(str(_HERE / f"{name}.thrift"), module_name=f"scheduler.idl.{name}_thrift")
    return module


aurora = _load("aurora")
thesan = _load("thesan")
storage = _load("storage")

if not (aurora is thesan.aurora is storage.aurora):  # pragma: no cover - a broken thriftpy2
    raise ImportError("thriftpy2 loaded aurora.thrift more than once: its classes would not be interchangeable")
