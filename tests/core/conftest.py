"""Hypothesis here: no deadline per example (the machine is shared), and a failure prints how to repeat it."""

from hypothesis import settings

settings.register_profile("thesan", deadline=None, print_blob=True)
settings.load_profile("thesan")
