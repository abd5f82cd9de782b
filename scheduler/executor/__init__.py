"""The small program that runs one task on a host and outlives the scheduler.

Started by path (`python -I -S .../executor/__main__.py TASK_FOLDER`), so that it needs no installed package. Standard
library only, everything imported at start: an upgrade of the files does not change an executor that runs.
What it reads and writes in its folder is described in `docs/engines.md`.
"""
