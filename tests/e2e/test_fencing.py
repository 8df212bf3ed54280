"""Hosts that are cut off while agents guard them: never two writable primaries, seen from inside and outside (docs/fencing.md).
Needs root for network namespaces."""

import signal
import time

import pytest

from lab import processes
from lab.wait import holds_for, wait_until
from world import (no_recovery_for, successor_of, wait_agents, wait_code, wait_follows, wait_log, wait_recovered, wait_rejoined,
                   wait_writes)

NAMES = ["n1", "n2", "n3"]
DROPS = {"RejoinDropsWrites": True}


@pytest.fixture
def hosts(world):
    return world.network(NAMES)


def failed_over(world, hosts, cut, **more):
    """Cuts n1 off while clients write outside and inside; checks that nobody acknowledged beside the new primary."""
    cluster, manager, _ = world.guarded(hosts=hosts, config=DROPS, **more)
    old = cluster["n1"]
    writer, witnesses = world.writer(cluster, patience_s=1.0), world.witnesses(cluster)
    wait_until(lambda: len(witnesses[old].acknowledged) > 10, 10, "the witness inside commits")
    cut_at = writer.note_kill(time.monotonic())
    cut()
    writer.note_kill(time.monotonic())
    wait_writes(writer, cut_at, deadline_s=20)
    new = successor_of(wait_recovered(manager), cluster)
    assert witnesses[old].count_after(cut_at) > 10, "the witness inside goes on until the lease ends"
    assert witnesses.two_primaries_s(old, new, cut_at) == 0
    assert not old.alive(), "its agent has stopped it"
    return cluster, manager, writer, witnesses, old, new, cut_at


@pytest.mark.parametrize("peers", [None, ["manager", "n2", "n3"]], ids=["silent", "from-manager-and-replicas"])
def test_scenario_7_36_47_the_primary_is_cut_off(world, hosts, peers):
    """Scenarios 7, 36, 47: its lease ends, its agent stops it, and only then another one takes writes. Afterwards it comes
    back by itself."""
    cluster, manager, writer, witnesses, old, new, cut_at = failed_over(world, hosts, lambda: hosts.cut("n1", peers))
    wait_follows(next(n for n in cluster if n not in (old, new)), new)
    hosts.mend("n1")
    wait_rejoined(manager, old, new)
    wait_writes(writer)
    writer.stop()
    assert writer.lost(new.rows()) == []
    assert witnesses.two_primaries_s(old, new, cut_at) == 0
    assert writer.outage_around(cut_at) < 6.0
    assert cluster.primary() is new


def test_scenario_8_back_before_anything_is_decided(world, hosts):
    """Scenario 8: the host is silent for a moment, less than a lease has left after a heartbeat: nothing happens."""
    cluster, manager, _ = world.guarded(hosts=hosts, config=DROPS)
    writer = world.writer(cluster, patience_s=1.0)
    for cut_s in (0.3, 0.5, 0.8):
        hosts.cut("n1")
        end = time.monotonic() + cut_s
        wait_until(lambda: time.monotonic() > end, 5)
        hosts.mend("n1")
        wait_writes(writer)
    assert not manager.recoveries()
    writer.stop()
    assert writer.lost(cluster["n1"].rows()) == []


@pytest.mark.parametrize("cut_s", [2.0, 2.6, 3.2])
def test_scenario_8_back_while_it_is_decided(world, hosts, cut_s):
    """Scenario 8: the host is back at about the moment at which the lease ends: one primary, whichever it is."""
    cluster, manager, _ = world.guarded(hosts=hosts, config=DROPS)
    writer, witnesses = world.writer(cluster, patience_s=1.0), world.witnesses(cluster)
    cut_at = writer.note_kill(time.monotonic())
    hosts.cut("n1")
    wait_until(lambda: time.monotonic() > cut_at + cut_s, 5)
    hosts.mend("n1")
    wait_writes(writer, deadline_s=30)
    primary = wait_until(cluster.primary, 30, "there is one primary")
    for node in cluster:
        if node is not primary:
            wait_rejoined(manager, node, primary)
    assert all(witnesses.two_primaries_s(node, primary, cut_at) == 0 for node in cluster if node is not primary)
    writer.stop()
    assert writer.lost(primary.rows()) == []


def test_scenario_35_cut_off_from_the_manager_only(world, hosts):
    """Scenario 35: its standbys' agents vouch for it: no failover, and no error for anybody, for longer than any lease."""
    cluster, manager, _ = world.guarded(hosts=hosts)
    writer = world.writer(cluster)
    began = time.monotonic()
    hosts.cut("n1", ["manager"])
    # The writer's host is the manager's, too: a client beside the primary shows that it goes on.
    inside = world.witnesses(cluster)[cluster["n1"]]
    wait_code(manager, cluster["n1"], "UnreachablePrimary")
    no_recovery_for(manager, 8, cluster, cluster["n1"])
    hosts.mend("n1")
    wait_agents(manager, cluster)
    wait_writes(writer)
    times = inside.acknowledged
    assert max(later - earlier for earlier, later in zip(times, times[1:])) < 1.0
    no_recovery_for(manager, 2, cluster, cluster["n1"])
    writer.stop()
    assert writer.lost(cluster["n1"].rows()) == []
    assert time.monotonic() > began + 8


@pytest.mark.parametrize("name", ["n2", "n3"])
def test_scenario_38_cut_off_from_one_replica_only(world, hosts, name):
    """The manager answers: one replica that cannot vouch stops nobody."""
    cluster, manager, _ = world.guarded(hosts=hosts)
    writer = world.writer(cluster)
    hosts.cut("n1", [name])
    no_recovery_for(manager, 6, cluster, cluster["n1"])
    wait_writes(writer)
    hosts.mend("n1")
    writer.stop()
    assert writer.outage_around(0) < 1.5
    assert writer.lost(cluster["n1"].rows()) == []


