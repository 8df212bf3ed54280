"""Replicas in trouble: what they lack, what they have that nobody else has, and whom they may replace."""

import contextlib
import re

from lab import agent as agents
from lab import postgres
from lab.wait import holds_for, wait_until
from test_cli import client
from test_failover import held_back
from world import (codes, no_recovery_for, settle, successor_of, wait_agents, wait_code, wait_follows, wait_recovered,
                   wait_rejoined, wait_writes)

DROPS = {"RejoinDropsWrites": True}


def fill(node, megabytes):
    """WAL that is of no commit's use, and a new segment behind it."""
    for _ in range(megabytes):
        node.value("SELECT length(pg_logical_emit_message(false, 'lab', repeat('x', 1024 * 1024))::text)")
    node.sql("SELECT pg_switch_wal()::text")
    node.sql("CHECKPOINT")


def insert(node, first, rows=50):
    """Rows that are known by their numbers."""
    node.sql(f"INSERT INTO ledger SELECT {first} + g, 'known' FROM generate_series(1, {rows}) g", database="app")
    return {first + g for g in range(1, rows + 1)}


def audits(manager, node, kind):
    return [a["Message"] for a in manager.get("audit") if a["AuditInstanceKey"]["Port"] == node.port and a["AuditType"] == kind]


def instance(manager, node):
    primary = manager.get("clusters")[0]
    members = manager.get(f"v2/clusters/{primary}")["data"]["Instances"]
    return next(i for i in members if i["Key"]["Port"] == node.port)


def refusals(manager, node):
    """Why it would not be promoted now."""
    plan = manager.get(f"v2/clusters/{manager.clusters()[0]}/plan")["data"]
    return [r["Reason"] for r in plan["Rejected"] if r["Key"]["Port"] == node.port]


# -- what is no reason for a failover


def test_scenario_56_the_managers_role_is_dropped(world):
    """Scenario 56: nobody lets the manager in, on any server; its clients and its agents go on."""
    cluster, manager, _ = world.guarded()
    writer = world.writer(cluster)
    primary = cluster["n1"]
    for database in ("postgres", postgres.APP_DATABASE):
        primary.sql(f"DROP OWNED BY {postgres.MANAGER_USER}", database=database)
    primary.sql(f"DROP ROLE {postgres.MANAGER_USER}")
    for node in cluster:
        node.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'baton%%'")
    wait_code(manager, primary, "AuthenticationFailed")
    no_recovery_for(manager, 3, cluster, primary)
    wait_writes(writer)
    assert writer.stop().lost(primary.rows()) == []
    assert writer.outage_around(0) < 1.0
    for statement in postgres.provisioning_sql(15):
        if postgres.MANAGER_USER in statement:
            primary.sql(statement)
    for statement in postgres.function_grants(15):
        primary.sql(statement, database=postgres.APP_DATABASE)
    settle(manager, cluster)


def test_scenario_13_a_replica_dies_for_good(world):
    """Scenario 13: nothing happens to the primary. The slot is kept for as long as was said, and then dropped everywhere."""
    cluster, manager, agent = world.guarded(config={"MemberSlotTTLSeconds": 5})
    n1, n2, n3 = cluster
    slot = n3.spec.slot_name

    def has_slot(node):
        return node.value("SELECT count(*) FROM pg_replication_slots WHERE slot_name = %s", (slot,)) == 1
    wait_until(lambda: has_slot(n2), 20, "n2 has a slot for n3, too")
    writer = world.writer(cluster)
    agent["n3"].kill9()
    n3.kill9()
    holds_for(lambda: has_slot(n1), 4, "the slot is kept")
    wait_until(lambda: not has_slot(n1) and not has_slot(n2), 20, "the slots are gone")
    assert "MemberSlotTTLSeconds" in audits(manager, n1, "drop-slot")[0]
    assert not manager.recoveries() and n1.is_primary()
    assert writer.stop().lost(n1.rows()) == []
    assert writer.outage_around(0) < 1.0


