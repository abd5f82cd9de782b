"""Benchmarks: `scripts/bench NAME` runs the module of that name. Each prints figure, aim and verdict."""
