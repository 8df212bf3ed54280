"""PostgreSQL 16, 17 and 18: discovery, failover, rewiring, as on 15; and with host agents."""

import signal

import pytest

from lab import postgres, processes
from lab.manager import ApiError
from lab.wait import wait_until
from world import (obstacles, successor_of, wait_agents, wait_follows, wait_ready_to_switch, wait_recovered, wait_rejoined,
                   wait_writes)


@pytest.mark.parametrize("version", [16, 17, 18])
def test_discovery_failover_and_rewiring(world, version):
    cluster, manager = world.watched(4, version=version, node_options={"n4": {"upstream": "n3"}}, seed="n4")
    seen = manager.instances()
    assert {i["Version"].split(".")[0] for i in seen.values()} == {str(version)}
    assert seen[cluster["n4"].port]["MasterKey"]["Port"] == cluster["n3"].port
    manager.get(f"relocate/{cluster['n4'].host}/{cluster['n4'].port}/{cluster['n1'].host}/{cluster['n1'].port}")
    wait_follows(cluster["n4"], cluster["n1"])
    wait_until(cluster.caught_up, 10, "all standbys have everything")
    writer = world.writer(cluster)
    killed_at = writer.note_kill(cluster["n1"].kill9())
    wait_writes(writer, killed_at)
    new = successor_of(wait_recovered(manager), cluster)
    for node in cluster:
        if node not in (new, cluster["n1"]):
            wait_follows(node, new)
            assert dict(new.sql("SELECT slot_name, active FROM pg_replication_slots")).get(node.spec.slot_name)
    writer.stop()
    assert writer.outage_around(killed_at) < 2.0
    assert writer.lost(new.rows()) == []
    for node in cluster:
        if node is not cluster["n1"]:
            wait_until(lambda: not writer.lost(node.rows()), 10, f"{node} has every row")


@pytest.mark.parametrize("version", [17])
def test_alter_system_refused_is_said(world, version):
    """PG 17's allow_alter_system = off: moving a standby cannot work, and the answer says why."""
    cluster, manager = world.watched(3, version=version, settings={"allow_alter_system": "off"})
    n2, n3 = cluster["n2"], cluster["n3"]
    status, body, _ = manager.raw(f"/api/relocate/{n3.host}/{n3.port}/{n2.host}/{n2.port}", timeout_s=30)
    assert status == 500 and "allow_alter_system" in body
    assert n3.streams_from_node(cluster["n1"])


def needs(version, *programs):
    """The packages from npm have the server only; what the agent runs besides comes from scripts/postgres-tools."""
    try:
        if not postgres.has_tools(version, *programs):
            pytest.skip(f"no {' and '.join(programs)} of PostgreSQL {version} here: run scripts/postgres-tools {version}")
    except postgres.NotInstalled as missing:
        pytest.skip(str(missing))


def die_with_commits_of_its_own(node, writer, rows):
    """Its standbys see nothing of its last transaction, in which it inserts `rows`."""
    senders = [row[0] for row in node.sql("SELECT pid FROM pg_stat_replication")]
    processes.send(senders, signal.SIGSTOP)
    node.sql("INSERT INTO ledger SELECT g, 'unseen' FROM generate_series(%s, %s) g", (rows[0], rows[-1]), database="app")
    node.kill9()


def back_up(node, name, *more):
    """A base backup by the program of that version; its directory."""
    target = node.cluster.directory / node.name / name
    postgres.run([postgres.bin_directory(node.cluster.version) / "pg_basebackup", "-D", target, "--checkpoint=fast", "--no-sync",
                  *more, "-d", f"host={node.host} port={node.port} user={postgres.REPLICATION_USER} "
                  f"password={postgres.REPLICATION_PASSWORD}"])
    return target


# What is new in each, and matters here: 17 summarises WAL; 18 has checksums without being asked, so that it can be rewound
# without wal_log_hints, and reads through processes of its own.
OF_ITS_OWN = {
    16: {},
    17: {"summarize_wal": "on"},
    18: {"wal_log_hints": "off", "io_method": "worker", "io_workers": "3"},
}


