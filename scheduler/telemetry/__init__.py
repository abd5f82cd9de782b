"""Metrics, logs and audit lines."""
