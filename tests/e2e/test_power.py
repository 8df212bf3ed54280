"""Hosts that lose power, are reset or stand still, one or all of them; servers and agents start again as a host starts them."""

import random
import signal
import time

import pytest

from lab import postgres, processes
from lab.wait import holds_for, wait_until
from world import no_recovery_for, settle, successor_of, synchronous, wait_agents, wait_recovered, wait_rejoined, wait_writes

DROPS = {"RejoinDropsWrites": True}


def senders(node):
    """{standby: id of the process that sends to it}"""
    return dict(node.sql("SELECT application_name, pid FROM pg_stat_replication"))


def power_off(cluster, agents, manager=None):
    """All at once, and nobody gets to say a word."""
    if manager:
        manager.kill9()
    for one in agents.values():
        one.kill9()
    for node in cluster:
        if node.alive():
            node.kill9()
        for lock in cluster.sockets.glob(f".s.PGSQL.{node.port}*"):
            lock.unlink()  # sockets lie in memory


def boot(node, agent):
    """What a host does when it has power again: the server is started, and the agent, in no order."""
    starts = [node.spawn, agent.spawn]
    random.shuffle(starts)
    for start in starts:
        start()


def test_scenario_4_senders_alone_stand_still(world):
    """Scenario 4: one sender is stopped: the other standby confirms. Both are: commits hang. Nobody is replaced for that."""
    cluster, manager, _ = world.guarded()
    synchronous(cluster)
    primary, writer = cluster["n1"], world.writer(cluster, patience_s=30)
    stopped = senders(primary)
    try:
        processes.send([stopped["n2"]], signal.SIGSTOP)
        wait_writes(writer, rows=200)
        processes.send([stopped["n3"]], signal.SIGSTOP)
        count = writer.count
        no_recovery_for(manager, 4, cluster, primary)
        assert writer.count <= count + 1, "nobody confirms"
    finally:
        processes.send(stopped.values(), signal.SIGCONT)
    wait_writes(writer)
    no_recovery_for(manager, 1, cluster, primary)
    writer.stop()
    assert writer.lost(primary.rows()) == []


@pytest.mark.parametrize("back_after_s", [1.0, 3.0])
def test_scenario_8_a_reset_host_is_back_soon(world, back_after_s):
    """Scenario 8: the host is reset and up again while it is decided, or just after: one primary, and the other one follows."""
    hosts = world.network(["n1", "n2", "n3"])
    cluster, manager, agents = world.guarded(hosts=hosts, config=DROPS)
    synchronous(cluster)
    old = cluster["n1"]
    writer, witnesses = world.writer(cluster, patience_s=1.0), world.witnesses(cluster)
    reset_at = time.monotonic()
    hosts.cut("n1")
    agents["n1"].kill9()
    old.kill9()
    wait_until(lambda: time.monotonic() > reset_at + back_after_s, 10)
    hosts.mend("n1")
    boot(old, agents["n1"])
    wait_writes(writer, deadline_s=30)
    primary = wait_until(cluster.primary, 30, "there is one primary")
    for node in cluster:
        if node is not primary:
            wait_rejoined(manager, node, primary)
    writer.stop()
    if primary is not old:
        assert witnesses.two_primaries_s(old, primary, reset_at) == 0
    assert writer.lost(primary.rows()) == []


def test_scenario_10_a_machine_is_paused(world):
    """Scenario 10: agent and server stand still together, as while a machine moves to another host. A second is nothing; after
    more, another one leads, and on waking the old one confirms nothing any more."""
    cluster, manager, agents = world.guarded(config=DROPS)
    synchronous(cluster)
    old = cluster["n1"]
    writer, witnesses = world.writer(cluster, patience_s=1.0), world.witnesses(cluster)

    def pause():
        agents["n1"].freeze()
        old.freeze()
        return time.monotonic()

    def wake():
        processes.send([agents["n1"].pid, *old.pids()], signal.SIGCONT)
    paused_at = pause()
    wait_until(lambda: time.monotonic() > paused_at + 0.8, 5)
    wake()
    wait_writes(writer)
    no_recovery_for(manager, 2, cluster, old)
    wait_agents(manager, cluster)

    paused_at = pause()
    wait_writes(writer, deadline_s=20)
    new = successor_of(wait_recovered(manager), cluster)
    wait_until(lambda: time.monotonic() > paused_at + 6, 10)
    wake()
    wait_rejoined(manager, old, new)
    wait_writes(writer)
    writer.stop()
    assert witnesses.two_primaries_s(old, new, paused_at) == 0
    assert cluster.primary() is new and new.timeline() == 2
    assert writer.lost(new.rows()) == []


