"""The host agent on one address: crashes, hangs, switchovers, and servers that come back by themselves. Hosts that are cut
off are in test_fencing.py."""

import os
import signal
import threading
import time

import pytest

from lab import postgres, processes
from lab.agent import Agent
from lab.manager import ApiError
from lab.wait import holds_for, wait_until
from world import (codes, no_recovery_for, settle, successor_of, wait_agents, wait_code, wait_recovered, wait_rejoined,
                   wait_writes)

DROPS = {"RejoinDropsWrites": True}  # for tests that write until the very end: what only the old primary has may go


def backends_named(node, word):
    """Ids of a server's processes by what they call themselves, as "walsender"."""
    found = []
    for pid in node.pids():
        with open(f"/proc/{pid}/cmdline", "rb") as line:
            if word.encode() in line.read():
                found.append(pid)
    return found


def steps_of(manager, recovery):
    return "\n".join(manager.steps(recovery["UID"]))


def audit_types(manager, node):
    return [entry["AuditType"] for entry in manager.get("audit") if entry["AuditInstanceKey"]["Port"] == node.port]


class TestCrash:
    @pytest.mark.parametrize("whole", [False, True], ids=["postmaster", "all"])
    def test_scenario_1_77_a_crash_fails_over_and_the_old_primary_comes_back(self, world, whole):
        """Scenarios 1 and 77: with the postmaster alone killed, a busy backend would go on committing: its agent ends it
        before it calls the server dead. Then it is held until it has a new role, and gets that by itself."""
        cluster, manager, _ = world.guarded(config=DROPS)
        old = cluster["n1"]
        writer, witnesses = world.writer(cluster), world.witnesses(cluster)
        wait_until(lambda: len(witnesses[old].acknowledged) > 10, 10, "a backend is busy")
        killed_at = writer.note_kill(old.kill9() if whole else old.kill_postmaster())
        wait_writes(writer, killed_at)
        recovery = wait_recovered(manager)
        new = successor_of(recovery, cluster)
        wait_rejoined(manager, old, new)
        wait_writes(writer)
        writer.stop()
        assert witnesses.two_primaries_s(old, new) == 0
        assert witnesses[old].count_after(witnesses[new].first_after(killed_at)) == 0
        assert writer.lost(new.rows()) == []
        assert writer.outage_around(killed_at) < 3.0
        assert cluster.primary() is new

    def test_scenario_1_21_and_again(self, world):
        """Each new primary dies in its turn, and each old one is back before that: nobody sets anything up anew."""
        cluster, manager, _ = world.guarded(config={**DROPS, "RecoveryPeriodBlockSeconds": 1})
        writer = world.writer(cluster)
        for count in range(1, 4):
            old = cluster.primary()
            wait_until(lambda: cluster.caught_up(old), 15, "the standbys have everything")
            killed_at = writer.note_kill(old.kill9())
            wait_writes(writer, killed_at, deadline_s=20)
            new = successor_of(wait_recovered(manager, count), cluster)
            wait_rejoined(manager, old, new)
            manager.ack_all()
            wait_agents(manager, cluster)
        writer.stop()
        assert writer.lost(cluster.primary().rows()) == []

    def test_scenario_2_a_backend_dies(self, world):
        """Scenario 2: PostgreSQL goes through crash recovery by itself, and its agent leaves it alone."""
        cluster, manager, _ = world.guarded()
        writer = world.writer(cluster)
        cluster["n1"].crash_a_backend()
        wait_writes(writer)
        no_recovery_for(manager, 3, cluster, cluster["n1"])
        writer.stop()
        assert writer.lost(cluster["n1"].rows()) == []

    def test_scenario_1_somebody_starts_the_old_primary_by_hand(self, world):
        """It died and was replaced; who starts it now sees it killed before it takes a write."""
        cluster, manager, beside = world.guarded(config={"RejoinPolicy": "manual"})
        old = cluster["n1"]
        witnesses = world.witnesses(cluster)
        wait_until(lambda: cluster.caught_up(old), 10, "the standbys have everything")
        killed_at = old.kill9()
        new = successor_of(wait_recovered(manager), cluster)
        old.spawn()
        wait_until(lambda: "was started although it must not run" in beside["n1"].log_text(), 15, "its agent sees it")
        wait_until(lambda: not old.alive(), 15, "it is down again")
        assert witnesses.two_primaries_s(old, new, killed_at) == 0
        holds_for(lambda: not old.alive() and new.is_primary(), 2, "it stays down")


