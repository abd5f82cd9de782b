"""The references in command lines that are filled in when a task gets its host and ports.

Source: Aurora's documentation (configuration reference, "Template namespaces"). Braces around anything else are the
command's own and stay as they are.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping

from scheduler.engines.fields import shorten, shown

# No reference holds a brace: so no two attempts to match read the same text, and the whole is read in linear time.
_REFERENCE = re.compile(r"\{\{\s*((?:thermos|mesos)\.[^{}\s]*)\s*\}\}")
_PORT = re.compile(r"thermos\.ports\[([^\]]+)\]")
INSTANCE, HOSTNAME, TASK_ID = "mesos.instance", "mesos.hostname", "thermos.task_id"
_PLAIN = (INSTANCE, HOSTNAME, TASK_ID)


def check_references(text: str, port_names: Collection[str], path: str) -> None:
    """Raises ValueError for a reference that would have no value."""
    for reference in dict.fromkeys(_REFERENCE.findall(text)):
        port = _PORT.fullmatch(reference)
        if port and port[1] not in port_names:
            has = ", ".join(sorted(port_names)) or "none"
            raise ValueError(f"{path}: uses port {shown(port[1])}, but the task asks for these ports: {has}")
        if not port and reference not in _PLAIN:
            known = ", ".join((*_PLAIN, "thermos.ports[NAME]"))
            raise ValueError(f"{path}: {{{{{shorten(reference)}}}}} is not understood; known: {known}")


def fill(text: str, *, instance_id: int, hostname: str, task_id: str, ports: Mapping[str, int]) -> str:
    """The text with its references replaced. It has passed `check_references`."""
    values = {INSTANCE: str(instance_id), HOSTNAME: hostname, TASK_ID: task_id}

    def value(match: re.Match[str]) -> str:
        port = _PORT.fullmatch(match[1])
        return str(ports[port[1]]) if port else values[match[1]]

    return _REFERENCE.sub(value, text)