def test_scenario_12_something_else_starts_the_old_primary_all_the_time(world):
    """Scenario 12: a supervisor of its own starts the server again and again while another one is promoted. The agent ends it
    each time before it takes a write, until it has its new role."""
    cluster, manager, _ = world.guarded(config=DROPS)
    synchronous(cluster)
    old = cluster["n1"]
    writer, witnesses = world.writer(cluster), world.witnesses(cluster)
    wait_until(lambda: len(witnesses[old].acknowledged) > 10, 10, "the witness inside commits")
    killed_at = old.kill9()
    dead_at, starts = time.monotonic(), 0
    while not manager.finished_recoveries():
        if not old.alive():
            old.spawn()
            starts += 1
        assert time.monotonic() < killed_at + 20
    new = successor_of(wait_recovered(manager), cluster)
    wait_writes(writer)
    wait_rejoined(manager, old, new)
    writer.stop()
    assert starts > 0 and new is not old
    assert witnesses.two_primaries_s(old, new, killed_at) == 0
    assert witnesses[old].count_after(dead_at + 0.05) == 0, "nothing after the last answers of the dead one were read"
    assert writer.lost(new.rows()) == []


def test_scenario_17_19_the_power_fails_everywhere(world):
    """Scenarios 17 and 19: all hosts and the manager lose power and come back in any order; the second time the primary's disk
    is empty. Nobody is copied who has data, and no row that was confirmed is lost."""
    cluster, manager, agents = world.guarded(config={**DROPS, "RecoveryPeriodBlockSeconds": 1})
    synchronous(cluster)
    writer = world.writer(cluster, patience_s=1.0)
    for empty in (False, True):
        first = cluster.primary()
        for node in [first, *cluster]:
            node.sql("CHECKPOINT")  # or the newest timeline is in nobody's control file yet
        power_off(cluster, agents, manager)
        if empty:
            first.data.rename(first.data.with_name("lost"))
            first.data.mkdir(mode=0o700)
            postgres.own(first.data)
        before = {node.name: node.data.stat().st_ino for node in cluster if not empty or node is not first}
        starts = [manager.spawn]
        for node in cluster:
            starts.append(agents[node.name].spawn)
            if node.name in before:
                starts.append(node.spawn)
        random.shuffle(starts)
        for start in starts:
            start()
        on_at = time.monotonic()
        wait_writes(writer, on_at, deadline_s=30)
        primary = wait_until(cluster.primary, 20, "there is one primary")
        for node in cluster:
            if node is not primary:
                wait_rejoined(manager, node, primary)
        wait_agents(manager, cluster, deadline_s=30)
        assert not empty or primary is not first
        assert all(cluster[name].data.stat().st_ino == inode for name, inode in before.items()), "nobody was copied anew"
    writer.stop()
    assert writer.lost(cluster.primary().rows()) == []


def all_back_but_the_primary(world, synchronously):
    cluster, manager, agents = world.guarded(config=DROPS)
    if synchronously:
        synchronous(cluster)
    writer = world.writer(cluster, patience_s=1.0)
    power_off(cluster, agents, manager)
    for name in ("n2", "n3"):
        boot(cluster[name], agents[name])
    manager.start()
    return cluster, manager, agents, writer


def test_scenario_18_the_former_primary_never_returns(world):
    """Scenario 18: after a loss of power all but the primary are back. Each commit was confirmed by one of them: one takes over,
    and nothing is lost."""
    cluster, manager, _, writer = all_back_but_the_primary(world, True)
    new = successor_of(wait_recovered(manager, deadline_s=30), cluster)
    writer.stop()
    assert writer.lost(new.rows()) == []


def test_scenario_18_what_would_be_lost_is_not_known(world):
    """Scenario 18: commits waited for nobody, and no standby has met the primary since: it is waited for, and leads again when
    it is back."""
    cluster, manager, agents, writer = all_back_but_the_primary(world, False)
    recovery = wait_recovered(manager, deadline_s=30)
    assert not recovery["IsSuccessful"]
    assert any("what would be lost is not known" in step for step in manager.steps(recovery["UID"]))
    assert not any(cluster[name].is_primary() for name in ("n2", "n3"))
    boot(cluster["n1"], agents["n1"])
    wait_writes(writer, deadline_s=30)
    settle(manager, cluster, 30)
    assert cluster.primary() is cluster["n1"] and cluster["n1"].timeline() == 1
    writer.stop()
    assert writer.lost(cluster["n1"].rows()) == []


def test_scenario_89_no_manager_and_then_one_host_less(world):
    """Scenario 89: without any manager the standbys' agents vouch, and the primary goes on. When one of them is gone as well,
    nobody can know whether it was promoted: the primary stops, and the manager starts it again when it is back."""
    cluster, manager, agents = world.guarded(config=DROPS)
    primary, writer = cluster["n1"], world.writer(cluster, patience_s=1.0)
    manager.kill9()
    holds_for(primary.alive, 4, "the primary runs")
    wait_writes(writer)
    agents["n2"].kill9()
    cluster["n2"].kill9()
    wait_until(lambda: not primary.alive(), 10, "its lease has ended")
    stopped_at = time.monotonic()
    manager.start()
    wait_writes(writer, stopped_at, deadline_s=30)
    leads = wait_until(cluster.primary, 10, "there is one primary")
    agents["n2"].spawn()
    for node in cluster:
        if node is not leads:
            wait_rejoined(manager, node, leads)
    writer.stop()
    assert writer.lost(leads.rows()) == []
