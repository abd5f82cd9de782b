"""The interface as a set of facts, read from three places that must agree.

A fact is ``(kind, name, id or value, field or value, type, requiredness)``, as in ``interface.tsv``: kinds are struct,
union, enum, method and const. Requiredness is "optional" or blank; fields of unions are blank.
"""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any
from xml.etree import ElementTree

from thriftpy2.thrift import TType

Fact = tuple[str, str, str, str, str, str]

_PRIMITIVES = {
    TType.BOOL: "bool",
    TType.BYTE: "byte",
    TType.I16: "i16",
    TType.I32: "i32",
    TType.I64: "i64",
    TType.DOUBLE: "double",
    TType.STRING: "string",
}


def from_table(path: Path) -> set[Fact]:
    """Read a table of facts; its first line is a comment."""
    facts: set[Fact] = set()
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("#"):
            continue
        columns = line.split("\t")
        if len(columns) != 6:
            raise ValueError(f"not six columns: {line!r}")
        facts.add((columns[0], columns[1], columns[2], columns[3], columns[4], columns[5]))
    return facts


def without_requiredness(facts: set[Fact]) -> set[Fact]:
    """thriftpy2 does not keep apart optional fields and plain ones."""
    return {(*fact[:5], "" if fact[5] == "optional" else fact[5]) for fact in facts}


# ------------------------------------------------------------------------------------------ thriftpy2


def from_thriftpy2(module: ModuleType) -> set[Fact]:
    """Read a module that thriftpy2 loaded."""
    meta: dict[str, list[Any]] = module.__thrift_meta__
    facts: set[Fact] = set()
    for kind in ("structs", "unions"):
        for cls in meta[kind]:
            facts |= {(kind[:-1], cls.__name__, *rest) for rest in _fields(cls)}
    for cls in meta["enums"]:
        facts |= {("enum", cls.__name__, str(value), name, "", "") for value, name in cls._VALUES_TO_NAMES.items()}
    for service in meta["services"]:
        for method in service.thrift_services:
            if f"{method}_args" not in vars(service):
                continue  # inherited
            name = f"{service.__name__}.{method}"
            arguments = list(_fields(getattr(service, f"{method}_args")))
            facts |= {("method", name, *argument) for argument in arguments or [("", "", "", "")]}
    for name, value in vars(module).items():
        if name.isupper() and isinstance(value, str | set):
            facts.add(_constant(name, value))
    return facts


def _fields(cls: type) -> Iterator[tuple[str, str, str, str]]:
    for number, (ttype, name, *inner, required) in cls.thrift_spec.items():  # type: ignore[attr-defined]
        yield str(number), name, _type_name((ttype, *inner)), "required" if required else ""


def _type_name(spec: Any) -> str:
    if not isinstance(spec, tuple):
        return _PRIMITIVES[spec]
    ttype, *inner = spec
    if not inner:
        return _PRIMITIVES[ttype]
    if ttype in (TType.LIST, TType.SET):
        return f"{'list' if ttype == TType.LIST else 'set'}<{_type_name(inner[0])}>"
    if ttype == TType.MAP:
        key, value = inner[0]
        return f"map<{_type_name(key)},{_type_name(value)}>"
    return str(inner[0].__name__)  # a struct, a union or an enum


def _constant(name: str, value: str | set[int]) -> Fact:
    if isinstance(value, str):
        return ("const", name, "", value, "string", "")
    return ("const", name, "", "|".join(sorted(str(int(item)) for item in value)), "set", "")


# ------------------------------------------------------------------------------------------ Apache's compiler


def compile_to_xml(path: Path, folder: Path) -> ElementTree.Element:
    """What Apache's Thrift compiler makes of a file. Fails where the compiler is missing: scripts/test installs it."""
    compiler = shutil.which("thrift")
    assert compiler, "Apache's Thrift compiler is missing: apt-get install thrift-compiler"
    subprocess.run(
        [compiler, "--gen", "xml:no_namespaces,no_default_ns", "-out", str(folder), str(path)],
        check=True,
        capture_output=True,
        text=True,
        timeout=30,
    )
    root = ElementTree.parse(folder / f"{path.stem}.xml").getroot()
    document = root.find("document")
    assert document is not None
    return document


def from_compiler(document: ElementTree.Element) -> set[Fact]:
    """Read the compiler's XML."""
    facts: set[Fact] = set()
    for kind in ("struct", "union"):
        for node in document.iter(kind):
            for field in node.iter("field"):
                required = "" if kind == "union" else field.get("required", "")
                facts.add(
                    (kind, node.attrib["name"], field.attrib["field-id"], field.attrib["name"], _type(field), required)
                )
    for node in document.iter("enum"):
        for member in node.iter("member"):
            facts.add(("enum", node.attrib["name"], member.attrib["value"], member.attrib["name"], "", ""))
    for node in document.iter("service"):
        for method in node.iter("method"):
            name = f"{node.attrib['name']}.{method.attrib['name']}"
            arguments = [(arg.attrib["field-id"], arg.attrib["name"], _type(arg), "") for arg in method.iter("arg")]
            facts |= {("method", name, *argument) for argument in arguments or [("", "", "", "")]}
    for node in document.iter("const"):
        if node.attrib["type"] == "string":
            facts.add(_constant(node.attrib["name"], node.findtext("string", "")))
        else:
            assert node.attrib["type"] == "set", node.attrib
            facts.add(_constant(node.attrib["name"], {int(item.text or "") for item in node.iter("int")}))
    return facts


def _type(node: ElementTree.Element) -> str:
    name = node.attrib["type"]
    if name == "id":
        return node.attrib["type-id"]
    if name in ("list", "set"):
        return f"{name}<{_type(_child(node, 'elemType'))}>"
    if name == "map":
        return f"map<{_type(_child(node, 'keyType'))},{_type(_child(node, 'valueType'))}>"
    return name


def _child(node: ElementTree.Element, tag: str) -> ElementTree.Element:
    found = node.find(tag)
    assert found is not None, f"no {tag} in {node.attrib}"
    return found
