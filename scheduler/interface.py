"""The Thrift interface, loaded once. Nobody else calls ``thriftpy2.load``.

>>> from scheduler.interface import aurora
>>> aurora.JobKey(role="www", environment="prod", name="hello").role
'www'
"""

from importlib.resources import files
from types import ModuleType

import thriftpy2
from thriftpy2.parser import parser as grammar

__all__ = ["aurora", "storage", "thesan"]

# A link to ../thrift in a checkout, a folder of real files in a wheel.
_HERE = files("scheduler") / "idl"

# Left alone, thriftpy2 builds the tables of its grammar for each file: a tenth of a second of every start.
_PARSER = grammar.yacc.yacc(module=grammar, debug=False, write_tables=False)  # type: ignore[attr-defined]


def _load(name: str) -> ModuleType:
    """Load ``<name>.thrift`` under a module name that makes included files resolve to the very same classes.

    thriftpy2 gives that only for names of the form ``<prefix>.<file>_thrift``; the prefix also keeps another
    library's file of the same name apart from ours.
    """
    path, module_name = str(_HERE / f"{name}.thrift"), f"scheduler.idl.{name}_thrift"
    grammar.parse(path, module_name, parser=_PARSER)  # type: ignore[no-untyped-call]
    module: ModuleType = thriftpy2.load(path, module_name=module_name)  # what was parsed, registered as a module
    return module


aurora = _load("aurora")
thesan = _load("thesan")
storage = _load("storage")

if not (aurora is thesan.aurora is storage.aurora):  # pragma: no cover - a broken thriftpy2
    raise ImportError("thriftpy2 loaded aurora.thrift more than once: its classes would not be interchangeable")
