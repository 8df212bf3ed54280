"""What is under way at a primary when it is to be switched over: sessions, base backups, archiving."""

import contextlib
import subprocess
import threading
import time

import psycopg2
import pytest

from lab import postgres
from lab.manager import ApiError
from lab.wait import wait_until
from world import obstacles, wait_agents, wait_ready_to_switch, wait_rejoined, wait_writes


def remarks(manager):
    return manager.get(f"v2/clusters/{manager.clusters()[0]}/switchover?dry-run=true")["data"]["Remarks"]


def backups(node):
    return node.value("SELECT count(*) FROM pg_stat_replication WHERE state = 'backup'")


@contextlib.contextmanager
def base_backup(world, node):
    """A pg_basebackup of this server that takes minutes."""
    target = world.home / "backup"
    child = subprocess.Popen(
        [str(postgres.bin_directory(15) / "pg_basebackup"), "-D", str(target), "-X", "none", "--checkpoint=fast",
         "--max-rate=32k", "-d", f"host={node.host} port={node.port} user={postgres.REPLICATION_USER} "
         f"password={postgres.REPLICATION_PASSWORD}"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_until(lambda: backups(node), 10, "the backup runs")
        yield child
    finally:
        child.kill()
        child.wait(5)
    wait_until(lambda: not backups(node), 10, "the backup is over")


def test_scenario_63_64_sessions_end_and_a_base_backup_is_waited_for(world):
    """Scenario 64: a base backup would be lost, so the switchover does not begin, and says whose it is. Scenario 63: one that
    idles in its transaction and one that computes for a minute are told of before, and hold up nothing."""
    cluster, manager, _ = world.guarded(2)
    n1, n2 = cluster["n1"], cluster["n2"]
    wait_ready_to_switch(manager)
    with base_backup(world, n1) as backup:
        said = wait_until(lambda: obstacles(manager), 10, "the backup hinders it")
        assert len(said) == 1 and "base backup" in said[0] and "pg_basebackup" in said[0]
        with pytest.raises(ApiError, match="base backup") as refused:
            manager.switchover(manager.clusters()[0])
        assert refused.value.status == 409
        assert n1.is_primary() and backup.poll() is None
    idle = n1.connect()
    idle.autocommit = False
    idle.cursor().execute("SELECT 1")
    ended = []

    def compute():
        try:
            n1.sql("SELECT pg_sleep(120)")
        except psycopg2.Error as error:
            ended.append(error)
    computing = threading.Thread(target=compute, daemon=True)
    computing.start()
    wait_until(lambda: len([r for r in remarks(manager) if "will be rolled back" in r]) == 2, 10, "both are told of")
    writer = world.writer(cluster)
    began = time.monotonic()
    manager.switchover(manager.clusters()[0], n2)
    wait_rejoined(manager, n1, n2)
    wait_writes(writer)
    writer.stop()
    computing.join(5)
    assert ended and writer.outage_around(began) < 4.0
    assert writer.lost(n2.rows()) == []
    with pytest.raises(psycopg2.Error):
        idle.cursor().execute("SELECT 1")


@pytest.mark.parametrize("command", ["false", "sleep 60"], ids=["fails", "hangs"])
def test_scenario_65_an_archive_that_does_not_work_holds_up_nothing(world, command):
    """Scenario 65: PostgreSQL does not end before its archiver. Either it leads elsewhere within the time for which clients are
    held, or it goes on here; nobody waits for the archive, and nothing is lost."""
    pause_s = 3
    cluster, manager, _ = world.guarded(2, config={"SwitchoverPauseSeconds": pause_s},
                                        settings={"archive_mode": "on", "archive_command": "'true'"})
    n1, n2 = cluster["n1"], cluster["n2"]
    wait_ready_to_switch(manager)
    writer = world.writer(cluster)
    n1.set("archive_command", command)
    n1.sql("SELECT pg_switch_wal()::text")
    if command == "false":
        wait_until(lambda: any("archiving fails" in r for r in remarks(manager)), 15, "it is told before")
    else:
        wait_until(lambda: any(b"sleep" in c for c in commands_of(n1)), 15, "the archiver waits")
    began = time.monotonic()
    try:
        manager.switchover(manager.clusters()[0], n2)
        primary, other = n2, n1
    except ApiError:
        primary, other = n1, n2
    wait_writes(writer)
    assert cluster.primary() is primary
    wait_rejoined(manager, other, primary)
    writer.stop()
    assert writer.outage_around(began) < pause_s + 3
    assert writer.lost(primary.rows()) == []
    wait_agents(manager, cluster)


def commands_of(node):
    """Command lines of what its processes have started."""
    found = []
    for pid in node.pids():
        children = subprocess.run(["ps", "-o", "args=", "--ppid", str(pid)], capture_output=True, check=False).stdout
        found.append(children)
    return found
