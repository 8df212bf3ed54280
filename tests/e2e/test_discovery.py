"""Finding a cluster from one address: names, ports, cascades, and what is not a replica (defects 3.1 of the field)."""

import contextlib
import os
import subprocess

import pytest

from lab import postgres, processes
from lab.wait import holds_for, wait_until
from world import settle, successor_of, wait_code, wait_recovered


def keys(manager):
    return {(i["Key"]["Hostname"], i["Key"]["Port"]) for i in manager.get("all-instances")}


def needs_root():
    if os.geteuid() != 0:
        pytest.skip("a private /etc/hosts needs root")


class TestFromOneSeed:
    """Read-only questions to one cascade: n1 <- n2 <- n3."""

    @pytest.fixture(scope="class")
    def chain(self, shared_world):
        return shared_world.watched(3, "cascade", seed="n3")

    def test_5_cascade_from_the_bottom(self, chain):
        cluster, manager = chain
        seen = manager.instances()
        assert {port: i["ReplicationDepth"] for port, i in seen.items()} == {
            cluster["n1"].port: 0, cluster["n2"].port: 1, cluster["n3"].port: 2}
        assert seen[cluster["n3"].port]["MasterKey"]["Port"] == cluster["n2"].port
        assert manager.clusters() == [cluster["n1"].key]

    def test_every_hint_finds_the_cluster(self, chain):
        cluster, manager = chain
        alias = manager.get(f"cluster-info/{cluster['n1'].key}")["ClusterAlias"]
        for hint in [n.key for n in cluster] + [alias, cluster["n1"].system_identifier()]:
            assert len(manager.cluster(hint)) == 3, hint
            assert manager.get(f"master/{hint}")["Key"]["Port"] == cluster["n1"].port, hint

    def test_15_probes_reuse_one_session(self, chain):
        cluster, manager = chain
        query = f"SELECT array_agg(pid ORDER BY pid) FROM pg_stat_activity WHERE usename = '{postgres.MANAGER_USER}'"
        before = cluster["n1"].value(query)
        assert len(before) <= 3, "sessions to probe, to touch and to act, and no more"
        polled = manager.instances()[cluster["n1"].port]["LastSeenTimestamp"]
        wait_until(lambda: manager.instances()[cluster["n1"].port]["LastSeenTimestamp"] > polled, 10, "the next probe")
        assert set(before) & set(cluster["n1"].value(query)), "the probing session lasts"

    def test_15_refresh_does_not_log_in_again(self, chain):
        cluster, manager = chain
        query = f"SELECT max(backend_start) FROM pg_stat_activity WHERE usename = '{postgres.MANAGER_USER}'"
        before = cluster["n2"].value(query)
        for _ in range(5):
            manager.get(f"refresh/{cluster['n2'].host}/{cluster['n2'].port}")
        assert cluster["n2"].value(query) == before


def test_5_cascade_from_the_top(world):
    cluster, manager = world.watched(4, "tree", seed="n1")
    assert len(manager.cluster(cluster["n1"].key)) == 4


@pytest.mark.parametrize("nodes, hint", [(8, "hostport"), (8, "name"), pytest.param(20, "hostport", marks=pytest.mark.slow)])
def test_a_whole_tree_within_two_seconds(world, nodes, hint):
    """Three levels and more from one leaf within 2 s, by names of the form host:port and by trying ports."""
    cluster = world.cluster(nodes, "tree", node_options={"*": {"application_name": hint}})
    manager = world.manager(cluster)
    manager.discover(cluster[f"n{nodes}"])
    wait_until(lambda: len(manager.instances()) == nodes, 2, "all servers are known")


