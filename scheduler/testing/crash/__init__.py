"""The crash test: several clients at work, a scheduler that is killed again and again, and a reckoning at the end.

``scripts/crash --help``. What must be so afterwards: every acknowledged change is there and every refused one is not
(`scheduler.testing.history`); no task is lost, none ran twice, none runs that nobody wants, and the engine's folder
agrees with the state (`verdict`).
"""
