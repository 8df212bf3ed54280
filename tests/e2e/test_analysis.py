"""Telling the dead from the busy, the hung and the unreachable (defects 3.2 of the field; scenarios 2, 53, 54, 57)."""

import contextlib
import os
import signal

import psycopg2
import pytest

from lab import postgres
from lab.wait import wait_until
from world import (codes, no_recovery_for, settle, successor_of, wait_code, wait_follows, wait_recovered, wait_writes)


def end_manager_sessions(node):
    node.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = %s", (postgres.MANAGER_USER,))


def test_scenario_2_backend_oom_is_not_death(world):
    """Scenario 2: one backend killed, the server goes through crash recovery by itself; three times."""
    cluster, manager = world.watched(3)
    writer = world.writer(cluster)
    for _ in range(3):
        started = cluster["n1"].value("SELECT pg_postmaster_start_time()")
        cluster["n1"].crash_a_backend()
        wait_writes(writer)
        assert cluster["n1"].value("SELECT pg_postmaster_start_time()") == started
    no_recovery_for(manager, 2, cluster, cluster["n1"])
    settle(manager, cluster)


def test_scenario_53_too_many_connections_is_not_death(world):
    """Scenario 53: the primary refuses the manager (53300) and serves its clients."""
    cluster, manager = world.watched(3, settings={"max_connections": "25"})
    primary = cluster["n1"]
    with contextlib.ExitStack() as sessions:
        def fill():
            while True:
                try:
                    sessions.callback(psycopg2.connect(
                        host=primary.host, port=primary.port, user=postgres.APP_USER, password=postgres.APP_PASSWORD,
                        dbname=postgres.APP_DATABASE).close)
                except psycopg2.OperationalError:
                    return

        def crowded_out():
            fill()
            end_manager_sessions(primary)
            fill()
            return primary.value("SELECT count(*) FROM pg_stat_activity WHERE usename = %s", (postgres.MANAGER_USER,)) == 0
        wait_until(lambda: crowded_out() and "TooManyConnections" in codes(manager, primary), 20,
                   "the manager is crowded out, and says so", 0.3)
        no_recovery_for(manager, 4, cluster, primary)
    settle(manager, cluster)


def test_scenario_54_refused_by_hba_is_not_death(world):
    """Scenario 54: pg_hba.conf refuses the manager; replication flows."""
    cluster, manager = world.watched(3)
    primary = cluster["n1"]
    primary.write_hba(f"host all {postgres.MANAGER_USER} all reject\n{postgres.HBA}")
    end_manager_sessions(primary)
    wait_code(manager, primary, "AuthenticationFailed")
    no_recovery_for(manager, 4, cluster, primary)
    primary.write_hba()
    settle(manager, cluster)


def test_scenario_55_changed_password_is_not_death(world):
    """A password that no longer fits, on every server at once: nobody is dead."""
    cluster, manager = world.watched(2)
    cluster["n1"].sql(f"ALTER ROLE {postgres.MANAGER_USER} PASSWORD 'another'")
    for node in cluster:
        end_manager_sessions(node)
    wait_code(manager, cluster["n1"], "AuthenticationFailed")
    no_recovery_for(manager, 3, cluster, cluster["n1"])
    cluster["n1"].sql(f"ALTER ROLE {postgres.MANAGER_USER} PASSWORD '{postgres.MANAGER_PASSWORD}'")
    settle(manager, cluster)


def test_scenario_57_a_locked_catalog_is_not_death(world):
    """Scenario 57: somebody locks what the manager reads, even logging in hangs; replicas receive, so nobody is promoted."""
    cluster, manager = world.watched(3)
    writer = world.writer(cluster)
    with contextlib.closing(cluster["n1"].connect()) as session:
        session.autocommit = False
        session.cursor().execute("LOCK TABLE pg_authid IN ACCESS EXCLUSIVE MODE")
        no_recovery_for(manager, 6, cluster=None)
        wait_writes(writer)
        session.rollback()
    settle(manager, cluster)
    assert cluster["n1"].is_primary() and not manager.recoveries()


def test_scenario_57_statement_timeout_is_not_death(world):
    """Scenario 57: the manager's statements are cancelled by a tiny statement_timeout."""
    cluster, manager = world.watched(2)
    cluster["n1"].sql(f"ALTER ROLE {postgres.MANAGER_USER} SET statement_timeout = '1ms'")
    for node in cluster:
        end_manager_sessions(node)
    no_recovery_for(manager, 4, cluster, cluster["n1"])


def test_2_nobody_answers_means_look_at_your_own_link(world):
    """3.2.2: with no standby to ask, a silent primary is not failed over; when they are back, all is well."""
    cluster, manager = world.watched(3)
    for node in cluster:
        node.freeze()
    try:
        wait_until(lambda: manager.failures(), 10, "the silence is noticed")
        no_recovery_for(manager, 4)
    finally:
        for node in cluster:
            node.thaw()
    settle(manager, cluster)
    assert not manager.recoveries()


def test_postmaster_frozen_while_replicas_receive(world):
    """3.2.1: new connections hang, old sessions and walsenders work: the standbys vouch for the primary."""
    cluster, manager = world.watched(3)
    writer = world.writer(cluster)
    cluster["n1"].freeze(postmaster_only=True)
    try:
        end_manager_sessions_by_signal(cluster["n1"])
        no_recovery_for(manager, 5)
        wait_writes(writer)
    finally:
        cluster["n1"].thaw()
    settle(manager, cluster)
    assert cluster["n1"].is_primary()