@pytest.mark.parametrize("version", [16, 17, 18])
def test_with_agents_switchover_failover_rewind_and_clone(world, version):
    needs(version, "pg_basebackup", "pg_controldata", "psql")
    rewinds = postgres.has_tools(version, "pg_rewind", "pg_waldump")
    cluster, manager, _ = world.guarded(2, version=version, settings=OF_ITS_OWN[version],
                                        config={"RejoinDropsWrites": True, "RecoveryPeriodBlockSeconds": 1})
    n1, n2 = cluster["n1"], cluster["n2"]
    full = back_up(n1, "full") if version == 17 else None
    writer = world.writer(cluster)
    wait_ready_to_switch(manager)
    manager.switchover(manager.clusters()[0], n2)
    wait_rejoined(manager, n1, n2)
    wait_agents(manager, cluster)
    wait_writes(writer)
    writer.stop()
    assert writer.outage_around(0) < 2.0
    wait_until(lambda: cluster.caught_up(n2), 10, "n1 has everything")
    die_with_commits_of_its_own(n2, writer, range(900_000_001, 900_000_050))
    assert successor_of(wait_recovered(manager, 2), cluster) is n1
    # Without pg_rewind (16 here) it is made anew, as RejoinPolicy auto has it.
    wait_rejoined(manager, n2, n1)
    wait_until(lambda: manager.rejoins()[n2.port]["State"] == "done", 10, "the manager is done with it")
    assert manager.rejoins()[n2.port]["Way"] == ("rewind" if rewinds else "clone")
    wait_agents(manager, cluster)
    inode = n2.data.stat().st_ino
    manager.get(f"v2/instances/{n2.host}/{n2.port}/reinit")
    wait_until(lambda: n2.data.stat().st_ino != inode, 60, "it has a new directory")
    wait_rejoined(manager, n2, n1)
    assert not any(number > 900_000_000 for number in n2.rows())
    assert writer.lost(n1.rows()) == [] and writer.lost(n2.rows()) == []
    if full:  # what changed since is known across the switchover and the failover
        more = back_up(n1, "more", f"--incremental={full}/backup_manifest")
        assert any(more.rglob("INCREMENTAL.*"))


def test_18_takes_back_the_slot_of_a_standby_that_is_away(world):
    """idle_replication_slot_timeout: what a member needs is made anew, and it streams through it again."""
    version = 18
    needs(version, "pg_controldata")
    cluster, manager, _ = world.guarded(2, version=version, settings={"idle_replication_slot_timeout": "1s"},
                                        config={"RejoinPolicy": "manual"})
    n1, n2 = cluster["n1"], cluster["n2"]
    n2.stop("fast")

    def taken_back():
        n1.sql("CHECKPOINT")
        return n1.value("SELECT invalidation_reason FROM pg_replication_slots WHERE slot_name = %s", (n2.spec.slot_name,))
    assert wait_until(taken_back, 20, "the slot is idle for too long", 0.3) == "idle_timeout"
    manager.get(f"v2/instances/{n2.host}/{n2.port}/rejoin")
    wait_rejoined(manager, n2, n1)
    own = "SELECT wal_status, active FROM pg_replication_slots WHERE slot_name = %s"
    wait_until(lambda: n1.sql(own, (n2.spec.slot_name,)) == [("reserved", True)], 20, "it has its slot again")


SLOT = "cdc"
# Beside this, hot_standby_feedback is what keeps the rows that the consumer may still ask for.
COPIES = {"wal_level": "logical", "hot_standby_feedback": "on", "sync_replication_slots": "on",
          "max_prepared_transactions": "5"}


class Consumer:
    """Reads the application's ledger from a logical slot, wherever that is, and keeps no position of its own."""

    def __init__(self):
        self.seen = set()

    def read(self, node):
        rows = node.sql("SELECT data FROM pg_logical_slot_get_changes(%s, NULL, NULL)", (SLOT,), database="app")
        for (line,) in rows:
            if line.startswith("table public.ledger: INSERT: id[bigint]:"):
                self.seen.add(int(line.split("id[bigint]:")[1].split(" ")[0]))


