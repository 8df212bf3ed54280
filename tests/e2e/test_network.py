"""Hosts that vanish without a word: network namespaces with cut cables (scenarios 7, 47, 48)."""

import os
import socket
import struct
import threading
import time

import pytest

from lab.wait import holds_for, wait_until
from world import no_recovery_for, settle, successor_of, wait_code, wait_follows, wait_recovered, wait_writes

NAMES = ["n1", "n2", "n3"]


def three_hosts(world, **more):
    network = world.network(NAMES)
    options = {name: {"host": address, "namespace": network.namespace(name), "application_name": "hostport", **more}
               for name, address in network.addresses.items()}
    cluster = world.cluster(3, node_options=options)
    manager = world.manager(cluster)
    world.watch(manager, cluster)
    return network, cluster, manager


@pytest.fixture
def hosts(world):
    """Three servers on three hosts, the manager on a fourth."""
    return three_hosts(world)


def test_scenario_7_47_the_primary_goes_silent_for_all(world, hosts):
    """Scenarios 7 and 47: no packet from the primary's host any more, and no reset. All agree: failover within 6 s."""
    network, cluster, manager = hosts
    writer = world.writer(cluster, patience_s=1.0)
    cut_at = writer.note_kill(time.monotonic())
    network.cut("n1")
    writer.note_kill(time.monotonic())
    wait_writes(writer, deadline_s=20)
    new = successor_of(wait_recovered(manager), cluster)
    wait_follows(next(n for n in cluster if n.name != "n1" and n is not new), new)
    writer.stop()
    assert writer.outage_around(cut_at) < 6.0
    assert writer.lost(new.rows()) == []
    network.mend("n1")
    wait_until(lambda: any({"StalePrimary", "SplitBrain"} & c for c in manager.analysis().values()), 20,
               "the former primary is named when its host is back")
    assert [i["Key"]["Port"] for i in manager.get("masters")] == [new.port]


def test_scenario_7_on_an_idle_cluster(world, hosts):
    """Nothing is written: the standbys' receivers say "streaming" for a minute after the host is gone."""
    network, cluster, manager = hosts
    network.cut("n1")
    new = successor_of(wait_recovered(manager, deadline_s=15), cluster)
    wait_follows(next(n for n in cluster if n.name != "n1" and n is not new), new)


def test_scenario_7_47_standbys_that_look_for_the_primary_themselves(world):
    """libpq tries the listed hosts in order, and would wait for minutes for the one that is silent: the new primary is
    put first, and the list stays whole."""
    network, cluster, manager = three_hosts(world, conninfo="multi")
    network.cut("n1")
    new = successor_of(wait_recovered(manager, deadline_s=20), cluster)
    other = next(n for n in cluster if n.name != "n1" and n is not new)
    wait_follows(other, new)
    conninfo = other.sql("SELECT current_setting('primary_conninfo')")[0][0]
    assert f"host={new.host},{cluster['n1'].host}" in conninfo.replace("'", "")
    assert "target_session_attrs=read-write" in conninfo.replace("'", "")


@pytest.mark.parametrize("writing", [True, False], ids=["busy", "idle"])
def test_scenario_7_must_not_while_a_replica_receives(world, hosts, writing):
    """Only the manager has lost the primary, the replicas receive: no failover, UnreachablePrimary."""
    network, cluster, manager = hosts
    writer = world.writer(cluster) if writing else None
    network.cut("n1", ["manager"])
    wait_code(manager, cluster["n1"], "UnreachablePrimary")
    no_recovery_for(manager, 6, cluster, cluster["n1"])
    network.mend("n1")
    settle(manager, cluster)
    assert not manager.recoveries()
    if writer:
        assert not writer.stop().lost(cluster["n1"].rows())


@pytest.mark.parametrize("witness", ["n2", "n3"])
def test_scenario_7_one_replica_that_receives_is_enough(world, hosts, witness):
    """3.2.2: the manager and one replica have lost the primary, the other replica streams on: no failover."""
    network, cluster, manager = hosts
    network.cut("n1", ["manager"] + [n for n in ("n2", "n3") if n != witness])
    no_recovery_for(manager, 7, cluster, cluster["n1"])
    assert cluster[witness].streams_from_node(cluster["n1"])
    network.mend("n1")
    settle(manager, cluster)