def test_1_quoted_host_name_survives_the_death_of_the_primary(world):
    """3.1.1: host='pg-primary' is quoted by pg_basebackup; the cluster must stay one when only that is left to go by."""
    needs_root()
    cluster, manager = world.watched(3, hosts={"pg-primary": "127.0.0.1"}, node_options={"n1": {"known_as": "pg-primary"}},
                                     seed="n2")
    assert "host='pg-primary'" in cluster["n2"].conninfo()
    assert len(keys(manager)) == 3 and len(manager.clusters()) == 1
    assert not any("'" in host for host, _ in keys(manager))
    writer = world.writer(cluster)
    writer.note_kill(cluster["n1"].kill9())
    recovery = wait_recovered(manager)
    new = successor_of(recovery, cluster)
    assert len(keys(manager)) == 3 and len(manager.clusters()) == 1
    wait_until(lambda: cluster["n2" if new.name == "n3" else "n3"].streams_from(), 10, "the survivor follows")
    writer.stop()
    assert writer.lost(new.rows()) == []


@pytest.mark.parametrize("form", [
    {"conninfo": "uri"}, {"conninfo": "multi"}, {"conninfo": "socket"}, {"host": "::1"},
    {"extra_conninfo": "hostaddr=127.0.0.1"}, {"extra_conninfo": "options='-c geqo_seed=0.99'"},
    {"application_name": "none", "slot": False},
], ids=["uri", "multi-host", "unix-socket", "ipv6", "hostaddr", "options-with-equals", "no-name-no-slot"])
def test_1_12_forms_of_conninfo(world, form):
    """3.1.1, 3.1.12: whatever the conninfo looks like, one cluster with each server once and the right upstream."""
    if form.get("host") == "::1" and not os.path.exists("/proc/sys/net/ipv6"):
        pytest.skip("no IPv6 here")
    cluster = world.cluster(3, node_options={"*": form})
    manager = world.manager(cluster)
    manager.discover(cluster["n2"])
    settle(manager, cluster)
    assert len(keys(manager)) == 3
    assert len(manager.clusters()) == 1
    assert not any("/" in host for host, _ in keys(manager)), "a socket directory is not a host"
    manager.get(f"forget-cluster/{manager.clusters()[0]}")
    manager.discover(cluster["n1"])
    settle(manager, cluster)
    assert len(keys(manager)) == 3


def test_2_one_server_under_two_names(world):
    """3.1.2: localhost and 127.0.0.1 are the same server; either name finds it."""
    cluster, manager = world.watched(3)
    for node in cluster:
        manager.details(f"discover/localhost/{node.port}")
    holds_for(lambda: len(keys(manager)) == 3 and len(manager.clusters()) == 1, 2.5, "each server is there once")
    by_address = manager.get(f"instance/127.0.0.1/{cluster['n2'].port}")
    by_name = manager.get(f"instance/localhost/{cluster['n2'].port}")
    assert by_address["Key"] == by_name["Key"]
    assert len(manager.cluster(f"localhost:{cluster['n3'].port}")) == 3


def test_4_ports_from_application_names(world):
    """3.1.4: a standby on an odd port is found by its application_name of the form host:port."""
    cluster = world.cluster(3, node_options={"*": {"application_name": "hostport"}})
    manager = world.manager(config={"DiscoveryPortCandidates": []})
    manager.discover(cluster["n1"])
    settle(manager, cluster)
    assert len(keys(manager)) == 3


def test_4_no_ghosts_for_ports_that_cannot_be_known(world):
    """3.1.4: without any hint of a standby's port nothing is invented, neither :5432 nor the client's own port."""
    cluster = world.cluster(3)
    manager = world.manager()
    manager.discover(cluster["n1"])
    holds_for(lambda: keys(manager) <= {("127.0.0.1", cluster["n1"].port)}, 3, "only what answered is listed")
    manager.discover(cluster["n2"])
    manager.discover(cluster["n3"])
    settle(manager, cluster)
    assert len(keys(manager)) == 3 and len(manager.clusters()) == 1


def test_4_a_guessed_port_of_another_cluster_is_not_kept(world):
    """A guess counts only when a member of the same cluster answers there."""
    cluster, stranger = world.cluster(2), world.cluster(1, identity=1)
    manager = world.manager(config={"DiscoveryPortCandidates": [str(stranger["n1"].port), str(cluster["n2"].port)]})
    manager.discover(cluster["n1"])
    settle(manager, cluster)
    holds_for(lambda: len(keys(manager)) == 2, 2, "the stranger stays out")


