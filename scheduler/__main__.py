"""The way in: ``thesan`` and ``python -m scheduler``."""

import sys

from scheduler import __version__


def main() -> int:
    """Print the version; the commands are added here."""
    if sys.argv[1:] == ["--version"]:
        print(f"thesan {__version__}")
        return 0
    print("usage: thesan --version", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