class TestHang:
    @pytest.mark.parametrize("postmaster_only", [False, True], ids=["all", "postmaster"])
    def test_scenario_3_a_hung_server_is_fenced_and_replaced(self, world, postmaster_only):
        """Scenario 3: its agent can end what does not answer; then it is as dead as any other."""
        cluster, manager, _ = world.guarded(config=DROPS, agent={"instance": {"HungAfterSeconds": 2}})
        old = cluster["n1"]
        writer, witnesses = world.writer(cluster, patience_s=1.0), world.witnesses(cluster)
        wait_until(lambda: len(witnesses[old].acknowledged) > 10, 10, "a backend is busy")
        old.freeze(postmaster_only)
        frozen_at = time.monotonic()
        new = successor_of(wait_recovered(manager, deadline_s=30), cluster)
        fenced_at = witnesses[new].first_after(frozen_at)
        writer.note_kill(fenced_at)
        wait_writes(writer, deadline_s=20)
        wait_rejoined(manager, old, new)
        writer.stop()
        assert witnesses.two_primaries_s(old, new) == 0
        assert cluster.primary() is new
        in_doubt = [(frozen_at, fenced_at)] if postmaster_only else []
        assert [n for n in writer.lost(new.rows()) if not lost_with_the_server(writer, n, in_doubt)] == []


def lost_with_the_server(writer, number, spans):
    """Without synchronous standbys the last row before its end may be on the old server alone."""
    at = dict(writer.acknowledged)[number]
    return any(begin <= at <= end for begin, end in spans)


class TestAgentAway:
    def test_scenario_5_89_its_end_changes_nothing(self, world):
        """Scenario 5: the agent dies, the server goes on; it is told within seconds, and no more when it is back."""
        cluster, manager, agents = world.guarded()
        writer = world.writer(cluster)
        agents["n1"].kill9()
        wait_code(manager, cluster["n1"], "BlindPrimary", 10)
        no_recovery_for(manager, 4, cluster, cluster["n1"])
        agents["n1"].start()
        wait_agents(manager, cluster)
        wait_until(lambda: "BlindPrimary" not in codes(manager, cluster["n1"]), 10)
        writer.stop()
        assert writer.lost(cluster["n1"].rows()) == []
        assert writer.outage_around(0) < 1.5

    def test_scenario_5_a_standbys_agent_dies(self, world):
        cluster, manager, agents = world.guarded()
        writer = world.writer(cluster)
        agents["n2"].kill9()
        wait_code(manager, cluster["n2"], "BlindStandby", 10)
        no_recovery_for(manager, 4, cluster, cluster["n1"])
        agents["n2"].start()
        wait_agents(manager, cluster)
        writer.stop()
        assert writer.lost(cluster["n1"].rows()) == []
        assert writer.outage_around(0) < 1.5

    def test_scenario_6_a_stopped_agent_is_missed_and_comes_back(self, world):
        """Scenario 6: it stands still longer than the lease. On waking it finds its lease ended, asks, and goes on."""
        cluster, manager, agents = world.guarded()
        writer = world.writer(cluster)
        agents["n1"].freeze()
        wait_code(manager, cluster["n1"], "BlindPrimary", 10)
        no_recovery_for(manager, 4, cluster, cluster["n1"])
        agents["n1"].thaw()
        wait_agents(manager, cluster)
        wait_writes(writer)
        no_recovery_for(manager, 2, cluster, cluster["n1"])
        writer.stop()
        assert writer.lost(cluster["n1"].rows()) == []

    def test_scenario_5_all_agents_restart(self, world):
        """As when the program is updated everywhere: the servers run on."""
        cluster, manager, agents = world.guarded()
        writer = world.writer(cluster)
        for one in agents.values():
            one.kill9()
            one.start()
        wait_agents(manager, cluster)
        no_recovery_for(manager, 2, cluster, cluster["n1"])
        writer.stop()
        assert writer.lost(cluster["n1"].rows()) == []

    def test_scenario_89_no_manager_at_all(self, world):
        """Scenario 89: the standbys' agents vouch, the primary goes on for longer than any lease."""
        cluster, manager, _ = world.guarded()
        writer = world.writer(cluster)
        manager.kill9()
        holds_for(lambda: cluster["n1"].alive(), 6, "the primary runs")
        wait_writes(writer)
        manager.start()
        wait_agents(manager, cluster, deadline_s=30)
        no_recovery_for(manager, 2, cluster, cluster["n1"])
        writer.stop()
        assert writer.lost(cluster["n1"].rows()) == []
        assert writer.outage_around(0) < 1.5

    def test_scenario_1_after_the_agents_were_away(self, world):
        """A failover works with agents that have just come back, from what they have on disk."""
        cluster, manager, agents = world.guarded(config=DROPS)
        for one in agents.values():
            one.kill9()
            one.start()
        wait_agents(manager, cluster)
        writer = world.writer(cluster)
        killed_at = writer.note_kill(cluster["n1"].kill9())
        wait_writes(writer, killed_at)
        new = successor_of(wait_recovered(manager), cluster)
        wait_rejoined(manager, cluster["n1"], new)
        writer.stop()
        assert writer.lost(new.rows()) == []


