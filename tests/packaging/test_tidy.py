"""Habits of the house that no linter knows. Reads the source, runs nothing of it."""

import ast
import re
from pathlib import Path

import pytest

from tests.packaging.tree import ROOT

FILE_LINES = 400
FUNCTION_LINES = 70
SOURCES = sorted(path for path in (ROOT / "scheduler").rglob("*.py") if "__pycache__" not in path.parts)

_LEFT_OVER = re.compile(r"\b(TO" + r"DO|FIX" + r"ME|XX" + r"X|HA" + r"CK)\b")
_DECIDES = ("core/", "controller/", "controller.py", "lifecycle/", "lifecycle.py", "contracts.py")
_READS_A_CLOCK = {"now", "utcnow", "today"}
_WRITES_TO_TERMINALS = ("client/output.py", "client/errors.py")
_TOUCHES_THE_WORLD = {"open", "input", "print", "breakpoint", "exec", "eval"}


def complaints(name: str, text: str) -> list[str]:
    """What is wrong with a file; `name` is its path below scheduler/."""
    found: list[str] = []
    lines = text.splitlines()
    if len(lines) > FILE_LINES:
        found.append(f"{name}: {len(lines)} lines, {FILE_LINES} are allowed")
    for number, line in enumerate(lines, 1):
        if _LEFT_OVER.search(line):
            found.append(f"{name}:{number}: a left-over marker")
    tree = ast.parse(text, filename=name)
    if ast.get_docstring(tree) is None:
        found.append(f"{name}: no sentence at its head that says what it is for")
    for node in ast.walk(tree):
        found += [f"{name}:{node.lineno}: {what}" for what in _node(name, node)]  # type: ignore[attr-defined]
    return found


def _node(name: str, node: ast.AST) -> list[str]:
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        length = (node.end_lineno or node.lineno) - node.lineno + 1
        return [f"{node.name} has {length} lines, {FUNCTION_LINES} are allowed"] if length > FUNCTION_LINES else []
    if isinstance(node, ast.ImportFrom):
        return _import(name, node)
    if isinstance(node, ast.Call):
        return _call(name, node)
    return []


def _import(name: str, node: ast.ImportFrom) -> list[str]:
    imported = {alias.name for alias in node.names}
    if name != "interface.py" and (node.module or "").startswith("thriftpy2") and imported & {"load", "load_fp"}:
        return ["only interface.py loads Thrift files"]
    if node.module == "thriftpy2.utils" and "deserialize" in imported:
        return ["thriftpy2.utils.deserialize reads without checks; it is a TCyMemoryBuffer"]
    return []


def _call(name: str, node: ast.Call) -> list[str]:
    called = ast.unparse(node.func)
    last = called.rsplit(".", 1)[-1]
    found = []
    if name != "interface.py" and called in ("thriftpy2.load", "thriftpy2.load_fp", "thriftpy2.parser.parse"):
        found.append("only interface.py loads Thrift files")
    if name.startswith("client/") and called in ("click.echo", "click.secho") and name not in _WRITES_TO_TERMINALS:
        found.append("only client/output.py writes to terminals: what others wrote must not be obeyed there")
    # On CPython thriftpy2.transport.TMemoryBuffer is TCyMemoryBuffer by another name.
    if (last in ("TCyMemoryBuffer", "TMemoryBuffer") and (node.args or node.keywords)) or last == "setvalue":
        found.append(f"{last} for reading discloses freed memory when the bytes end early")
    if name.startswith(_DECIDES):
        if "." in called and last in _READS_A_CLOCK:
            found.append(f"{called}() reads a clock; time is an argument here")
        if called in _TOUCHES_THE_WORLD:
            found.append(f"{called}() touches the world; this room only decides")
    return found


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_source_is_tidy(path: Path) -> None:
    name = str(path.relative_to(ROOT / "scheduler"))
    assert complaints(name, path.read_text(encoding="utf-8")) == []


HEAD = '"""A file."""\n'
PLANTED = {
    "a file too long": ("web/x.py", HEAD + "x = 1\n" * 400, "lines, 400"),
    "a function too long": ("web/x.py", HEAD + "def f():\n" + "    x = 1\n" * 70, "f has 71 lines"),
    "a left-over": ("web/x.py", HEAD + "# TO" + "DO: later\n", "left-over"),
    "no docstring": ("web/x.py", "x = 1\n", "no sentence"),
    "another loader": ("rpc/x.py", HEAD + "thriftpy2.load('x')\n", "only interface.py"),
    "a hidden loader": ("rpc/x.py", HEAD + "from thriftpy2 import load\n", "only interface.py"),
    "heap memory": ("rpc/x.py", HEAD + "a = TCyMemoryBuffer(data)\n", "freed memory"),
    "heap memory, qualified": ("rpc/x.py", HEAD + "a = transport.TCyMemoryBuffer(value=data)\n", "freed memory"),
    "heap memory by another name": ("rpc/x.py", HEAD + "a = TMemoryBuffer(data)\n", "freed memory"),
    "heap memory, later": ("rpc/x.py", HEAD + "a.setvalue(data)\n", "freed memory"),
    "unchecked reading": ("rpc/x.py", HEAD + "from thriftpy2.utils import deserialize\n", "without checks"),
    "raw text on a terminal": ("client/x.py", HEAD + "click.echo(answer)\n", "must not be obeyed"),
    "a clock": ("core/x.py", HEAD + "a = datetime.datetime.now(UTC)\n", "reads a clock"),
    "a clock in lifecycle": ("lifecycle.py", HEAD + "a = date.today()\n", "reads a clock"),
    "a file": ("controller/x.py", HEAD + "a = open('x')\n", "touches the world"),
}


@pytest.mark.parametrize("mistake", PLANTED)
def test_a_mistake_is_found(mistake: str) -> None:
    name, text, expected = PLANTED[mistake]
    (found,) = complaints(name, text)
    assert expected in found


def test_what_is_allowed_is_allowed() -> None:
    assert complaints("rpc/x.py", HEAD + "a = TCyMemoryBuffer()\nb = datetime.now(UTC)\nc = open('x')\n") == []
    assert complaints("interface.py", HEAD + "thriftpy2.load('x')\n") == []


def test_the_source_was_found() -> None:
    assert ROOT / "scheduler" / "interface.py" in SOURCES
