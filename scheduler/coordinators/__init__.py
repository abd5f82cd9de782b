"""Coordinators: jobs that have a say, over HTTP, in when one of their tasks may be taken away."""
