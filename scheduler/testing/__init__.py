"""Doubles, simulator and checkers: product code for tests, ours and yours."""
