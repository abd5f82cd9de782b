"""The tier file, in Aurora's form: a default, and what each tier may have done to it.

{"default": "preemptible",
 "tiers": {"preferred": {"preemptible": false, "revocable": false},
           "preemptible": {"preemptible": true, "revocable": false}}}
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

from scheduler.core.policy import Tier
from scheduler.core.validation import is_good_identifier
from scheduler.settings import WrongSetting

_SETTINGS: Final = ("preemptible", "revocable")


def read_tiers(path: Path) -> tuple[str, tuple[Tier, ...]]:
    """The default's name and all tiers, in the file's order. Raises WrongSetting with what is wrong where."""
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
    except OSError as wrong:
        raise _wrong(path, f"cannot be read: {wrong.strerror}") from None
    except ValueError as wrong:
        raise _wrong(path, f"is no JSON: {wrong}") from None
    if not isinstance(told, dict) or set(told) != {"default", "tiers"}:
        raise _wrong(path, "must be an object with exactly `default` and `tiers`")
    if not isinstance(told["tiers"], dict) or not told["tiers"]:
        raise _wrong(path, "`tiers` must name at least one tier")
    tiers = tuple(_tier(path, name, settings) for name, settings in told["tiers"].items())
    if told["default"] not in list(told["tiers"]):
        names = ", ".join(told["tiers"])
        raise _wrong(path, f"`default` is {told['default']!r}; it must be one of {names}")
    return told["default"], tiers


def _tier(path: Path, name: str, settings: Any) -> Tier:
    if not is_good_identifier(name):
        raise _wrong(path, f"a tier cannot be called {name!r}: names match [\\w\\-.]+")
    if not isinstance(settings, dict) or set(settings) - set(_SETTINGS):
        raise _wrong(path, f"tier {name} may say {' and '.join(_SETTINGS)}, nothing else")
    for key in _SETTINGS:
        if not isinstance(settings.get(key, False), bool):
            raise _wrong(path, f"{key} of tier {name} is {settings[key]!r}; it must be true or false")
    return Tier(name, settings.get("preemptible", False), settings.get("revocable", False))


def _wrong(path: Path, why: str) -> WrongSetting:
    return WrongSetting(f"--tier-config {path} {why}")