def end_manager_sessions_by_signal(node):
    """The postmaster accepts nobody, so the manager's sessions on the primary are ended by signal."""
    for pid in node.pids():
        with open(f"/proc/{pid}/cmdline", "rb") as line:
            if line.read().split(b"\0")[0].startswith(f"postgres: {node.name}: {postgres.MANAGER_USER} ".encode()):
                os.kill(pid, signal.SIGTERM)


def test_4_downtime_suppresses_failover(world):
    """3.2.4: a downtimed primary is left alone until the downtime ends."""
    cluster, manager = world.watched(3)
    primary = cluster["n1"]
    manager.get(f"begin-downtime/{primary.host}/{primary.port}/ops/upgrade/10m")
    primary.kill9()
    wait_code(manager, primary, "DeadPrimary")
    no_recovery_for(manager, 3, cluster, primary)
    manager.get(f"end-downtime/{primary.host}/{primary.port}")
    successor_of(wait_recovered(manager), cluster)


def test_6_a_former_primary_that_comes_back_is_stale(world):
    """3.2.6: the old primary is started again, writable: it is named, and never taken for the primary."""
    cluster, manager = world.watched(3)
    old = cluster["n1"]
    old.kill9()
    new = successor_of(wait_recovered(manager), cluster)
    old.start()
    wait_until(lambda: {"StalePrimary", "SplitBrain"} & (codes(manager, old) | codes(manager, new)), 10, "two primaries are seen")
    assert [i["Key"]["Port"] for i in manager.get("masters")] == [new.port]
    assert manager.get(f"master/{new.key}")["Key"]["Port"] == new.port
    assert new.is_primary()
    assert len(manager.recoveries()) == 1


def test_6_a_diverged_replica_is_told(world):
    """3.2.6: a standby on a branch of its own does not look healthy, and is not promoted."""
    cluster, manager = world.watched(3)
    stray = cluster["n3"]
    stray.sql("SELECT pg_promote(true)")
    stray.sql("INSERT INTO ledger SELECT g, 'stray' FROM generate_series(1, 1000) g", database="app")
    wait_until(lambda: {"SplitBrain", "StalePrimary"} & (codes(manager, stray) | codes(manager, cluster["n1"])), 10,
               "two writable servers are seen")
    stray.stop()
    stray.rejoin_as_it_is(cluster["n1"])
    wait_code(manager, stray, "ReplicaDiverged")
    cluster["n1"].kill9()
    recovery = wait_recovered(manager)
    assert successor_of(recovery, cluster) is cluster["n2"]
    wait_until(lambda: "ReplicaDiverged" in codes(manager, stray), 10, "it is still told")


@pytest.mark.parametrize("name, value, code", [
    ("synchronous_standby_names", "nobody", "UnsatisfiableSynchronousStandbys"),
])
def test_6_settings_that_will_hurt(world, name, value, code):
    cluster, manager = world.watched(2)
    cluster["n1"].set(name, value)
    wait_code(manager, cluster["n1"], code)


def test_6_slow_promotion_setting_is_a_remark_not_a_failure(world):
    cluster, manager = world.watched(2, node_options={"n2": {"settings": {"wal_retrieve_retry_interval": "'5s'"}}})
    wait_until(lambda: any("SlowPromotionSetting" in c for c in manager.analysis().values()), 10, "the 5 s trap is named")
    assert not manager.failures()


def test_6_standbys_that_stop_streaming_are_told(world):
    cluster, manager = world.watched(3)
    for name in ("n2", "n3"):
        cluster[name].set("primary_conninfo", cluster[name].conninfo().replace(postgres.REPLICATION_PASSWORD, "wrong"))
        wait_until(lambda: not cluster[name].streams_from(), 10, "it stopped")
        if name == "n2":
            wait_until(lambda: manager.failures().get(cluster["n1"].port) in ("StandbyNotReplicating",), 10, "one stopped")
    wait_until(lambda: manager.failures().get(cluster["n1"].port) in ("AllStandbyNotReplicating",), 10, "all stopped")
    no_recovery_for(manager, 1, cluster, cluster["n1"])


def test_7_failure_detection_period_in_seconds_works(world):
    """3.2.7: FailureDetectionPeriodBlockSeconds, quoted in guides, has its effect: hooks again after it has passed."""
    marks = world.home / "detected"
    cluster, manager = world.watched(2, config={
        "RecoverMasterClusterFilters": [], "FailureDetectionPeriodBlockSeconds": 2,
        "OnFailureDetectionProcesses": [f"echo {{failureType}} >> {marks}"]})
    cluster["n1"].kill9()

    def count():
        return len(marks.read_text().splitlines()) if marks.exists() else 0
    wait_until(lambda: count() == 1, 10, "the first detection")
    wait_until(lambda: count() >= 2, 10, "the second, after the period")
    assert set(marks.read_text().split()) <= {"DeadPrimary", "DeadMaster"}
    assert not manager.recoveries()


def test_7_blocks_are_kept_by_cluster_not_by_name(world):
    """3.2.7: the second failure within the period is blocked although the cluster's name has changed, until acknowledged."""
    cluster, manager = world.watched(3)
    cluster["n1"].kill9()
    second = successor_of(wait_recovered(manager), cluster)
    third = next(n for n in cluster if n.name != "n1" and n is not second)
    wait_follows(third, second)
    wait_until(lambda: manager.instances()[third.port]["MasterKey"]["Port"] == second.port, 10, "the new tree is known")
    second.kill9()
    wait_until(lambda: manager.get("blocked-recoveries"), 10, "the second recovery is blocked")
    blocked = manager.get("blocked-recoveries")[0]
    assert blocked["FailedInstanceKey"]["Port"] == second.port
    assert blocked["BlockingRecoveryId"] == manager.recoveries()[0]["Id"]
    assert not third.is_primary()
    manager.ack_all()
    assert successor_of(wait_recovered(manager, 2), cluster) is third
