"""Tasks: their state machine, rescheduling, throttling and timeouts."""