def test_the_manager_is_cut_off_from_all(world, hosts):
    """Nobody is reached by the manager: the agents keep each other's servers going, and nothing is done afterwards."""
    cluster, manager, _ = world.guarded(hosts=hosts)
    inside = world.witnesses(cluster)[cluster["n1"]]
    for name in NAMES:
        hosts.cut(name, ["manager"])
    wait_until(lambda: manager.failures(), 15, "the silence is noticed")
    no_recovery_for(manager, 6, cluster, cluster["n1"])
    for name in NAMES:
        hosts.mend(name)
    wait_agents(manager, cluster, deadline_s=30)
    no_recovery_for(manager, 2, cluster, cluster["n1"])
    times = inside.acknowledged
    assert max(later - earlier for earlier, later in zip(times, times[1:])) < 1.0


def test_scenario_9_the_whole_host_stands_still(world, hosts):
    """Scenario 9: agent and server are frozen, the others fail over; on waking its agent ends it at once."""
    cluster, manager, agents = world.guarded(hosts=hosts, config=DROPS)
    old = cluster["n1"]
    writer, witnesses = world.writer(cluster, patience_s=1.0), world.witnesses(cluster)
    wait_until(lambda: len(witnesses[old].acknowledged) > 10, 10, "the witness inside commits")
    hosts.cut("n1")
    agents["n1"].freeze()
    old.freeze()
    frozen_at = writer.note_kill(time.monotonic())
    wait_writes(writer, frozen_at, deadline_s=20)
    new = successor_of(wait_recovered(manager), cluster)
    thawed_at = time.monotonic()
    agents["n1"].thaw()
    processes.send(old.pids(), signal.SIGCONT)
    hosts.mend("n1")
    wait_rejoined(manager, old, new)
    writer.stop()
    # Its agent may wake after the server: what that acknowledges meanwhile is listed before it is removed (docs/fencing.md).
    assert witnesses[old].last() < thawed_at + 0.5
    assert writer.lost(new.rows()) == []


def test_scenario_5_7_the_agent_is_dead_when_the_host_falls_silent(world, hosts):
    """Nobody enforces the lease there, and Baton knows: told before (BlindPrimary), and fenced as soon as the agent is back."""
    cluster, manager, agents = world.guarded(hosts=hosts, config=DROPS)
    old = cluster["n1"]
    agents["n1"].kill9()
    wait_code(manager, old, "BlindPrimary", 10)
    writer = world.writer(cluster, patience_s=1.0)
    cut_at = writer.note_kill(time.monotonic())
    hosts.cut("n1")
    writer.note_kill(time.monotonic())
    wait_writes(writer, cut_at, deadline_s=20)
    new = successor_of(wait_recovered(manager), cluster)
    agents["n1"].start()
    wait_until(lambda: not old.alive(), 10, "its agent ends it, without having met a manager")
    hosts.mend("n1")
    wait_rejoined(manager, old, new)
    writer.stop()
    assert writer.lost(new.rows()) == []


def test_scenario_7_while_the_manager_restarts(world, hosts):
    """The manager is killed while it waits for the lease to end: its next life waits anew, and fails over."""
    cluster, manager, _ = world.guarded(hosts=hosts, config=DROPS)
    old = cluster["n1"]
    writer, witnesses = world.writer(cluster, patience_s=1.0), world.witnesses(cluster)
    wait_until(lambda: len(witnesses[old].acknowledged) > 10, 10, "the witness inside commits")
    cut_at = writer.note_kill(time.monotonic())
    hosts.cut("n1")
    writer.note_kill(time.monotonic())
    wait_until(lambda: manager.recoveries(), 15, "the failover has begun", 0.005)
    manager.kill9()
    manager.start()
    wait_writes(writer, cut_at, deadline_s=40)
    new = wait_until(lambda: next((n for n in cluster if n is not old and n.is_primary()), None), 10)
    assert witnesses.two_primaries_s(old, new, cut_at) == 0
    hosts.mend("n1")
    wait_rejoined(manager, old, new)
    writer.stop()
    assert writer.lost(new.rows()) == []


def test_scenario_7_synchronous_loses_nothing(world, hosts):
    """With a synchronous standby no acknowledged row is lost, not even one of the last moment."""
    cluster, manager, _ = world.guarded(hosts=hosts, config=DROPS)
    for node in cluster:
        node.set("synchronous_standby_names", "ANY 1 (n1, n2, n3)")
    wait_until(lambda: cluster["n1"].value("SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'quorum'") == 2, 10,
               "both are synchronous")
    writer = world.writer(cluster, patience_s=1.0)
    cut_at = time.monotonic()
    hosts.cut("n1")
    wait_writes(writer, cut_at, deadline_s=20)
    new = successor_of(wait_recovered(manager), cluster)
    hosts.mend("n1")
    wait_rejoined(manager, cluster["n1"], new)
    writer.stop()
    assert writer.lost(new.rows()) == []


def test_without_a_replica_nobody_is_stopped(world):
    """Nobody could take over: the lease binds nobody, and a primary that is cut off goes on."""
    hosts = world.network(["n1"])
    cluster, manager, _ = world.guarded(1, hosts=hosts, lease=False)
    hosts.cut("n1")
    holds_for(lambda: cluster["n1"].alive(), 6, "it runs")
    hosts.mend("n1")
    wait_agents(manager, cluster, lease=False)
    assert cluster["n1"].is_primary()
    assert wait_log(cluster["n1"], "ready to accept connections")
