"""A copy of the source tree to build from or to plant mistakes in."""

import shutil
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_PARTS = ("scheduler", "thrift", "setup.cfg", "pyproject.toml", "README.md", "LICENSE", "NOTICE", "MANIFEST.in")


def copy_tree(to: Path) -> Path:
    """Copy what makes the distribution, links as links, caches left out."""
    to.mkdir(parents=True)
    for part in _PARTS:
        source = ROOT / part
        if source.is_dir():
            shutil.copytree(source, to / part, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
        elif source.exists():
            shutil.copy2(source, to / part)
    return to
