"""How every benchmark ends: a table of figures with their aims, and an exit status that says whether all were reached.

>>> report = Report("rpc")
>>> report.figure("CPU per pulse, raw, 64 connections", 24.1, "us", at_most=30)
>>> report.finish()
"""

from __future__ import annotations

import sys

from attrs import define, field


@define
class _Row:
    name: str
    value: float
    unit: str
    at_most: float | None
    at_least: float | None

    @property
    def aim(self) -> str:
        if self.at_most is not None:
            return f"at most {self.at_most:,g}"
        return f"at least {self.at_least:,g}" if self.at_least is not None else "none"

    @property
    def reached(self) -> bool | None:
        if self.at_most is not None:
            return self.value <= self.at_most
        return self.value >= self.at_least if self.at_least is not None else None


@define
class Report:
    """The figures of one benchmark."""

    name: str
    rows: list[_Row] = field(factory=list)

    def figure(
        self, name: str, value: float, unit: str = "", *, at_most: float | None = None, at_least: float | None = None
    ) -> None:
        """Note one figure and print it at once; with an aim it counts for the verdict."""
        row = _Row(name, value, unit, at_most, at_least)
        self.rows.append(row)
        verdict = {None: "", True: "reached", False: "NOT REACHED"}[row.reached]
        print(f"{row.name:<62} {row.value:>14,.4g} {row.unit:<8} {row.aim:>18}  {verdict}", flush=True)

    def heading(self) -> None:
        print(f"{'figure':<62} {'value':>14} {'unit':<8} {'aim':>18}  verdict", flush=True)

    def finish(self) -> None:
        """Print the verdict and exit: 1 when an aim was not reached."""
        missed = [row.name for row in self.rows if row.reached is False]
        aims = sum(row.reached is not None for row in self.rows)
        if not aims:
            print(f"{self.name}: figures only, no aim")
        else:
            print(f"{self.name}: {aims - len(missed)} of {aims} aims reached")
        sys.exit(1 if missed else 0)
