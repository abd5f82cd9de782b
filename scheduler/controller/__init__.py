"""The single writer: decisions one after another, committed together, effects after commit. No I/O of its own."""
