"""The way in: `python -I -S .../executor/__main__.py TASK_FOLDER [LOCK_FD]`."""

from __future__ import annotations

import os
import sys

# Last in line: a file beside the package must not pass for a module of the standard library.
sys.path.append(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))

from scheduler.executor.runner import main

if __name__ == "__main__":
    sys.exit(main(sys.argv))
