"""Write tests/wire/golden/: every sample call and reply as Apache's library writes it, in both protocols.

    .venv/bin/python -m tests.wire.write_golden

The files change only when the interface or the samples do. A line is: sample, a tab, the message; TBinary in hex,
TJSON as it is.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from thrift.transport import TTransport

from tests.wire import apache, samples

FOLDER = Path(__file__).with_name("golden")
SEQID = 4711
_CALL = 1
_REPLY = 2


def call_bytes(kind: str, method: str, fields: dict[str, Any]) -> bytes:
    """One call, written by Apache's library."""
    built = {name: samples.build(value, apache.make) for name, value in fields.items()}
    return _message(kind, method, _CALL, apache.method_class(method, "args")(**built))


def reply_bytes(kind: str, method: str, response: samples.S) -> bytes:
    """One reply, written by Apache's library."""
    return _message(kind, method, _REPLY, apache.method_class(method, "result")(success=response.build(apache.make)))


def _message(kind: str, method: str, message_type: int, struct: Any) -> bytes:
    transport = TTransport.TMemoryBuffer()
    protocol = apache.protocol(kind, transport)
    protocol.writeMessageBegin(method, message_type, SEQID)
    struct.write(protocol)
    protocol.writeMessageEnd()
    value: bytes = transport.getvalue()
    return value


def golden() -> dict[str, str]:
    """The text of each file by its name."""
    files = {}
    for kind in ("binary", "json"):
        calls = {sample: call_bytes(kind, *call) for sample, call in samples.CALLS.items()}
        replies = {sample: reply_bytes(kind, *reply) for sample, reply in samples.REPLIES.items()}
        files[f"calls.{kind}"] = _text(kind, calls)
        files[f"replies.{kind}"] = _text(kind, replies)
    return files


def _text(kind: str, messages: dict[str, bytes]) -> str:
    return "".join(
        f"{sample}\t{message.hex() if kind == 'binary' else message.decode()}\n" for sample, message in messages.items()
    )


def read(name: str) -> dict[str, bytes]:
    """The messages of one file by their samples."""
    rows = (line.split("\t", 1) for line in (FOLDER / name).read_text(encoding="utf-8").splitlines())
    if name.endswith(".binary"):
        return {sample: bytes.fromhex(message) for sample, message in rows}
    return {sample: message.encode() for sample, message in rows}


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    for name, text in golden().items():
        (FOLDER / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