# -- who is chosen


@contextlib.contextmanager
def replay_blocked(cluster, node):
    """A query on a standby, and a change of its table on the primary: what comes behind that is received and not replayed."""
    reader = node.connect(postgres.APP_DATABASE)
    reader.autocommit = False
    reader.cursor().execute("SELECT count(*) FROM ledger")
    cluster.root.sql("ALTER TABLE ledger ADD COLUMN note text", database="app")
    rows = insert(cluster.root, 700_000_000, 500)
    wait_until(lambda: node.received_lsn() >= cluster.root.received_lsn(), 10, f"{node} has it all")
    try:
        yield reader, rows
    finally:
        with contextlib.suppress(Exception):
            reader.close()


QUICK = {"wal_retrieve_retry_interval": "'200ms'"}  # receivers ask again soon
PATIENT = {"*": {"settings": {"max_standby_streaming_delay": "-1"}}}


def test_scenario_58_blocked_replay_is_not_missing_wal(world):
    """Scenario 58: a lock keeps a standby from replaying. How far it has received is told apart from that, and decides; the
    other one has replayed more and received less."""
    cluster, manager = world.watched(3, node_options=PATIENT)
    n1, n2, n3 = cluster
    with replay_blocked(cluster, n3) as (reader, rows), held_back(cluster, n2) as later:
        seen = wait_until(lambda: (s := instance(manager, n3))["ReplayLagBytes"] and s, 10, "its lag is seen")
        assert seen["ReceiveLagBytes"] < seen["ReplayLagBytes"] and seen["Replicating"]
        n1.kill9()
        wait_until(lambda: f"promote {n3.key}" in steps_of(manager), 10, "n3 is asked to lead", 0.01)
        assert not n3.is_primary()
        reader.close()
        assert successor_of(wait_recovered(manager), cluster) is n3
    assert rows | later <= n3.rows()
    wait_follows(n2, n3)


def steps_of(manager):
    return [s for r in manager.recoveries() for s in manager.steps(r["UID"])]


def test_scenario_61_a_promotion_that_hangs(world):
    """Scenario 61: the candidate is asked, and cannot go on. Its agent ends it, so that it cannot lead any more, and another one
    leads; it comes back below that one."""
    cluster, manager, _ = world.guarded(config={**DROPS, "PromotionTimeoutSeconds": 2}, node_options=PATIENT)
    n1, n2, n3 = cluster
    writer = world.writer(cluster)
    with replay_blocked(cluster, n2) as (_, rows):
        wait_until(lambda: cluster.caught_up(n1), 10, "both have it all")
        killed_at = writer.note_kill(n1.kill9())
        recovery = wait_recovered(manager, deadline_s=30)
        assert successor_of(recovery, cluster) is n3, manager.steps(recovery["UID"])
        wait_writes(writer, killed_at)
    assert rows <= n3.rows()
    wait_rejoined(manager, n2, n3)
    wait_rejoined(manager, n1, n3)
    assert writer.stop().lost(n3.rows()) == []


def test_scenario_66_a_replica_that_lives_from_the_archive(world):
    """Scenario 66: it gets on, and does not stream: it is told, and the one that streams is promoted."""
    archive = world.home / "archive"
    archive.mkdir(mode=0o700)
    postgres.own(archive)
    cluster, manager = world.watched(3, node_options={
        "n1": {"settings": {"archive_mode": "on", "archive_command": f"'cp %p {archive}/%f'"}},
        "n2": {"settings": {"restore_command": f"'cp {archive}/%f %p'"}}}, settings=QUICK)
    n1, n2, n3 = cluster
    n2.set("primary_conninfo", "")
    wait_until(lambda: not n2.streams_from(), 10, "it streams no more")
    rows = insert(n1, 1000)
    n1.sql("SELECT pg_switch_wal()::text")
    wait_until(lambda: rows <= n2.rows(), 15, "they come through the archive")
    wait_until(lambda: not instance(manager, n2)["Replicating"], 10, "it is not taken for one that streams")
    wait_code(manager, n1, "StandbyNotReplicating")
    more = insert(n1, 2000)
    wait_until(lambda: n3.received_lsn() >= n1.received_lsn(), 10, "n3 has it all")
    n1.kill9()
    assert successor_of(wait_recovered(manager), cluster) is n3
    assert rows | more <= n3.rows()