class TestSwitchover:
    def test_planned_without_loss_and_without_rewind(self, world):
        """Section 5: stopped first, promoted then, back as a standby at once."""
        cluster, manager, agents = world.guarded()
        writer, witnesses = world.writer(cluster), world.witnesses(cluster)
        began = time.monotonic()
        outcome = manager.switchover(manager.clusters()[0], cluster["n3"])
        assert outcome["SuccessorKey"]["Port"] == cluster["n3"].port
        wait_rejoined(manager, cluster["n1"], cluster["n3"])
        wait_rejoined(manager, cluster["n2"], cluster["n3"])
        wait_writes(writer)
        writer.stop()
        assert writer.lost(cluster["n3"].rows()) == []
        assert witnesses.two_primaries_s(cluster["n1"], cluster["n3"], began) == 0
        assert writer.outage_around(began) < 3.0
        assert "rewind" not in agents["n1"].log_text()

    def test_there_and_back(self, world):
        cluster, manager, _ = world.guarded(2)
        writer = world.writer(cluster)
        for target in ("n2", "n1", "n2", "n1"):
            manager.switchover(manager.clusters()[0])
            assert cluster.primary() is cluster[target]
            wait_rejoined(manager, next(n for n in cluster if n.name != target), cluster[target])
            wait_agents(manager, cluster)
        writer.stop()
        assert writer.lost(cluster["n1"].rows()) == []
        assert cluster["n1"].timeline() == 5

    def test_scenario_86_undone_when_the_candidate_does_not_catch_up(self, world):
        """Scenario 86: the candidate's receiver stands still; the old primary is writable again, nobody was promoted."""
        cluster, manager, _ = world.guarded(config={"SwitchoverPauseSeconds": 2})
        writer = world.writer(cluster)
        old, candidate = cluster["n1"], cluster["n2"]
        receiver = backends_named(candidate, "walreceiver")
        processes.send(receiver, signal.SIGSTOP)
        try:
            with pytest.raises(ApiError):
                manager.switchover(manager.clusters()[0], candidate)
        finally:
            processes.send(receiver, signal.SIGCONT)
        wait_writes(writer)
        assert old.is_primary() and not candidate.is_primary()
        settle(manager, cluster, 30)
        wait_agents(manager, cluster)
        writer.stop()
        assert writer.lost(old.rows()) == []
        assert old.timeline() == 1

    def test_scenario_87_two_at_once(self, world):
        """Scenario 87: one wins, the other is told."""
        cluster, manager, _ = world.guarded()
        outcomes, lock = [], threading.Lock()

        def one(target):
            try:
                result = manager.switchover(manager.clusters()[0], cluster[target])["SuccessorKey"]["Port"]
            except ApiError as error:
                result = error.status, error.message
            with lock:
                outcomes.append(result)
        threads = [threading.Thread(target=one, args=(target,)) for target in ("n2", "n3")]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        won = [o for o in outcomes if not isinstance(o, tuple)]
        assert len(won) == 1 and cluster.primary().port == won[0], outcomes
        assert [o[0] for o in outcomes if isinstance(o, tuple)] == [409], outcomes

    def test_scenario_63_sessions_do_not_hold_up_the_shutdown(self, world):
        """Scenario 63: idle in a transaction, and a long query."""
        cluster, manager, _ = world.guarded()
        idle = cluster["n1"].connect()
        idle.autocommit = False
        idle.cursor().execute("SELECT 1")
        writer = world.writer(cluster)
        began = time.monotonic()
        manager.switchover(manager.clusters()[0])
        wait_writes(writer)
        writer.stop()
        assert writer.outage_around(began) < 4.0
        assert writer.lost(cluster.primary().rows()) == []

    def test_scenario_88_the_manager_is_killed_in_the_middle(self, world):
        """Whatever step it was at: one primary, every acknowledged row, all streaming in the end."""
        cluster, manager, _ = world.guarded()
        writer, witnesses = world.writer(cluster), world.witnesses(cluster)
        for delay_ms in (20, 80, 160, 300):
            old = cluster.primary()
            asked = threading.Thread(target=lambda: suppressed(lambda: manager.switchover(manager.clusters()[0])), daemon=True)
            asked.start()
            end = time.monotonic() + delay_ms / 1000
            wait_until(lambda: time.monotonic() > end, 2, interval_s=0.002)
            manager.kill9()
            asked.join(10)
            manager.start()
            wait_writes(writer, deadline_s=30)
            primary = wait_until(cluster.primary, 30, "there is one primary")
            for node in cluster:
                if node is not primary:
                    wait_rejoined(manager, node, primary)
            wait_agents(manager, cluster, deadline_s=30)
            assert primary is old or witnesses.two_primaries_s(old, primary, end - delay_ms / 1000) == 0
        writer.stop()
        assert writer.lost(cluster.primary().rows()) == []


