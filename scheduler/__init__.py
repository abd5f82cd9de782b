"""Thesan: a scheduler that speaks Apache Aurora's Thrift API.

The distribution and the command are called ``thesan``; the import package is ``scheduler``.
"""

__version__ = "0.1.0"