def test_scenario_72_the_only_one_with_an_acknowledged_row_is_out_of_reach(world):
    """Scenario 72, synchronous: nobody is promoted who may lack it. When it is back, it leads, and nothing is lost."""
    cluster, manager = world.watched(3, settings={"synchronous_standby_names": "'ANY 1 (n2, n3)'"})
    n1, n2, n3 = cluster
    with held_back(cluster, n2) as rows:
        n3.freeze()
        n1.kill9()
    try:
        recovery = wait_recovered(manager, deadline_s=30)
        assert not recovery["IsSuccessful"] and not n2.is_primary()
        assert re.search("quorum|synchronous", " ".join(manager.steps(recovery["UID"])))
    finally:
        n3.thaw()
    wait_until(lambda: n3.is_primary(), 30, "it leads")
    assert rows <= n3.rows()
    wait_follows(n2, n3)


def test_scenario_72_73_the_most_advanced_one_is_out_of_reach(world):
    """Scenarios 72 and 73, asynchronous: another one is promoted. The one that was ahead of it is rewound by its agent when it
    is back, as the old primary is."""
    cluster, manager, agent = world.guarded(config=DROPS, settings=QUICK)
    n1, n2, n3 = cluster
    with held_back(cluster, n2) as rows:
        agent["n3"].freeze()
        n3.freeze()
        n1.kill9()
    try:
        recovery = wait_recovered(manager, deadline_s=30)
        assert successor_of(recovery, cluster) is n2, manager.steps(recovery["UID"])
        insert(n2, 1000)
    finally:
        n3.thaw()
        agent["n3"].thaw()
    wait_rejoined(manager, n3, n2)
    wait_rejoined(manager, n1, n2)
    assert "rewind" in audits(manager, n3, "rejoin-done")[0]
    assert rows.isdisjoint(n3.rows()) and n3.rows() == n2.rows()


def test_scenario_81_nobody_may_be_promoted(world):
    """Scenario 81: all are must_not. The primary is started again where it is, and the reason is told."""
    cluster, manager, _ = world.guarded(lease=False)
    for name in ("n2", "n3"):
        manager.get(f"register-candidate/{cluster[name].host}/{cluster[name].port}/must_not")
    writer = world.writer(cluster)
    killed_at = cluster["n1"].kill9()
    wait_writes(writer, killed_at)
    assert cluster.primary() is cluster["n1"] and cluster["n1"].timeline() == 1
    assert not [r for r in manager.recoveries() if r["IsSuccessful"]]
    told = [a["Message"] for a in manager.get("audit") if a["AuditInstanceKey"]["Port"] == cluster["n1"].port]
    assert any("must_not" in message for message in told), told
    settle(manager, cluster)
    assert writer.stop().lost(cluster["n1"].rows()) == []


