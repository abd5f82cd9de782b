"""Readers of the changelog: cursors, listeners, set-aside work."""
