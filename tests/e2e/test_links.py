"""Links that fail by halves, with agents: one way only, some of the packets, or for clients only. Needs root for network
namespaces."""

import time

import pytest

from lab.agent import Bystander
from lab.wait import wait_until
from world import (no_recovery_for, successor_of, wait_agents, wait_code, wait_recovered, wait_rejoined, wait_writes)

DROPS = {"RejoinDropsWrites": True}
CLIENTS = "app"


def test_scenario_37_cut_off_from_clients_only(world):
    """Scenario 37: everybody but the clients' host reaches the primary. That is told, and no more; with
    RecoverPrimaryLostToClients the primary is fenced and replaced by one that clients do reach."""
    hosts = world.network(["n1", "n2", "n3", CLIENTS])
    cluster, manager, _ = world.guarded(hosts=hosts, config={**DROPS, "ClientAgents": [CLIENTS]})
    world.guard(Bystander(cluster, CLIENTS, [manager.agents_address], hosts.namespace(CLIENTS)))
    old = cluster["n1"]
    hosts.cut("n1", [CLIENTS])
    wait_code(manager, old, "PrimaryLostToClients", 20)
    no_recovery_for(manager, 5, cluster, old)
    witnesses = world.witnesses(cluster)
    wait_until(lambda: len(witnesses[old].acknowledged) > 10, 10, "the witness inside commits")
    cut_at = time.monotonic()
    manager.config["RecoverPrimaryLostToClients"] = True
    manager.write_config()
    manager.hang_up()
    new = successor_of(wait_recovered(manager, deadline_s=30), cluster)
    wait_rejoined(manager, old, new)
    assert witnesses.two_primaries_s(old, new, cut_at) == 0
    assert len(manager.recoveries()) == 1, "clients reach this one"


@pytest.mark.parametrize("direction", ["in", "out"])
def test_scenario_39_packets_go_one_way_only(world, direction):
    """Scenario 39: its lease ends like that of a host that is cut off. One primary, and no flapping."""
    hosts = world.network(["n1", "n2", "n3"])
    cluster, manager, _ = world.guarded(hosts=hosts, config=DROPS)
    old = cluster["n1"]
    writer, witnesses = world.writer(cluster, patience_s=1.0), world.witnesses(cluster)
    cut_at = writer.note_kill(time.monotonic())
    hosts.cut_one_way("n1", direction)
    writer.note_kill(time.monotonic())
    wait_writes(writer, cut_at, deadline_s=20)
    new = successor_of(wait_recovered(manager), cluster)
    assert witnesses.two_primaries_s(old, new, cut_at) == 0
    hosts.mend("n1")
    wait_rejoined(manager, old, new)
    wait_writes(writer)
    writer.stop()
    assert witnesses.two_primaries_s(old, new, cut_at) == 0
    assert len(manager.recoveries()) == 1
    assert writer.lost(new.rows()) == []


def test_scenario_43_packets_are_lost(world):
    """Scenario 43: of the primary's host, 5, 20 and 40 % each way: nobody is replaced at 5 and 20 %, at most once at 40 %, and
    all is well afterwards."""
    hosts = world.network(["n1", "n2", "n3"])
    cluster, manager, _ = world.guarded(hosts=hosts, config=DROPS)
    old = cluster["n1"]
    writer, witnesses = world.writer(cluster, patience_s=3.0), world.witnesses(cluster)
    for share, seconds in ((0.05, 3), (0.2, 6)):
        hosts.lose("n1", share)
        no_recovery_for(manager, seconds, cluster, old)
        assert old.is_primary() and old.timeline() == 1
        hosts.mend("n1")
        wait_writes(writer)
    lossy_at = time.monotonic()
    hosts.lose("n1", 0.4)
    end = lossy_at + 6
    wait_until(lambda: time.monotonic() > end, 10, "it goes on like that", 0.2)
    writer.note_kill(time.monotonic())
    hosts.mend("n1")
    wait_writes(writer, deadline_s=30)
    primary = wait_until(cluster.primary, 20, "there is one primary")
    for node in cluster:
        if node is not primary:
            wait_rejoined(manager, node, primary)
    wait_agents(manager, cluster)
    writer.stop()
    assert len(manager.recoveries()) <= 1
    assert primary is old or witnesses.two_primaries_s(old, primary, lossy_at) == 0