def test_scenario_83_a_replica_is_added_during_a_failover(world):
    """Scenario 83: it is started, and found, at the moment in which the primary dies. It ends below the new one."""
    cluster = world.cluster(4)
    n1, n4 = cluster["n1"], cluster["n4"]
    n4.stop()
    port, peers = world.ports(1), world.ports(4)
    manager = world.manager(cluster, config={**DROPS, **agents.manager_settings(port)})
    beside = agents.beside(cluster, [f"127.0.0.1:{port}"], peers)
    for name in ("n1", "n2", "n3"):
        world.guard(beside[name])
        manager.discover(cluster[name])
    wait_until(lambda: len(manager.agents().get(n1.port, {"Lease": {"Promotable": []}})["Lease"]["Promotable"]) == 2, 20,
               "the lease is on")
    writer = world.writer(cluster)
    n4.spawn()
    killed_at = writer.note_kill(n1.kill9())
    world.guard(beside["n4"])
    manager.get(f"discover/{n4.host}/{n4.port}")
    new = successor_of(wait_recovered(manager), cluster)
    wait_writes(writer, killed_at)
    wait_rejoined(manager, n1, new)
    wait_until(lambda: n4.rows() >= {number for number, _ in writer.acknowledged[:-100]}, 30, "the new one is in the tree")
    wait_agents(manager, cluster)
    assert writer.stop().lost(new.rows()) == []


# -- what comes back, and how


def test_scenario_67_a_lost_slot(world):
    """Scenario 67: a replica was away, and what it lacks is not there any more: it is made anew. One that has the archive gets
    on with that, as it is."""
    archive = world.home / "archive"
    archive.mkdir(mode=0o700)
    postgres.own(archive)
    cluster, manager, agent = world.guarded(
        settings={"max_slot_wal_keep_size": "16MB", "wal_keep_size": "0", "min_wal_size": "32MB", **QUICK},
        node_options={
            "n1": {"settings": {"archive_mode": "on", "archive_command": f"'cp %p {archive}/%f'"}},
            "n2": {"settings": {"restore_command": f"'cp {archive}/%f %p'"}}})
    n1, n2, n3 = cluster
    before = {node: node.data.stat().st_ino for node in (n2, n3)}
    for node in (n2, n3):
        agent[node.name].kill9()
        node.kill9()
    fill(n1, 60)
    wait_until(lambda: n1.value("SELECT count(*) FROM pg_replication_slots WHERE wal_status = 'lost'") == 2, 20, "both are lost")
    wait_code(manager, n1, "SlotWalLost")
    for node in (n2, n3):
        agent[node.name].start()
    wait_until(lambda: n3.data.stat().st_ino != before[n3], 40, "n3 has a new directory")
    wait_rejoined(manager, n3, n1)
    wait_rejoined(manager, n2, n1)
    assert n2.data.stat().st_ino == before[n2], "the archive had it all"
    wait_agents(manager, cluster)


def test_scenario_75_two_branches_of_one_number(world):
    """Scenario 75: it was promoted by hand while another one was by Baton. It never passes for a standby of that one, and waits
    for an operator: nothing but a copy helps."""
    cluster, manager, agent = world.guarded()
    n1, n2, n3 = cluster
    agent["n3"].stop()
    n3.stop()
    insert(n1, 1000)
    n1.kill9()
    assert successor_of(wait_recovered(manager), cluster) is n2
    wait_follows(n1, n2)
    (n3.data / "postgresql.auto.conf").write_text("", encoding="ascii")
    n3.start()
    n3.sql("SELECT pg_promote(true)")
    rows = insert(n3, 5000, 1000)
    assert n3.timeline() == n2.timeline() == 2
    wait_until(lambda: {"SplitBrain", "StalePrimary"} & (codes(manager, n2) | codes(manager, n3)), 15, "two are writable")
    n3.stop()
    n3.rejoin_as_it_is(n2)
    wait_follows(n3, n2)  # PostgreSQL sees nothing wrong with it
    agent["n3"].start()
    wait_code(manager, n3, "ReplicaDiverged")
    wait_until(lambda: "baton reinit" in manager.rejoins()[n3.port]["Allow"], 20, "it waits for an operator")
    assert rows <= n3.rows()
    assert "foreign-timeline" in refusals(manager, n3)
    assert client(manager, "reinit", n3.key)[0] == 0
    wait_rejoined(manager, n3, n2)
    assert rows.isdisjoint(n3.rows())
