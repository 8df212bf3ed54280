"""Disks that fill up, hang, fail, turn read-only or lose files, each under a real server and its agent (docs/gray-failures.md).
Needs root for file systems of their own."""

import contextlib
import time

import psycopg2

from lab.wait import holds_for, wait_until
from world import (codes, successor_of, wait_agents, wait_code, wait_recovered, wait_rejoined, wait_writes)

SYNCHRONOUS = {"synchronous_standby_names": "'ANY 1 (n1, n2, n3)'"}
DROPS = {"RejoinDropsWrites": True}
BUSY_S = 2.0  # what a machine that does other things at the same time may add to a limit


class Story:
    """A synchronous cluster with disks of their own, a client that writes, and a witness inside each server."""

    def __init__(self, world, config=None, settings=None, node_options=None, writes=True, **held):
        disks = world.disks(**held)
        self.cluster, self.manager, self.agents = world.guarded(
            config={**DROPS, **(config or {})}, settings={**SYNCHRONOUS, **(settings or {})}, node_options=node_options,
            disks=disks)
        self.disks = disks
        self.old = self.cluster["n1"]
        self.writer = self.witnesses = self.broke_at = None
        if writes:
            self.writer, self.witnesses = world.writer(self.cluster, patience_s=1.0), world.witnesses(self.cluster)
            wait_until(lambda: len(self.witnesses[self.old].acknowledged) > 10, 10, "the witness inside commits")

    def breaks(self, fault):
        self.broke_at = time.monotonic()
        fault()

    def replaced(self, codes_that_do, within_s, deadline_s=30):
        """The old primary is replaced for one of these reasons; clients write again soon; never two primaries."""
        recovery = wait_recovered(self.manager, deadline_s=deadline_s)
        new = successor_of(recovery, self.cluster)
        assert recovery["AnalysisEntry"]["Analysis"] in codes_that_do, self.manager.steps(recovery["UID"])
        if self.writer:
            wait_writes(self.writer, self.broke_at)
            assert self.witnesses.two_primaries_s(self.old, new, self.broke_at) == 0
            assert self.witnesses[new].first_after(self.broke_at) - self.broke_at < within_s + BUSY_S
        return new

    def nothing_lost(self, new):
        assert not self.writes_twice(new)
        self.writer.stop()
        assert self.writer.lost(new.rows()) == []

    def writes_twice(self, new):
        return self.witnesses.two_primaries_s(self.old, new, self.broke_at)


def corrupt_wal(node):
    """What a crash recovery would read is not there any more."""
    for segment in (node.data / "pg_wal").glob("0*"):
        if segment.is_file() and not segment.name.endswith(".history"):
            segment.write_bytes(bytes(16 << 20))


def slots_on(node):
    return {row[0] for row in node.sql("SELECT slot_name FROM pg_replication_slots")}


def agent_sees(manager, node, percent):
    """Its agent has told that the disk of its WAL is used by so much, about."""
    disk = manager.agents()[node.port]["WalDisk"]
    return abs(100 * (1 - disk["FreeBytes"] / disk["TotalBytes"]) - percent) < 3


def write_wal(node, megabytes):
    """So much WAL, which nobody waits for."""
    with contextlib.closing(node.connect()) as connection, connection.cursor() as cursor:
        cursor.execute("SET synchronous_commit = local")
        for _ in range(megabytes):
            cursor.execute("SELECT pg_logical_emit_message(true, 'lab', repeat('x', 1 << 20))")


