"""The small program that runs one task on a host; standard library only."""
