"""The single writer, sans-I/O: queue, group commit, effects, rehydration."""