def slot_at(node):
    """(a copy, temporary, how far the consumer is), or None."""
    rows = node.sql("SELECT synced, temporary, confirmed_flush_lsn - '0/0'::pg_lsn FROM pg_replication_slots "
                    "WHERE slot_name = %s AND invalidation_reason IS NULL", (SLOT,))
    return rows[0] if rows else None


def wait_copy(primary, standby, consumer):
    """Until the standby has a copy that outlives a promotion: it makes none of a slot whose consumer does not read on."""
    def good():
        primary.sql("SELECT pg_log_standby_snapshot()::text")
        consumer.read(primary)
        return slot_at(standby) and slot_at(standby)[:2] == (True, False)
    wait_until(good, 40, f"{standby} has a copy of the slot", 0.2)


@pytest.mark.parametrize("version", [17])
def test_scenario_62_logical_consumers_and_prepared_transactions_go_on(world, version):
    """Scenario 62. Before: what hinders the copy of a failover slot is said. After a switchover, and after a failover, a
    consumer goes on without a gap; the slot that the former primary had is no obstacle; prepared transactions are kept."""
    needs(version, "pg_controldata")
    login = f"user={postgres.REPLICATION_USER} password={postgres.REPLICATION_PASSWORD} dbname=postgres"
    cluster, manager, _ = world.guarded(
        2, version=version, config={"RecoveryPeriodBlockSeconds": 1}, agent={"instance": {"ReplicationConninfo": login}},
        settings={**COPIES, "synchronized_standby_slots": "''"},
        node_options={"*": {"extra_conninfo": "dbname=postgres"},
                      "n2": {"settings": {"sync_replication_slots": "off", "synchronized_standby_slots": "'nobody'"}}})
    n1, n2 = cluster["n1"], cluster["n2"]
    n1.sql("SELECT pg_create_logical_replication_slot(%s, 'test_decoding', false, false, true)::text", (SLOT,), database="app")
    consumer, writer = Consumer(), world.writer(cluster)
    wait_until(lambda: obstacles(manager), 10, "a slot without a copy hinders it")
    said = wait_until(lambda: (o := obstacles(manager, n2)) and len(o) == 1 and o, 10, "nothing else hinders it")[0]
    assert f"failover slot {SLOT} is not there" in said and "sync_replication_slots is off" in said
    with pytest.raises(ApiError, match=SLOT):
        manager.switchover(manager.clusters()[0], n2)
    assert n1.is_primary()
    n2.set("sync_replication_slots", "on")
    wait_copy(n1, n2, consumer)
    assert obstacles(manager) == []
    remarks = manager.get(f"v2/clusters/{manager.clusters()[0]}/switchover?dry-run=true")["data"]["Remarks"]
    assert any("synchronized_standby_slots" in r and "nobody" in r for r in remarks), remarks
    n2.set("synchronized_standby_slots", "")
    consumer.read(n1)
    manager.switchover(manager.clusters()[0], n2)
    wait_rejoined(manager, n1, n2)
    wait_writes(writer)
    consumer.read(n2)
    # The former primary's own slot is dropped, and a copy takes its place.
    wait_copy(n2, n1, consumer)
    assert any(a["AuditType"] == "drop-slot" and SLOT in a["Message"] for a in manager.get("audit"))
    wait_agents(manager, cluster)
    n2.sql("BEGIN; INSERT INTO ledger VALUES (900000001, 'prepared'); PREPARE TRANSACTION 'kept'", database="app")
    writer.stop()
    consumer.read(n2)
    confirmed = slot_at(n2)[2]
    wait_until(lambda: cluster.caught_up(n2), 10, "n1 has everything")
    n2.kill9()
    assert successor_of(wait_recovered(manager, 2), cluster) is n1
    assert slot_at(n1)[2] <= confirmed, "the slot is not beyond its consumer"
    n1.sql("COMMIT PREPARED 'kept'", database="app")
    wait_until(lambda: consumer.read(n1) or 900_000_001 in consumer.seen, 10, "the consumer goes on")
    assert n1.rows() - consumer.seen == set()
    assert writer.lost(n1.rows()) == []
    wait_rejoined(manager, n2, n1)