def suppressed(call):
    try:
        return call()
    except Exception as error:  # the manager dies while it is asked
        return error


@pytest.fixture
def diverged(world):
    """n1 has died with commits that nobody else has; its standbys lead on."""
    def make(**options):
        cluster, manager, agents = world.guarded(**options)
        old = cluster["n1"]
        senders = backends_named(old, "walsender")
        processes.send(senders, signal.SIGSTOP)
        old.sql("INSERT INTO ledger SELECT 900000000 + g, 'unseen' FROM generate_series(1, 50) g", database="app")
        old.kill9()
        new = successor_of(wait_recovered(manager), cluster)
        return cluster, manager, agents, old, new
    return make


class TestRejoin:
    def test_scenario_77_what_only_it_has_is_not_dropped_unasked(self, diverged):
        """Scenario 77: commits past the fork wait for an operator's word; with it they are rewound."""
        cluster, manager, _, old, new = diverged()
        state = wait_until(lambda: manager.rejoins().get(old.port), 20, "it is looked at")
        state = wait_until(lambda: (s := manager.rejoins()[old.port])["CommitsPastFork"] and s, 20, "its WAL is read")
        assert state["CommitsPastFork"] >= 1
        holds_for(lambda: not old.alive(), 3, "it waits")
        manager.get(f"v2/instances/{old.host}/{old.port}/rejoin?force=true")
        wait_rejoined(manager, old, new)
        assert not any(number > 900000000 for number in old.rows())

    def test_scenario_77_rewound_by_itself_where_that_is_allowed(self, diverged):
        cluster, manager, _, old, new = diverged(config=DROPS)
        wait_rejoined(manager, old, new)
        assert not any(number > 900000000 for number in old.rows())
        assert {"rejoin-examined", "rejoin-begin"} <= set(audit_types(manager, old))

    def test_scenario_79_an_interrupted_rewind_is_never_started(self, world, diverged):
        """Scenario 79: agent and pg_rewind are killed in the middle. Nobody starts that directory; it comes back anew."""
        tools = world.home / "tools"
        slow = slow_rewind(tools)
        cluster, manager, agents, old, new = diverged(config=DROPS, agent={"instance": {"BinDirectory": str(tools)}})
        pid = int(wait_until(lambda: (world.home / "tools" / "rewinding").read_text(), 30, "pg_rewind runs"))
        agents["n1"].kill9()
        os.kill(pid, signal.SIGKILL)
        slow()
        agents["n1"].start()
        wait_until(lambda: manager.agents()[old.port]["Quarantine"] or old.streams_from_node(new), 20, "it is known")
        wait_rejoined(manager, old, new, 90)
        assert new.is_primary()
        assert not any(number > 900000000 for number in old.rows())

    def test_reinit_makes_a_standby_anew(self, world):
        cluster, manager, _ = world.guarded()
        node = cluster["n3"]
        before = node.data.stat().st_ino
        manager.get(f"v2/instances/{node.host}/{node.port}/reinit")
        wait_until(lambda: node.data.stat().st_ino != before, 60, "it has a new directory")
        wait_rejoined(manager, node, cluster["n1"])

    def test_scenario_33_a_lost_directory_is_copied_again(self, world):
        cluster, manager, _ = world.guarded()
        node = cluster["n3"]
        node.kill9()
        node.data.rename(node.data.with_name("lost"))
        wait_rejoined(manager, node, cluster["n1"], 60)


