"""The flags of `thesan serve`: one table, a row a flag, under the names Aurora gave them.

`rows.py` says what a row is, `kinds.py` and `places.py` what a value may be, `groups/` has the rows. `aurora.py`
translates Aurora's ways of writing flags before click parses them, `command.py` makes the click options, `reading.py`
makes `Settings` of what was given, `page.py` draws docs/flags.md. A new flag is a row in `groups/` and a field of
`Settings` or `Policy`.
"""
