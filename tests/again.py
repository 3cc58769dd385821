"""A second attempt for tests of real servers, networks and terminals, which a busy machine may hold up.

Nothing is hidden by it: each first failure is printed whole at the end, and several of them are a failure.
"""

from __future__ import annotations

from pathlib import Path

import pytest

NEVER = {"unit", "property"}
"""Folders of tests that have nothing to wait for."""
TOO_MANY = 6
"""So many first failures in one session are no accident."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give each test of a real part its second attempt."""
    root = Path(__file__).parent
    for item in items:
        if item.path.is_relative_to(root) and item.path.relative_to(root).parts[0] not in NEVER:
            item.add_marker(pytest.mark.flaky(reruns=1))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Show why first attempts failed."""
    reports = terminalreporter.getreports("rerun")
    if reports:
        terminalreporter.section("failed at the first attempt")
    for report in reports:
        terminalreporter.section(report.nodeid, sep="_")
        terminalreporter.line(report.longreprtext)


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail where too many of them did."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is not None and len(reporter.stats.get("rerun", [])) >= TOO_MANY:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