def slow_rewind(directory):
    """The programs of PostgreSQL 15, but pg_rewind takes a minute. Returns what makes it fast."""
    directory.mkdir(mode=0o777)
    directory.chmod(0o777)
    for tool in postgres.bin_directory(15).iterdir():
        if tool.name != "pg_rewind":
            (directory / tool.name).symlink_to(tool)
    script = directory / "pg_rewind"
    real = postgres.bin_directory(15) / "pg_rewind"
    script.write_text(f'#!/bin/sh\ncase "$*" in *--version*|*-V*) exec {real} "$@";; esac\n'
                      f'echo $$ > {directory}/rewinding\nexec sleep 60\n', encoding="ascii")
    script.chmod(0o755)

    def fast():
        script.unlink()
        script.symlink_to(real)
    return fast


class TestWhoMayCome:
    def test_a_wrong_token_is_refused(self, world):
        """Nobody is believed who does not know the secret; what it guards is not watched, and it is in the log."""
        cluster, manager, _ = world.guarded(2)
        stranger_of = world.cluster(1)
        stranger = Agent(stranger_of["n1"], [manager.agents_address], world.ports(1), token="wrong")
        world.guard(stranger)
        wait_until(lambda: "token" in manager.log_text().lower(), 15, "the manager says so")
        assert stranger_of["n1"].port not in manager.agents()
        assert stranger_of["n1"].alive()
        assert "wrong" not in manager.log_text()

    def test_a_directory_of_another_cluster_is_refused(self, world):
        """What it guarded before was another cluster: it says so and ends, and touches nothing."""
        cluster, manager, agents = world.guarded(2)
        agents["n2"].stop()
        cluster["n2"].stop()
        other = world.cluster(1, identity=1)
        other["n1"].stop()
        cluster["n2"].data.rename(cluster["n2"].data.with_name("own"))
        other["n1"].data.rename(cluster["n2"].data)
        try:
            agents["n2"].spawn()
            assert agents["n2"].wait(15) != 0
            assert "system" in agents["n2"].log_text() or "cluster" in agents["n2"].log_text()
        finally:
            cluster["n2"].data.rename(other["n1"].data)
