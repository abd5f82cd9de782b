"""What holds for all tests: a test that was skipped, or expected to fail, fails the run unless it is listed.

The list is ``tests/allowed_skips.txt``. Hypothesis has no deadline per example, because the machine is shared, and a
failure prints how to repeat it.
"""

from fnmatch import fnmatchcase
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("thesan", deadline=None, print_blob=True)
settings.load_profile("thesan")

_ALLOWED = Path(__file__).with_name("allowed_skips.txt")


def allowed_patterns(text: str) -> list[str]:
    """The test names in the list, without comments and reasons."""
    return [name for line in text.splitlines() if (name := line.split("#", 1)[0].strip())]


class SkipGuard:
    """Collects what was skipped, in the process that sums up the run (with xdist: not in the workers)."""

    def __init__(self) -> None:
        self.patterns = allowed_patterns(_ALLOWED.read_text(encoding="utf-8"))
        self.offenders: list[str] = []

    def _note(self, report: pytest.TestReport | pytest.CollectReport) -> None:
        # A test that is expected to fail and does is reported as skipped, too.
        if report.skipped and not any(fnmatchcase(report.nodeid, pattern) for pattern in self.patterns):
            self.offenders.append(report.nodeid)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._note(report)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        self._note(report)

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if self.offenders and session.exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED):
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self.offenders:
            terminalreporter.section("skipped without being listed in tests/allowed_skips.txt", red=True)
            for nodeid in sorted(set(self.offenders)):
                terminalreporter.line(nodeid)


def pytest_configure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(SkipGuard(), "skip-guard")