def test_6_backups_and_consumers_are_not_replicas(world):
    """3.1.6: pg_receivewal and a logical consumer stream, but nobody can fail over to them."""
    if not postgres.has_tools(15):
        pytest.skip("pg_receivewal is not installed")
    cluster, manager = world.watched(3, settings={"wal_level": "logical"})
    primary, tools = cluster["n1"], postgres.bin_directory(15)
    dsn = f"host={primary.host} port={primary.port} user={postgres.REPLICATION_USER} password={postgres.REPLICATION_PASSWORD}"
    sink = world.home / "sink"
    sink.mkdir()
    primary.sql("SELECT pg_create_logical_replication_slot('cdc', 'test_decoding')", database="app")
    consumers = [
        [tools / "pg_receivewal", "-d", dsn, "-D", sink, "--no-sync"],
        [tools / "pg_recvlogical", "-d", f"host={cluster.sockets} port={primary.port} user=postgres dbname=app",
         "--slot=cdc", "--start", "-f", "/dev/null"]]
    with contextlib.ExitStack() as ending:
        for command in consumers:
            child = subprocess.Popen([str(c) for c in command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            ending.callback(child.wait)
            ending.callback(child.kill)
        wait_until(lambda: primary.value("SELECT count(*) FROM pg_stat_replication") == 4, 10, "both consumers stream")
        holds_for(lambda: len(manager.instances()[primary.port]["Replicas"]) == 2 and len(keys(manager)) == 2 + 1, 3,
                  "two replicas, three servers")


def test_7_an_idle_cluster_does_not_lag(world):
    """3.1.7: nothing written for a while is no lag; and a standby that restarted idle has a lag of 0, not an unknown one."""
    cluster, manager = world.watched(2)

    def lag():
        return manager.instances()[cluster["n2"].port]["ReplicationLagSeconds"]
    cluster["n1"].sql("INSERT INTO ledger (id, writer) VALUES (1, 'once')", database="app")
    seen = set()
    holds_for(lambda: seen.add(str(lag())) or True, 6, "idle seconds")
    assert seen == {"{'Int64': 0, 'Valid': True}"}, "also in the moment after the first write"
    cluster["n2"].stop()
    cluster["n2"].start()
    settle(manager, cluster)
    assert lag() == {"Int64": 0, "Valid": True}


def test_8_received_is_not_replayed(world):
    """3.1.8: WAL that a paused standby has received is told from WAL that it has replayed."""
    cluster, manager = world.watched(2)
    cluster["n2"].sql("SELECT pg_wal_replay_pause()")
    cluster["n1"].sql("INSERT INTO ledger SELECT g, 'bulk' FROM generate_series(1, 20000) g", database="app")
    wait_code(manager, cluster["n2"], "ReplayPaused")
    wait_until(lambda: cluster["n2"].received_lsn() >= cluster["n1"].received_lsn(), 10, "the standby has it all")

    def positions():
        seen = manager.instances()[cluster["n2"].port]
        return seen["ReadBinlogCoordinates"]["LogPos"], seen["ExecBinlogCoordinates"]["LogPos"]
    wait_until(lambda: positions()[0] >= cluster["n1"].received_lsn() - 0x2000, 5, "the received position is seen")
    read, executed = positions()
    assert read - executed > 100_000
    assert manager.instances()[cluster["n2"].port]["ReplicationSQLThreadState"] == 0
    cluster["n2"].sql("SELECT pg_wal_replay_resume()")
    wait_until(lambda: positions()[0] == positions()[1], 10, "all is replayed")


def test_10_a_lost_slot_is_told(world):
    """3.1.10: a slot whose WAL is gone is a problem before anybody needs it."""
    cluster, manager = world.watched(2, settings={"max_slot_wal_keep_size": "16MB", "max_wal_size": "32MB",
                                                  "min_wal_size": "32MB", "wal_keep_size": "0"})
    primary = cluster["n1"]
    primary.sql("SELECT pg_create_physical_replication_slot('forgotten', true)")
    for _ in range(8):
        primary.sql("SELECT pg_switch_wal()")
        primary.sql("INSERT INTO ledger SELECT coalesce(max(id), 0) + 1, 'x' FROM ledger", database="app")
        wait_until(cluster.caught_up, 10, "the living standby has everything")
        primary.sql("CHECKPOINT")
    assert primary.value("SELECT wal_status FROM pg_replication_slots WHERE slot_name = 'forgotten'") == "lost"
    wait_code(manager, primary, "SlotWalLost")


def test_11_read_only_by_default_is_read_only(world):
    """3.1.11: default_transaction_read_only makes a primary as read-only as clients see it."""
    cluster, manager = world.watched(2)
    assert manager.instances()[cluster["n1"].port]["ReadOnly"] is False
    cluster["n1"].set("default_transaction_read_only", "on")
    wait_until(lambda: manager.instances()[cluster["n1"].port]["ReadOnly"], 5, "the primary is seen read-only")


def test_13_missing_privileges_are_named(world):
    """3.1.13: without pg_monitor the views are blind; that is a problem to report, not a cluster to lose."""
    cluster, manager = world.watched(3)
    cluster["n1"].sql(f"REVOKE pg_monitor FROM {postgres.MANAGER_USER}")
    wait_until(lambda: any("MissingPrivilege" in c for c in manager.analysis().values()), 10, "the missing grant is reported")
    holds_for(lambda: len(manager.cluster(cluster["n1"].key)) == 3, 2, "the known tree stays")
    assert not manager.recoveries()
    cluster["n1"].sql(f"GRANT pg_monitor TO {postgres.MANAGER_USER}")
    settle(manager, cluster)


@pytest.mark.parametrize("provider", ["postgresql", None], ids=["named", "found-out"])
def test_14_seeds_are_postgresql(world, provider):
    """3.1.14: DiscoverySeeds of a PostgreSQL server become PostgreSQL, with or without ProviderType."""
    cluster = world.cluster(2)
    manager = world.manager(cluster, config={"DiscoverySeeds": [cluster["n2"].key]}, start=False)
    if provider is None:
        del manager.config["ProviderType"]
    manager.start()
    settle(manager, cluster)
    assert manager.instances()[cluster["n1"].port]["FlavorName"] == "PostgreSQL"


class TestTwoSystems:
    """Two clusters on one host, one manager."""

    def test_two_system_identifiers_are_two_clusters(self, world):
        ours, theirs = world.cluster(2), world.cluster(2, identity=1)
        manager = world.manager(ours, theirs)
        manager.discover(ours["n2"])
        manager.discover(theirs["n1"])
        settle(manager, ours)
        settle(manager, theirs)
        assert sorted(manager.clusters()) == sorted([ours["n1"].key, theirs["n1"].key])
        assert {i["Key"]["Port"] for i in manager.cluster(ours["n1"].key)} == {n.port for n in ours}
        ours["n1"].kill9()
        wait_recovered(manager)
        assert theirs["n1"].is_primary() and not theirs["n2"].is_primary()
        assert {i["Key"]["Port"] for i in manager.cluster(theirs["n1"].key)} == {n.port for n in theirs}

    def test_a_foreign_server_at_a_known_address_is_never_promoted(self, world):
        """The host of a standby is reused for another cluster: the address is the same, the server is not."""
        ours, theirs = world.cluster(3), world.cluster(1, identity=1)
        manager = world.manager(ours)
        world.watch(manager, ours)
        reused = ours["n2"]
        reused.kill9()
        processes.release_segment(reused.data)
        postgres.run(["rm", "-rf", reused.data])
        postgres.copy_tree(postgres.template(15, 1), reused.data)
        ours.write_conf(reused)
        reused.write_standby_files(theirs["n1"])
        reused.spec.slot = False
        (reused.data / "postgresql.auto.conf").write_text(
            (reused.data / "postgresql.auto.conf").read_text().replace("primary_slot_name", "# primary_slot_name"))
        reused.start()
        wait_until(lambda: reused.port not in {i["Key"]["Port"] for i in manager.cluster(ours["n1"].key)
                                               if i["IsLastCheckValid"]}, 10, "the foreign server is no healthy member")
        ours["n1"].kill9()
        recovery = wait_recovered(manager)
        assert successor_of(recovery, ours) is ours["n3"]
        assert not reused.is_primary()
