"""The manager is killed at every step of a recovery and started again: it carries on, and never promotes twice."""

import contextlib
import os
import signal
import sqlite3
import threading

import pytest

from lab.wait import wait_until
from world import settle, synchronous, wait_follows, wait_writes

HOOKS = ["OnFailureDetectionProcesses", "PreFailoverProcesses", "PostMasterFailoverProcesses", "PostFailoverProcesses"]


def suicide(world):
    """A hook that kills the manager the first time it runs, and only then."""
    marker = world.home / "killed"
    return marker, f"[ -e {marker} ] && exit 0; touch {marker}; kill -9 $(cat {world.home}/pid); sleep 5"


def assert_one_promotion(cluster, manager, writer):
    """Whatever happened, it ends in one writable server on timeline 2, followed by the rest, with no row lost."""
    new = wait_until(cluster.primary, 30, "there is a primary")
    assert new is not cluster["n1"]
    for node in cluster:
        if node not in (new, cluster["n1"]):
            wait_follows(node, new, 30)
    wait_writes(writer, deadline_s=20)
    writer.stop()
    assert new.timeline() == 2, "promoted exactly once"
    assert writer.lost(new.rows()) == []
    wait_until(lambda: manager.recoveries() and all(r["RecoveryEndTimestamp"] for r in manager.recoveries()), 30,
               "every recovery has an end")
    wait_until(lambda: manager.clusters() == [new.key], 15, "the manager knows the new primary")
    return new


@pytest.mark.parametrize("hook", HOOKS)
def test_killed_in_a_hook(world, hook):
    marker, command = suicide(world)
    cluster, manager = world.watched(3, config={hook: [command]})
    synchronous(cluster)
    (world.home / "pid").write_text(str(manager.pid))
    writer = world.writer(cluster)
    writer.note_kill(cluster["n1"].kill9())
    wait_until(lambda: not manager.running(), 15, "the manager is killed in its hook")
    manager.start()
    assert_one_promotion(cluster, manager, writer)


@pytest.mark.parametrize("moment", ["received promote request", "selected new timeline ID", "archive recovery complete",
                                    "database system is ready to accept connections"])
def test_killed_around_the_promotion(world, moment):
    """The moments are lines of the chosen server's log: asked, on the new timeline, recovered, writable."""
    cluster, manager = world.watched(3)
    writer = world.writer(cluster)
    standbys = [cluster["n2"], cluster["n3"]]
    seen = {n.name: len(n.log_text()) for n in standbys}

    def kill_at_the_moment():
        def reached():
            return any("received promote request" in (new := n.log_text()[seen[n.name]:])
                       and moment in new[new.index("received promote request"):] for n in standbys)
        wait_until(reached, 20, moment, 0.0002)
        os.kill(manager.pid, signal.SIGKILL)
    killer = threading.Thread(target=kill_at_the_moment, daemon=True)
    killer.start()
    cluster["n1"].kill9()
    killer.join(25)
    wait_until(lambda: not manager.running(), 5, "the manager is killed")
    manager.start()
    assert_one_promotion(cluster, manager, writer)


@pytest.mark.parametrize("milliseconds", [5, 15, 30, 60, 100, 160, 250, 400])
@pytest.mark.slow
def test_killed_at_any_time(world, milliseconds):
    cluster, manager = world.watched(3)
    writer = world.writer(cluster)
    timer = threading.Timer(milliseconds / 1000, lambda: os.kill(manager.pid, signal.SIGKILL))
    writer.note_kill(cluster["n1"].kill9())
    timer.start()
    wait_until(lambda: not manager.running(), 5, "the manager is killed")
    manager.start()
    assert_one_promotion(cluster, manager, writer)


def test_down_while_the_primary_dies(world):
    """The manager was not there when it happened: it finds a dead primary it knows from before, and acts."""
    cluster, manager = world.watched(3)
    writer = world.writer(cluster)
    manager.kill9()
    writer.note_kill(cluster["n1"].kill9())
    manager.start()
    assert_one_promotion(cluster, manager, writer)


def test_killed_at_rest_and_started_again(world):
    """A restart on a healthy cluster does nothing but look."""
    cluster, manager = world.watched(3)
    assert manager.stop() == 0
    for _ in range(3):
        manager.start()
        manager.kill9()
    manager.start()
    settle(manager, cluster)
    assert not manager.recoveries() and cluster["n1"].is_primary()


def test_what_an_operator_said_survives(world):
    """Downtime, tags, aliases, promotion rules, acknowledgements and the global switch outlive a kill -9."""
    cluster, manager = world.watched(2)
    n1, n2 = (f"{cluster[n].host}/{cluster[n].port}" for n in ("n1", "n2"))
    manager.get(f"begin-downtime/{n2}/ops/disk/2h")
    manager.get(f"tag/{n2}?tag=role=backup")
    manager.get(f"register-candidate/{n2}/must_not")
    manager.get(f"set-cluster-alias/{cluster['n1'].key}?alias=shop")
    manager.get("disable-global-recoveries")
    manager.kill9()
    manager.start()
    settle(manager, cluster)
    seen = manager.get(f"instance/{n2}")
    assert seen["IsDowntimed"] and seen["DowntimeReason"] == "disk" and seen["PromotionRule"] == "must_not"
    assert manager.get(f"tags/{n2}") == ["role=backup"]
    assert manager.get("cluster-info/shop")["ClusterName"] == cluster["n1"].key
    assert manager.details("check-global-recoveries") == "disabled"
    assert manager.get(f"instance/{n1}")["Key"]["Port"] == cluster["n1"].port


@pytest.mark.parametrize("damage", ["text", "truncated", "newer"])
def test_a_damaged_state_file_is_refused_and_left_alone(world, damage):
    cluster, manager = world.watched(2)
    assert manager.stop() == 0
    path = manager.directory / "baton.db"
    if damage == "text":
        path.write_bytes(b"this is not a database, but somebody's notes\n" * 50)
    elif damage == "truncated":
        path.write_bytes(path.read_bytes()[:3000])
    else:
        raise_version(path)
    before, mark = path.read_bytes(), len(manager.log_text())
    manager.spawn()
    wait_until(lambda: not manager.running(), 10, "the manager refuses to start")
    assert manager.stop() not in (0, None)
    assert str(path) in manager.log_text()[mark:]
    assert path.read_bytes() == before


def raise_version(path):
    """Makes the state look as if a later release had written it."""
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as database:
        version = database.execute("PRAGMA user_version").fetchone()[0]
        if version:
            database.execute(f"PRAGMA user_version = {version + 1000}")
            return
        tables = [row[0] for row in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        pytest.fail(f"no user_version in the state file; tables: {tables}")
