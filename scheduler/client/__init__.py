"""The `thesan` command."""
