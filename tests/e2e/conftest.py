"""Fixtures of the end-to-end tests."""

import pathlib
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [str(ROOT), str(pathlib.Path(__file__).resolve().parent)]

from lab import manager as managers  # noqa: E402
from world import World  # noqa: E402


def pytest_sessionstart(session):
    try:
        managers.binary()
    except FileNotFoundError as error:
        pytest.exit(str(error), returncode=2)


@pytest.fixture
def world(request):
    made = World()
    request.node.world = made
    yield made
    made.close()


@pytest.fixture(scope="module")
def shared_world(request):
    """For tests that only look: one world for all of a file."""
    made = World()
    request.node.world = made
    yield made
    made.close()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    report = outcome.get_result()
    if report.failed:
        made = getattr(item, "world", None) or getattr(item.getparent(pytest.Module), "world", None)
        for manager in made.managers if made else []:
            report.sections.append((f"log of the manager on port {manager.port}", tail(manager.log_text(), 60)))
            report.sections.append((f"what the manager on port {manager.port} did", did(manager)))
        for agent in made.agents if made else []:
            report.sections.append((f"log of the {agent}", tail(agent.log_text(), 40)))
        for node in [node for cluster in made.clusters for node in cluster] if made else []:
            report.sections.append((f"log of the server {node}", tail(node.log_text(), 40)))


def did(manager):
    try:
        lines = [f"{a['AuditTimestamp']} {a['AuditType']} {a['AuditInstanceKey']['Port']} {a['Message']}"
                 for a in reversed(manager.get("audit"))]
        return "\n".join([*lines[-60:], *(str(state) for state in manager.get("v2/rejoins")["data"])])
    except Exception as error:  # it may be dead, which is no news
        return str(error)


def tail(text, lines):
    return "\n".join(text.splitlines()[-lines:])
