"""PostgreSQL 16, 17 and 18: discovery, failover, rewiring, as on 15."""

import pytest

from lab.wait import wait_until
from world import successor_of, wait_follows, wait_recovered, wait_writes


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