def test_the_manager_alone_is_cut_off(world, hosts):
    """The manager reaches nobody: it does nothing, also when the cable is back."""
    network, cluster, manager = hosts
    for name in NAMES:
        network.cut(name, ["manager"])
    wait_until(lambda: manager.failures(), 15, "the silence is noticed")
    no_recovery_for(manager, 5, cluster, cluster["n1"])
    for name in NAMES:
        network.mend(name)
    settle(manager, cluster)
    assert not manager.recoveries()


def test_a_short_cut_changes_nothing(world, hosts):
    """A second without packets is below every deadline: no recovery."""
    network, cluster, manager = hosts
    writer = world.writer(cluster)
    for _ in range(3):
        network.cut("n1")
        end = time.monotonic() + 0.4
        wait_until(lambda: time.monotonic() > end, 2)
        network.mend("n1")
        wait_writes(writer)
    settle(manager, cluster)
    assert not manager.recoveries()


class Resolver:
    """A DNS server for *.lab.test on an address of its own; it can be slow, or fail."""

    def __init__(self, address, names):
        self.address, self.names, self.delay_s, self.failing, self.asked = address, names, 0.0, False, 0
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind((address, 53))
        self._socket.settimeout(0.2)
        self._closed = threading.Event()
        self._server = threading.Thread(target=self._serve, daemon=True)
        self._server.start()

    def close(self):
        self._closed.set()
        self._server.join(2)
        self._socket.close()

    def _serve(self):
        while not self._closed.is_set():
            try:
                query, client = self._socket.recvfrom(512)
            except TimeoutError:
                continue
            self.asked += 1
            threading.Thread(target=self._answer, args=(query, client), daemon=True).start()

    def _answer(self, query, client):
        time.sleep(self.delay_s)
        try:
            self._socket.sendto(self._reply(query), client)
        except OSError:
            pass

    def _reply(self, query):
        labels, at = [], 12
        while query[at]:
            labels.append(query[at + 1:at + 1 + query[at]].decode())
            at += 1 + query[at]
        kind = struct.unpack(">H", query[at + 1:at + 3])[0]
        question, address = query[12:at + 5], self.names.get(".".join(labels))
        if self.failing:
            return query[:2] + struct.pack(">HHHHH", 0x8182, 1, 0, 0, 0) + question
        answers = address and kind == 1
        head = query[:2] + struct.pack(">HHHHH", 0x8180 if address else 0x8183, 1, 1 if answers else 0, 0, 0)
        record = b"\xc0\x0c" + struct.pack(">HHIH", 1, 1, 0, 4) + socket.inet_aton(address) if answers else b""
        return head + question + record


@pytest.mark.parametrize("trouble", ["slow", "failing"])
def test_scenario_48_dns_in_trouble(world, trouble):
    """Scenario 48: names take 5 s, or cannot be resolved at all: nobody is failed over for it, and a real failure is
    handled all the same, with the addresses known from before."""
    if os.geteuid() != 0:
        pytest.skip("a private resolv.conf needs root")
    names = {f"db{i}.lab.test": "127.0.0.1" for i in (1, 2, 3)}
    cluster = world.cluster(3, hosts=names, node_options={f"n{i}": {"known_as": f"db{i}.lab.test"} for i in (1, 2, 3)})
    resolver = Resolver("127.213.0.53", names)
    world._ending.callback(resolver.close)
    conf = world.home / "resolv.conf"
    conf.write_text("nameserver 127.213.0.53\noptions timeout:10 attempts:1\n")
    plain = world.home / "plain-hosts"
    plain.write_text("127.0.0.1 localhost\n")
    manager = world.manager(cluster, hosts_file=plain, resolv_file=conf)
    manager.discover(("db1.lab.test", cluster["n1"].port))
    settle(manager, cluster)
    assert resolver.asked
    resolver.delay_s, resolver.failing = (5.0, False) if trouble == "slow" else (0.0, True)
    holds_for(lambda: not manager.recoveries() and not manager.failures(), 8, "nobody is called dead")
    writer = world.writer(cluster)
    killed_at = cluster["n1"].kill9()
    wait_writes(writer, killed_at, deadline_s=20)
    assert writer.outage_around(killed_at) < 5.0
    successor_of(wait_recovered(manager, deadline_s=30), cluster)
