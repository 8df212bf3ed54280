"""Slots stand where they may be needed before anybody needs them, and hold back no more than that (scenarios 13, 26)."""

from lab.wait import holds_for, wait_until

UPKEEP = {"SlotUpkeep": "always"}
SLOTS = "SELECT slot_name, restart_lsn - '0/0'::pg_lsn FROM pg_replication_slots WHERE slot_type = 'physical'"


def slots(node):
    """{name: how far it is} of the slots that hold back WAL."""
    return {name: int(at) for name, at in node.sql(SLOTS) if at is not None}


def write(node, megabytes):
    for _ in range(megabytes):
        node.value("SELECT length(pg_logical_emit_message(false, 'test', repeat('x', 1024 * 1024))::text)")
    node.sql("SELECT pg_switch_wal()::text, pg_current_wal_lsn()::text")


def members(cluster, *names):
    return {cluster[name].spec.slot_name for name in names}


def test_slots_of_all_members_are_on_all_that_may_lead(world):
    cluster, _ = world.watched(3, config=UPKEEP)
    n1, n2, n3 = (cluster[f"n{i}"] for i in (1, 2, 3))
    wait_until(lambda: members(cluster, "n3") <= set(slots(n2)) and len(slots(n2)) == 2, 30, "n2 has slots of n1 and n3")
    wait_until(lambda: members(cluster, "n2") <= set(slots(n3)) and len(slots(n3)) == 2, 30, "n3 has slots of n1 and n2")
    assert set(slots(n1)) == members(cluster, "n2", "n3")
    name = n3.spec.slot_name
    before = slots(n2)[name]
    write(n1, 40)
    wait_until(lambda: slots(n2)[name] > before + 30 * 1024 * 1024, 30, "the slot of n3 on n2 moves along")
    # What n3 has not got is kept for it.
    n3.stop("fast")
    at = slots(n2)[name]
    write(n1, 40)
    holds_for(lambda: slots(n2)[name] == at, 12, "nothing is let go that n3 may still ask for")
    n3.start()
    wait_until(lambda: slots(n2)[name] > at, 30, "it moves on")


def test_slots_of_a_member_that_is_gone_are_dropped(world):
    cluster, manager = world.watched(3, config={**UPKEEP, "MemberSlotTTLSeconds": 15})
    n1, n2, n3 = (cluster[f"n{i}"] for i in (1, 2, 3))
    name = n3.spec.slot_name
    wait_until(lambda: name in slots(n2), 30, "n2 has a slot of n3")
    n1.sql("SELECT pg_create_physical_replication_slot('somebody_elses', true)::text")
    n3.kill9()
    assert name in slots(n1)
    wait_until(lambda: name not in slots(n1) and name not in slots(n2), 60, "the slots of n3 are gone")
    assert "somebody_elses" in slots(n1), "only what is ours is dropped"
    assert any(a["AuditType"] == "drop-slot" for a in manager.get("audit"))


def test_without_agents_nothing_is_made(world):
    cluster, _ = world.watched(2)
    holds_for(lambda: not slots(cluster["n2"]), 12, "no slots on the standby")
