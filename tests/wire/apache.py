"""Apache Thrift's own Python library, as a stranger to talk to: code generated from our IDL, its protocols, a client.

Nothing of thriftpy2 or of the scheduler is in here, so what both sides agree on, they agree on by way of the IDL.
"""

from __future__ import annotations

import importlib
import shutil
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import requests
import thrift.transport.TSocket
from thrift.protocol import TBinaryProtocol, TJSONProtocol
from thrift.Thrift import TApplicationException
from thrift.transport import TTransport

__all__ = ["CARRIERS", "TApplicationException", "api", "client", "constants", "make", "protocol", "scheduler", "ttypes"]

_IDL = Path(__file__).parents[2] / "thrift"
BINARY_TYPE = "application/vnd.apache.thrift.binary"
JSON_TYPE = "application/vnd.apache.thrift.json"


@cache
def _generated() -> Path:
    """A folder with the generated code. It goes with the process."""
    compiler = shutil.which("thrift")
    if compiler is None:
        raise RuntimeError("the thrift compiler is missing: apt-get install -y thrift-compiler")
    folder = tempfile.TemporaryDirectory(prefix="thesan-apache-")
    _keep.append(folder)
    command = [compiler, "-r", "--gen", "py", "-out", folder.name, str(_IDL / "thesan.thrift")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr}")
    sys.path.insert(0, folder.name)
    return Path(folder.name)


_keep: list[tempfile.TemporaryDirectory[str]] = []


@cache
def _module(name: str) -> ModuleType:
    _generated()
    for structs in ("gen.apache.aurora.api.ttypes", "gen.thesan.ttypes"):
        _make_hashable(importlib.import_module(structs))
    return importlib.import_module(name)


def _make_hashable(module: ModuleType) -> None:
    """Its generated classes define __eq__ and no __hash__, so that a set of structs cannot even be read."""
    for cls in vars(module).values():
        if isinstance(cls, type) and hasattr(cls, "thrift_spec"):
            cls.__hash__ = _hash  # type: ignore[assignment]


def _hash(struct: Any) -> int:
    return hash((type(struct).__name__, repr(sorted(vars(struct).items(), key=lambda item: item[0]))))


def ttypes() -> ModuleType:
    """Structs and enums of aurora.thrift."""
    return _module("gen.apache.aurora.api.ttypes")


def constants() -> ModuleType:
    return _module("gen.apache.aurora.api.constants")


def scheduler() -> ModuleType:
    """The service of thesan.thrift: its Client and the structs of its methods."""
    return _module("gen.thesan.Scheduler")


def api(name: str, /, **fields: Any) -> Any:
    """A struct of aurora.thrift, or else of thesan.thrift."""
    found = getattr(ttypes(), name, None) or getattr(_module("gen.thesan.ttypes"), name)
    return found(**fields)


def make(name: str, fields: dict[str, Any]) -> Any:
    """The same, as `samples.build` wants it."""
    return api(name, **fields)


def method_class(method: str, what: str) -> Any:
    """The class of a method's arguments ("args") or result ("result"), in whichever service declares it."""
    for name in ("gen.thesan.Scheduler", *(f"gen.apache.aurora.api.{service}" for service in _SERVICES)):
        cls = getattr(_module(name), f"{method}_{what}", None)
        if cls is not None:
            return cls
    raise LookupError(method)


_SERVICES = ("AuroraAdmin", "AuroraSchedulerManager", "ReadOnlyScheduler")


def protocol(kind: str, transport: Any) -> Any:
    """`binary` (strict, as Apache's default writes it) or `json`."""
    return {"binary": TBinaryProtocol.TBinaryProtocol, "json": TJSONProtocol.TJSONProtocol}[kind](transport)


class _Http(TTransport.TTransportBase):
    """One POST per flush, as Aurora's own Python client does it."""

    def __init__(self, url: str, kind: str) -> None:
        self._url = url
        self._session = requests.Session()
        content_type = BINARY_TYPE if kind == "binary" else JSON_TYPE
        self._session.headers.update({"Content-Type": content_type, "Accept": content_type})
        self._out = TTransport.TMemoryBuffer()
        self._in = TTransport.TMemoryBuffer()

    def isOpen(self) -> bool:
        return True

    def open(self) -> None:
        pass

    def close(self) -> None:
        self._session.close()

    def read(self, size: int) -> bytes:
        found: bytes = self._in.read(size)
        return found

    def write(self, data: bytes) -> None:
        self._out.write(data)

    def flush(self) -> None:
        response = self._session.post(self._url, data=self._out.getvalue(), timeout=10)
        response.raise_for_status()
        self._out = TTransport.TMemoryBuffer()
        self._in = TTransport.TMemoryBuffer(response.content)


CARRIERS = ("http json", "http binary", "raw framed", "raw buffered")


def client(carrier: str, *, http_port: int, thrift_port: int) -> Any:
    """A connected client on one of CARRIERS."""
    where, kind = carrier.split()
    if where == "http":
        transport: Any = _Http(f"http://127.0.0.1:{http_port}/api", kind)
    else:
        socket = thrift.transport.TSocket.TSocket("127.0.0.1", thrift_port)
        socket.setTimeout(10_000)
        wrap = TTransport.TFramedTransport if kind == "framed" else TTransport.TBufferedTransport
        transport, kind = wrap(socket), "binary"
    transport.open()
    made = scheduler().Client(protocol(kind, transport))
    made.close = transport.close
    return made
