"""Moving standbys, by order or because the one above them died (defects 3.3.12, 3.3.13; scenarios 22, 23)."""

import pytest

from lab.manager import ApiError
from lab.wait import wait_until
from world import settle, successor_of, synchronous, wait_follows, wait_recovered, wait_writes


def path(*nodes):
    return "/".join(f"{n.host}/{n.port}" for n in nodes)


class TestByOrder:
    """n1 <- n2, n3; n2 <- n4 (tree of four: n4 hangs below n2)."""

    @pytest.fixture
    def tree(self, world):
        cluster, manager = world.watched(4, node_options={"n4": {"upstream": "n2"}})
        return cluster, manager

    def test_12_relocate_and_back(self, tree):
        cluster, manager = tree
        n1, n2, n3 = cluster["n1"], cluster["n2"], cluster["n3"]
        moved = manager.details(f"relocate/{path(n3, n2)}")
        assert moved["MasterKey"]["Port"] == n2.port
        wait_follows(n3, n2)
        moved = manager.details(f"move-up/{path(n3)}")
        assert moved["MasterKey"]["Port"] == n1.port
        wait_follows(n3, n1)
        settle(manager, cluster)

    def test_12_move_below_and_repoint(self, tree):
        cluster, manager = tree
        n1, n2, n3, n4 = (cluster[f"n{i}"] for i in (1, 2, 3, 4))
        assert manager.details(f"move-below/{path(n3, n2)}")["MasterKey"]["Port"] == n2.port
        wait_follows(n3, n2)
        assert manager.details(f"repoint/{path(n4, n1)}")["MasterKey"]["Port"] == n1.port
        wait_follows(n4, n1)

    def test_12_take_siblings_and_relocate_replicas(self, tree):
        cluster, manager = tree
        n1, n2, n3, n4 = (cluster[f"n{i}"] for i in (1, 2, 3, 4))
        manager.get(f"take-siblings/{path(n3)}")
        wait_follows(n2, n3)
        wait_follows(n4, n2)
        moved = manager.details(f"relocate-replicas/{path(n2, n1)}")
        assert [i["Key"]["Port"] for i in moved] == [n4.port]
        wait_follows(n4, n1)

    def test_12_regroup_replicas(self, tree):
        cluster, manager = tree
        n1, n2, n3 = cluster["n1"], cluster["n2"], cluster["n3"]
        promoted = manager.details(f"regroup-replicas/{path(n1)}")
        top, below = (n2, n3) if promoted["Port"] == n2.port else (n3, n2)
        wait_follows(below, top)
        assert top.streams_from_node(n1)

    def test_slots_move_along(self, tree):
        """The standby's slot is made on the new upstream, and the old upstream does not keep WAL for it for ever."""
        cluster, manager = tree
        n1, n2, n3 = cluster["n1"], cluster["n2"], cluster["n3"]
        manager.get(f"relocate/{path(n3, n2)}")
        wait_follows(n3, n2)
        assert dict(n2.sql("SELECT slot_name, active FROM pg_replication_slots"))[n3.spec.slot_name] is True
        wait_until(lambda: n3.spec.slot_name not in dict(n1.sql(
            "SELECT slot_name, restart_lsn FROM pg_replication_slots WHERE NOT active AND restart_lsn IS NOT NULL")), 30,
            "the old slot is gone, or moves on")

    @pytest.mark.parametrize("what, message", [
        (("n3", "n3"), "itself"), (("n1", "n2"), ""), (("n2", "n4"), "")],
        ids=["itself", "the-primary", "a-cycle"])
    def test_guards(self, tree, what, message):
        cluster, manager = tree
        mover, below = (cluster[name] for name in what)
        with pytest.raises(ApiError) as refused:
            manager.details(f"relocate/{path(mover, below)}")
        assert message in refused.value.message
        settle(manager, cluster)
        assert cluster["n1"].is_primary()

    def test_guards_against_another_system(self, world):
        ours, theirs = world.cluster(2), world.cluster(1, identity=1)
        manager = world.manager(ours, theirs)
        world.watch(manager, ours)
        world.watch(manager, theirs)
        with pytest.raises(ApiError):
            manager.details(f"relocate/{path(ours['n2'], theirs['n1'])}")
        assert ours["n2"].streams_from_node(ours["n1"])


@pytest.mark.parametrize("children", [1, 2])
def test_scenario_22_a_cascading_standby_dies(world, children):
    """Scenario 22: its replicas move to its upstream or a sibling within 5 s, without being made anew."""
    options = {"n3": {"upstream": "n2"}, "n4": {"upstream": "n2" if children == 2 else "n1"}}
    cluster, manager = world.watched(4, node_options=options)
    writer = world.writer(cluster)
    orphans = [n for n in cluster if n.spec.upstream == "n2"]
    cluster["n2"].kill9()
    for orphan in orphans:
        wait_until(lambda: orphan.streams_from() and orphan.streams_from()[1] in (cluster["n1"].port, cluster["n4"].port,
                                                                                 cluster["n3"].port), 6, f"{orphan} streams")
    wait_writes(writer)
    writer.stop()
    for orphan in orphans:
        wait_until(lambda: not writer.lost(orphan.rows()), 10, f"{orphan} has every row")
    recovery = wait_recovered(manager)
    assert recovery["IsSuccessful"]
    assert "Intermediate" in recovery["AnalysisEntry"]["Analysis"]
    assert cluster["n1"].is_primary()


def test_scenario_23_a_chain_loses_its_primary(world):
    """Scenario 23: n1 <- n2 <- n3 <- n4; n1 dies: n2 leads, n3 and n4 stay where they are. n4 is delayed, and never leads
    (PostgreSQL itself lets it reconnect only when the delay of what it holds back has passed)."""
    cluster, manager = world.watched(4, "cascade", node_options={"n4": {"settings": {"recovery_min_apply_delay": "'10min'"}}})
    writer = world.writer(cluster)
    writer.note_kill(cluster["n1"].kill9())
    assert successor_of(wait_recovered(manager), cluster) is cluster["n2"]
    wait_writes(writer)
    wait_follows(cluster["n3"], cluster["n2"])
    wait_until(lambda: cluster["n3"].timeline() == 2, 10, "the chain is on the new timeline")
    writer.stop()
    wait_until(lambda: not writer.lost(cluster["n3"].rows()), 10, "n3 has every row")
    assert not cluster["n4"].is_primary() and f"port={cluster['n3'].port}" in cluster["n4"].conninfo()


def test_13_children_of_a_sibling_go_on(world):
    """3.3.13: n1 <- n2, n3; n3 <- n4: after the failover n3 follows n2, and n4 is still below n3 with all its rows."""
    cluster, manager = world.watched(4, node_options={"n4": {"upstream": "n3"}})
    synchronous(cluster)
    writer = world.writer(cluster)
    writer.note_kill(cluster["n1"].kill9())
    new = successor_of(wait_recovered(manager), cluster)
    wait_writes(writer)
    if new is cluster["n2"]:
        wait_follows(cluster["n3"], new)
        wait_follows(cluster["n4"], cluster["n3"])
    else:
        wait_follows(cluster["n2"], new)
        wait_follows(cluster["n4"], new)
    writer.stop()
    wait_until(lambda: not writer.lost(cluster["n4"].rows()), 10, "n4 has every row")