class TestPrimary:
    def test_scenario_24_no_space_for_wal(self, world):
        """The disk of pg_wal is full while clients write: PostgreSQL gives up, its agent tells, a standby takes over. When
        there is room again the old one comes back."""
        story = Story(world, n1=("wal",))
        story.breaks(story.disks["n1"].fill)
        with contextlib.suppress(psycopg2.Error):
            write_wal(story.old, 40)  # past what is there already
        new = story.replaced({"DeadPrimary", "PrimaryDiskFull"}, 3)
        story.disks["n1"].make_room()
        wait_rejoined(story.manager, story.old, new, 90)
        story.nothing_lost(new)

    def test_scenario_24_no_space_for_data(self, world):
        """The disk of the data is full, WAL lies on it too, and nothing fails yet: told at once, acted on when it lasts."""
        story = Story(world, n1=("data",))
        story.breaks(story.disks["n1"].fill)
        wait_code(story.manager, story.old, "PrimaryDiskFull", 10)
        new = story.replaced({"PrimaryDiskFull", "DeadPrimary"}, 8)
        story.disks["n1"].make_room()
        wait_rejoined(story.manager, story.old, new, 90)
        story.nothing_lost(new)

    def test_scenario_27_writes_hang(self, world):
        """Not even SIGKILL ends who waits for such a disk. What is left of the server can run no more, which its agent knows;
        and the agent is heard all the time."""
        story = Story(world, n1=("data",))
        old, disk = story.old, story.disks["n1"]
        story.breaks(disk.freeze)
        new = story.replaced({"PrimaryDiskHung", "HungPrimary"}, 5)
        seen = story.manager.agents()[old.port]
        assert seen["Connected"] and seen["Hold"] == "fenced"
        disk.thaw()
        wait_rejoined(story.manager, old, new, 90)
        story.nothing_lost(new)

    def test_scenario_28_read_only(self, world):
        story = Story(world, n1=("data",))
        story.breaks(story.disks["n1"].turn_read_only)
        new = story.replaced({"PrimaryDiskReadOnly", "DeadPrimary"}, 5)
        wait_code(story.manager, story.old, "StandbyDiskReadOnly", 15)
        story.nothing_lost(new)
        assert not story.old.alive()

    def test_scenario_29_writes_fail(self, world):
        """EIO where WAL is made durable is a PANIC. Nobody starts it again on that disk."""
        story = Story(world, n1=("data",), node_options={"n1": {"settings": {"fsync": "on"}}})
        story.breaks(story.disks["n1"].fail_writes)
        new = story.replaced({"PrimaryDiskFailing", "DeadPrimary"}, 5)
        story.nothing_lost(new)
        holds_for(lambda: not (story.old.alive() and story.old.is_primary()), 3, "the old primary takes no writes")

    def test_scenario_11_30_what_cannot_start_is_made_anew(self, world):
        """Scenario 11: WAL is broken, and the primary would die at every start: it is not tried, another one leads at once.
        Scenario 30: then that one loses its control file, and the next one PG_VERSION. Each is copied anew."""
        cluster, manager, agents = world.guarded(config={**DROPS, "RecoveryPeriodBlockSeconds": 1},
                                                 settings=SYNCHRONOUS)
        writer = world.writer(cluster)

        def broken_wal(node):
            node.kill9()
            corrupt_wal(node)

        def no_control_file(node):
            (node.data / "global" / "pg_control").unlink()
            with contextlib.suppress(psycopg2.Error):
                node.sql("CHECKPOINT")

        def no_version(node):
            (node.data / "PG_VERSION").unlink()
            node.kill9()

        for count, fault in enumerate((broken_wal, no_control_file, no_version), 1):
            old = cluster.primary()
            wait_until(lambda old=old: cluster.caught_up(old), 15, "the standbys have everything")
            before, broke_at = old.data.stat().st_ino, writer.note_kill(time.monotonic())
            fault(old)
            wait_writes(writer, broke_at, deadline_s=20)
            recovery = wait_recovered(manager, count)
            assert recovery["AnalysisEntry"]["Analysis"] == "DeadPrimary"
            new = successor_of(recovery, cluster)
            wait_rejoined(manager, old, new)
            assert old.data.stat().st_ino != before, "it has a new directory"
            manager.ack_all()
            wait_agents(manager, cluster)
        writer.stop()
        assert writer.lost(cluster.primary().rows()) == []


class TestStandby:
    def test_scenario_25_26_a_full_disk_and_its_slot_on_the_primary(self, world):
        """Scenario 25: a standby's disk is full: told, and it is not promoted. Scenario 26: its slot fills the primary's disk:
        told in time, dropped before there is no space; the primary goes on."""
        small = {"wal_keep_size": "0", "max_wal_size": "64MB", "min_wal_size": "32MB"}
        story = Story(world, settings=small, n1=("wal", 384), n2=("data",))
        cluster, manager, old, full = story.cluster, story.manager, story.cluster["n1"], story.cluster["n2"]
        story.breaks(story.disks["n2"].fill)
        wait_code(manager, full, "StandbyDiskFull", 10)
        slot = full.spec.slot_name
        assert slot in slots_on(old)
        told, disk = set(), story.disks["n1"]
        while disk.used_percent() < 90.5:
            write_wal(old, 16)
            old.sql("CHECKPOINT")
            if disk.used_percent() > 70:
                wait_until(lambda: slot not in slots_on(old) or agent_sees(manager, old, disk.used_percent()), 10,
                           "it is known how full the disk is")
                told |= codes(manager, old)
        wait_until(lambda: slot not in slots_on(old), 15, "the slot is dropped")
        assert {"DiskSpaceNotice", "DiskSpaceLow"} & told, told
        wait_until(lambda: old.sql("CHECKPOINT") == [] and disk.used_percent() < 70, 15, "WAL is given back")
        assert "PANIC" not in old.log_text()
        assert old.is_primary() and not manager.recoveries()
        story.broke_at = old.kill9()
        new = story.replaced({"DeadPrimary", "DeadPrimaryAndSomeStandbys"}, 3)
        assert new is cluster["n3"]
        story.nothing_lost(new)
