"""Replacing a dead primary: who, how fast, and what becomes of the others (defects 3.3 of the field)."""

import contextlib
import shlex
import signal
import subprocess
import threading

import pytest

from lab import postgres, processes
from lab.wait import holds_for, wait_until
from world import (codes, no_recovery_for, settle, successor_of, wait_code, wait_follows, wait_log, wait_recovered,
                   wait_writes)


def conninfo_words(text):
    """key -> value of a conninfo in key=value form."""
    return dict(word.split("=", 1) for word in shlex.split(text.replace("\\'", "'\"'\"'")))


def other(cluster, *nodes):
    return next(n for n in cluster if n not in nodes)


def signal_receiver(node, number):
    """Stops or continues just the WAL receiver of a standby."""
    for pid in node.pids():
        with open(f"/proc/{pid}/cmdline", "rb") as line:
            if b"walreceiver" in line.read():
                processes.send([pid], number)
                return
    raise LookupError(f"{node} has no WAL receiver")


@contextlib.contextmanager
def held_back(cluster, behind, rows=2000):
    """`behind` receives nothing more, as somebody else keeps its slot busy, while the others receive some rows."""
    if not postgres.has_tools(cluster.version):
        pytest.skip("pg_receivewal is not installed")
    primary, sink = cluster.root, cluster.directory / "sink"
    sink.mkdir()
    signal_receiver(behind, signal.SIGSTOP)
    primary.sql("SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE slot_name = %s",
                (behind.spec.slot_name,))
    child = subprocess.Popen([
        str(postgres.bin_directory(cluster.version) / "pg_receivewal"), "-D", str(sink), "--no-sync", "--no-loop", "-S",
        behind.spec.slot_name, "-d", f"host={primary.host} port={primary.port} user={postgres.REPLICATION_USER} "
        f"password={postgres.REPLICATION_PASSWORD}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_until(lambda: primary.value(
            "SELECT application_name FROM pg_stat_replication JOIN pg_replication_slots ON pid = active_pid "
            "WHERE slot_name = %s", (behind.spec.slot_name,)) == "pg_receivewal", 10, "its slot is taken")
        signal_receiver(behind, signal.SIGCONT)
        first = (primary.value("SELECT coalesce(max(id), 0) FROM ledger", database="app") or 0) + 100_000
        primary.sql(f"INSERT INTO ledger SELECT {first} + g, 'ahead' FROM generate_series(1, {rows}) g", database="app")
        for node in cluster:
            if node not in (behind, primary):
                wait_until(lambda: node.received_lsn() >= primary.received_lsn(), 10, f"{node} has it all")
        assert behind.received_lsn() < primary.received_lsn()
        yield {first + g for g in range(1, rows + 1)}
    finally:
        child.kill()
        child.wait(5)


class TestOrdinaryFailover:
    """kill -9 of the primary under a client that writes, and everything that must be right afterwards."""

    @pytest.fixture(scope="class")
    def story(self, shared_world):
        world = shared_world
        hook = world.home / "post"
        cluster = world.cluster(3, node_options={"*": {"extra_conninfo": "keepalives_idle=7 connect_timeout=4"}})
        manager = world.manager(cluster, config={
            "PostFailoverProcesses": [f"echo {{successorPort}} >> {hook}"],
            "PostMasterFailoverProcesses": [f"echo master >> {hook}.master"]})
        world.watch(manager, cluster)
        before = {n.name: conninfo_words(n.conninfo()) for n in cluster if n.spec.upstream}
        writer = world.writer(cluster)
        killed_at = writer.note_kill(cluster["n1"].kill9())
        wait_writes(writer, killed_at)
        recovery = wait_recovered(manager)
        new = successor_of(recovery, cluster)
        survivor = other(cluster, cluster["n1"], new)
        wait_follows(survivor, new)
        wait_writes(writer)
        writer.stop()
        return type("Story", (), dict(cluster=cluster, manager=manager, writer=writer, killed_at=killed_at, hook=hook,
                                      recovery=recovery, new=new, survivor=survivor, before=before))

    def test_outage_is_short(self, story):
        """Budget of scenario 1 is 2 s; the bench measures what is really reached."""
        assert story.writer.outage_around(story.killed_at) < 2.0

    def test_no_acknowledged_row_is_lost(self, story):
        assert story.writer.lost(story.new.rows()) == []

    def test_recovery_is_on_record(self, story):
        recovery = story.recovery
        assert recovery["IsSuccessful"] is True
        assert recovery["AnalysisEntry"]["Analysis"] == "DeadPrimary"
        assert recovery["AnalysisEntry"]["AnalyzedInstanceKey"]["Port"] == story.cluster["n1"].port
        assert recovery["LostReplicas"] == []
        steps = story.manager.steps(recovery["UID"])
        assert any(story.new.key in step for step in steps)
        assert len(steps) >= 4

    def test_2_only_host_and_port_of_the_conninfo_change(self, story):
        """3.3.2: user, password, TLS, keepalives and name of the standby's conninfo stay as they were."""
        before, after = story.before[story.survivor.name], conninfo_words(story.survivor.conninfo())
        assert after.pop("port") == str(story.new.port)
        before = {k: v for k, v in before.items() if k not in ("port", "host")}
        after.pop("host")
        assert after == before

    def test_3_the_application_name_stays(self, story):
        names = {row[0] for row in story.new.sql("SELECT application_name FROM pg_stat_replication")}
        assert names == {story.survivor.name}

    def test_5_the_slot_is_made_and_used(self, story):
        slots = dict(story.new.sql("SELECT slot_name, active FROM pg_replication_slots"))
        assert slots.get(story.survivor.spec.slot_name) is True
        assert "does not exist" not in story.survivor.log_text()

    def test_8_post_hooks_run_once(self, story):
        wait_until(lambda: story.hook.exists(), 5, "the hook has run")
        assert story.hook.read_text().split() == [str(story.new.port)]
        assert (story.hook.parent / "post.master").read_text().split() == ["master"]

    def test_3_cluster_names_from_before_still_work(self, story):
        """3.1.3: scripts go on using the name from before the failover."""
        old_name, manager = story.cluster["n1"].key, story.manager
        wait_until(lambda: manager.clusters() == [story.new.key], 5, "the cluster is called by its primary")
        assert manager.get(f"cluster-info/{old_name}")["ClusterName"] == story.new.key
        assert manager.get(f"master/{old_name}")["Key"]["Port"] == story.new.port
        assert len(manager.cluster(old_name)) == 3
        assert manager.get(f"audit-recovery/cluster/{old_name}")
        assert story.new.key in manager.details(f"topology/{old_name}")

    def test_10_the_dead_primary_is_downtimed(self, story):
        dead = story.manager.get(f"instance/{story.cluster['n1'].host}/{story.cluster['n1'].port}")
        assert dead["IsDowntimed"] and dead["DowntimeReason"] == "lost-in-recovery"

    def test_the_tree_is_right(self, story):
        tree = story.manager.details(f"topology/{story.new.key}").splitlines()
        assert tree[0].startswith(story.new.key)
        assert any(line.startswith(f"+ {story.survivor.key}") for line in tree)

    def test_no_password_anywhere(self, story):
        """Not in the log, not in the answers."""
        secrets = (postgres.MANAGER_PASSWORD, postgres.REPLICATION_PASSWORD)
        texts = [story.manager.log_text()] + [story.manager.raw(f"/api/{path}")[1] for path in (
            "all-instances", "audit-recovery", f"audit-recovery-steps/{story.recovery['UID']}", "replication-analysis", "audit")]
        assert not any(secret in text for secret in secrets for text in texts)


def test_scenario_1_kill9_of_the_postmaster_alone(world):
    """Scenario 1: only the postmaster is killed; backends find out by themselves. Budget 2 s."""
    cluster, manager = world.watched(3)
    writer = world.writer(cluster)
    killed_at = cluster["n1"].kill_postmaster()
    wait_writes(writer, killed_at)
    new = successor_of(wait_recovered(manager), cluster)
    cluster["n1"].kill9()
    assert writer.stop().outage_around(killed_at) < 2.0
    wait_follows(other(cluster, cluster["n1"], new), new)


def test_hung_primary_is_replaced(world):
    """All processes stopped: the kernel still accepts connections. Without an agent nobody can fence it; it is replaced,
    and when it wakes it is named."""
    cluster, manager = world.watched(3)
    writer = world.writer(cluster, patience_s=1.0)
    cluster["n1"].freeze()
    try:
        new = successor_of(wait_recovered(manager, deadline_s=30), cluster)
        wait_follows(other(cluster, cluster["n1"], new), new)
        wait_writes(writer, deadline_s=20)
    finally:
        cluster["n1"].thaw()
    wait_until(lambda: {"StalePrimary", "SplitBrain"} & (codes(manager, cluster["n1"]) | codes(manager, new)), 15, "it is named")


class TestCandidate:
    def test_1_the_most_advanced_is_promoted(self, world):
        """3.3.1: what was received decides, not what a stale row says; the other one follows."""
        cluster, manager = world.watched(3)
        with held_back(cluster, cluster["n2"]) as rows:
            cluster["n1"].kill9()
        assert successor_of(wait_recovered(manager), cluster) is cluster["n3"]
        assert rows <= cluster["n3"].rows()
        wait_follows(cluster["n2"], cluster["n3"])
        wait_until(lambda: rows <= cluster["n2"].rows(), 10, "the other one catches up")

    def test_1_a_preferred_candidate_catches_up_first(self, world):
        """Received WAL is never thrown away for a preference: the preferred standby streams it from the other, then leads."""
        cluster, manager = world.watched(3)
        manager.get(f"register-candidate/{cluster['n2'].host}/{cluster['n2'].port}/prefer")
        with held_back(cluster, cluster["n2"]) as rows:
            cluster["n1"].kill9()
        assert successor_of(wait_recovered(manager), cluster) is cluster["n2"]
        assert rows <= cluster["n2"].rows()
        wait_follows(cluster["n3"], cluster["n2"])

    @pytest.mark.parametrize("how", ["must_not", "ignored", "downtimed"])
    def test_1_rules_keep_a_standby_from_being_promoted(self, world, how):
        filters = {"PromotionIgnoreHostnameFilters": []}
        cluster = world.cluster(3)
        n2 = cluster["n2"]
        if how == "ignored":
            filters["PromotionIgnoreHostnameFilters"] = [f":{n2.port}$"]
        manager = world.manager(cluster, config=filters)
        world.watch(manager, cluster)
        if how == "must_not":
            manager.get(f"register-candidate/{n2.host}/{n2.port}/must_not")
        if how == "downtimed":
            manager.get(f"begin-downtime/{n2.host}/{n2.port}/ops/kernel/10m")
        cluster["n1"].kill9()
        recovery = wait_recovered(manager)
        assert successor_of(recovery, cluster) is cluster["n3"]
        assert any(n2.key in step for step in manager.steps(recovery["UID"])), "the rejection is explained"

    @pytest.mark.parametrize("preferred", [None, "n3"])
    def test_scenario_71_equal_standbys_are_chosen_between_by_rule(self, world, preferred):
        """Scenario 71: the same choice every time: rule first, then the name."""
        cluster, manager = world.watched(3)
        if preferred:
            manager.get(f"register-candidate/{cluster[preferred].host}/{cluster[preferred].port}/prefer")
        wait_until(cluster.caught_up, 10, "both have everything")
        cluster["n1"].kill9()
        assert successor_of(wait_recovered(manager), cluster) is cluster[preferred or "n2"]

    def test_scenario_59_a_paused_standby_is_not_promoted_and_stays_paused(self, world):
        """Scenario 59 and 3.3.6: paused on purpose means paused, before and after. PostgreSQL lets it reconnect only when
        somebody resumes it, and then it must know where to go."""
        cluster, manager = world.watched(3)
        cluster["n2"].sql("SELECT pg_wal_replay_pause()")
        wait_code(manager, cluster["n2"], "ReplayPaused")
        cluster["n1"].kill9()
        assert successor_of(wait_recovered(manager), cluster) is cluster["n3"]
        wait_until(lambda: f"port={cluster['n3'].port}" in cluster["n2"].conninfo(), 10, "it is told of its new upstream")
        assert cluster["n2"].value("SELECT pg_get_wal_replay_pause_state()") in ("paused", "pause requested")
        cluster["n2"].sql("SELECT pg_wal_replay_resume()")
        wait_follows(cluster["n2"], cluster["n3"])

    def test_scenario_60_a_delayed_standby_is_never_promoted(self, world):
        """Scenario 60: recovery_min_apply_delay marks a standby that looks into the past on purpose."""
        cluster, manager = world.watched(3, node_options={"n2": {"settings": {"recovery_min_apply_delay": "'10min'"}}})
        cluster["n1"].kill9()
        recovery = wait_recovered(manager)
        assert successor_of(recovery, cluster) is cluster["n3"]
        wait_follows(cluster["n2"], cluster["n3"])

    def test_scenario_60_not_even_as_the_only_one(self, world):
        cluster, manager = world.watched(2, node_options={"n2": {"settings": {"recovery_min_apply_delay": "'10min'"}}})
        cluster["n1"].kill9()
        recovery = wait_recovered(manager)
        assert not recovery["IsSuccessful"] and not cluster["n2"].is_primary()
        assert any("delay" in step for step in manager.steps(recovery["UID"]))

    def test_scenario_76_an_outdated_standby_is_refused_without_force(self, world):
        """Scenario 76: the only candidate stopped receiving long ago; promoting it is for a human, with the loss stated."""
        cluster, manager = world.watched(2, config={"MaximumStandbyDisconnectedSeconds": 2})
        standby = cluster["n2"]
        standby.set("primary_conninfo", standby.conninfo().replace(postgres.REPLICATION_PASSWORD, "wrong"))
        wait_until(lambda: not standby.streams_from(), 10, "it is cut off")
        cluster["n1"].sql("INSERT INTO ledger SELECT g, 'unseen' FROM generate_series(1, 5000) g", database="app")
        holds_for(lambda: not manager.recoveries(), 4, "nothing happens yet")
        cluster["n1"].kill9()
        recovery = wait_recovered(manager)
        assert not recovery["IsSuccessful"] and not standby.is_primary()
        outcome = manager.details(f"force-master-failover/{cluster['n1'].host}/{cluster['n1'].port}", timeout_s=40)
        assert outcome["SuccessorKey"]["Port"] == standby.port
        assert standby.is_primary()


class TestSynchronous:
    def test_1_3_the_synchronous_standby_is_promoted_and_writes_go_on(self, world):
        """3.3.1 and 3.3.3: the one that has every commit is chosen, and the new primary's commits do not hang."""
        cluster, manager = world.watched(3)
        cluster["n1"].set("synchronous_standby_names", "FIRST 1 (n3, n2)")
        wait_until(lambda: dict(cluster["n1"].sql("SELECT application_name, sync_state FROM pg_stat_replication")).get("n3")
                   == "sync", 10, "n3 is synchronous")
        for node in ("n2", "n3"):
            cluster[node].set("synchronous_standby_names", "FIRST 1 (n1, n2, n3)")
        writer = world.writer(cluster)
        holds_for(lambda: not manager.failures(), 2, "all is well")
        killed_at = cluster["n1"].kill9()
        wait_writes(writer, killed_at)
        recovery = wait_recovered(manager)
        assert successor_of(recovery, cluster) is cluster["n3"]
        writer.stop()
        assert writer.lost(cluster["n3"].rows()) == []

    def test_without_any_standby_left_writes_do_not_hang(self, world):
        """SynchronousFailoverPolicy relax: what cannot be satisfied any more is reduced, and that is said."""
        cluster, manager = world.watched(2)
        for node in cluster:
            node.set("synchronous_standby_names", "n1, n2" if node.name == "n1" else "n1")
        writer = world.writer(cluster)
        killed_at = cluster["n1"].kill9()
        wait_writes(writer, killed_at)
        recovery = wait_recovered(manager)
        writer.stop()
        assert writer.lost(cluster["n2"].rows()) == []
        assert any("synchronous_standby_names" in step for step in manager.steps(recovery["UID"]))


def test_7_14_hung_replica_does_not_hold_up_the_others(world):
    """3.3.14: one replica does not answer; promotion and the other replica do not wait for it."""
    cluster, manager = world.watched(4)
    cluster["n4"].freeze()
    try:
        writer = world.writer(cluster)
        killed_at = cluster["n1"].kill9()
        wait_writes(writer, killed_at, deadline_s=20)
        assert writer.outage_around(killed_at) < 6.0
        new = wait_until(lambda: next((n for n in (cluster["n2"], cluster["n3"]) if n.is_primary()), None), 10)
        wait_follows(other(cluster, cluster["n1"], cluster["n4"], new), new, 10)
    finally:
        cluster["n4"].thaw()
    wait_recovered(manager, deadline_s=40)


def test_scenario_20_the_chosen_one_dies_during_its_promotion(world):
    """Scenario 20: R1 is selected and dies while it is promoted; R2 takes over, nothing is stuck."""
    cluster, manager = world.watched(4, config={"RecoveryPeriodBlockSeconds": 1, "PromotionTimeoutSeconds": 5})
    writer = world.writer(cluster)
    standbys = [cluster[name] for name in ("n2", "n3", "n4")]
    victims, stop = [], threading.Event()

    def watch():
        while not stop.is_set() and not victims:
            for node in standbys:
                if "received promote request" in node.log_text():
                    node.kill9()
                    victims.append(node)
                    return
    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    cluster["n1"].kill9()
    wait_until(lambda: victims, 20, "somebody is chosen, and killed")
    try:
        wait_writes(writer, deadline_s=40)
    finally:
        stop.set()
    new = wait_until(cluster.primary, 20, "there is a primary again")
    assert new is not victims[0]
    wait_follows(other(cluster, cluster["n1"], victims[0], new), new, 20)
    writer.stop()
    wait_until(lambda: all(r["RecoveryEndTimestamp"] for r in manager.recoveries()), 20, "no recovery is left open")


def test_scenario_20_the_new_primary_dies_before_anybody_followed_it(world):
    """Scenario 20, late: R1 is promoted and dies at once; R2 takes over in the same recovery, whatever the block period."""
    cluster, manager = world.watched(4)
    writer = world.writer(cluster)
    cluster["n1"].kill9()

    def promoted():
        for name in ("n2", "n3", "n4"):
            if "archive recovery complete" in cluster[name].log_text():
                return cluster[name]
        return None
    victim = wait_until(promoted, 20, "somebody is promoted", 0.0005)
    victim.kill9()
    wait_writes(writer, deadline_s=40)
    new = wait_until(cluster.primary, 20, "there is a primary again")
    wait_follows(other(cluster, cluster["n1"], victim, new), new, 20)
    assert wait_recovered(manager)["SuccessorKey"]["Port"] == new.port
    writer.stop()


def test_scenario_20_a_half_copied_timeline_is_not_promoted(world):
    """The new primary dies while the last standby copies the segment of the new timeline. PostgreSQL would read its last record
    from that copy and stop for good (PANIC: invalid magic number), so it is left as it is until the copy can be finished."""
    cluster, manager = world.watched(3, config={"RecoveryPeriodBlockSeconds": 1})
    cluster["n1"].sql("CREATE TABLE filler AS SELECT repeat('x', 500) FROM generate_series(1, 6000)")
    wait_until(lambda: cluster.caught_up(cluster["n1"]), 10, "the standbys have it")
    cluster["n1"].kill9()

    def copies():
        return next((n for n in (cluster["n2"], cluster["n3"]) if "restarted WAL streaming" in n.log_text()), None)
    last = wait_until(copies, 20, "a standby goes over to the new timeline", 0.0005)
    new = other(cluster, cluster["n1"], last)
    signal_receiver(last, signal.SIGSTOP)
    new.kill9()
    signal_receiver(last, signal.SIGCONT)

    def decided():
        return last.is_primary() or any("half-copied-timeline" in step for r in manager.recoveries()
                                        for step in manager.steps(r["UID"]))
    wait_until(decided, 20, "it is promoted, or refused with the reason")
    assert last.alive() and "PANIC" not in last.log_text()
    if not last.is_primary():
        new.start()
        wait_follows(last, new)
        wait_until(lambda: manager.instances()[last.port]["MasterKey"]["Port"] == new.port, 10, "the manager sees it")


@pytest.mark.parametrize("rounds", [3, pytest.param(10, marks=pytest.mark.slow)])
def test_scenario_21_alternating_failures(world, rounds):
    """Scenario 21 and the 5 s trap of 3.3.7: every new primary is killed in its turn; each time a clean failover."""
    cluster, manager = world.watched(3)
    writer = world.writer(cluster)
    primary, outages = cluster["n1"], []
    for count in range(1, rounds + 1):
        wait_until(lambda: cluster.caught_up(primary), 15, "standbys have everything")
        killed_at = writer.note_kill(primary.kill9())
        wait_writes(writer, killed_at)
        new = successor_of(wait_recovered(manager, count), cluster)
        outages.append(writer.outage_around(killed_at))
        wait_follows(other(cluster, primary, new), new)
        manager.ack_all()
        primary.rejoin(new)
        for node in cluster:
            node.spec.upstream = "" if node is new else new.name
        settle(manager, cluster)
        primary = new
    writer.stop()
    assert writer.lost(primary.rows()) == []
    assert max(outages) < 2.0, outages
    assert primary.timeline() == 1 + rounds


class TestGates:
    def test_clusters_that_no_filter_names_are_only_watched(self, world):
        cluster, manager = world.watched(2, config={"RecoverMasterClusterFilters": ["^another"]})
        cluster["n1"].kill9()
        wait_until(lambda: manager.get("audit-failure-detection"), 10, "the failure is detected")
        no_recovery_for(manager, 3, cluster, cluster["n1"])

    def test_the_global_switch(self, world):
        cluster, manager = world.watched(2)
        manager.get("disable-global-recoveries")
        assert manager.details("check-global-recoveries") == "disabled"
        cluster["n1"].kill9()
        wait_code(manager, cluster["n1"], "DeadPrimary")
        no_recovery_for(manager, 3, cluster, cluster["n1"])
        manager.get("enable-global-recoveries")
        successor_of(wait_recovered(manager), cluster)


class TestForced:
    """3.3.11: the manual forms work on PostgreSQL, and do what they say."""

    @pytest.fixture
    def dead(self, world):
        self.mark = world.home / "hooks"
        cluster, manager = world.watched(3, config={
            "RecoverMasterClusterFilters": [], "PreFailoverProcesses": [f"echo {{command}} >> {self.mark}"]})
        cluster["n1"].kill9()
        wait_code(manager, cluster["n1"], "DeadPrimary")
        return cluster, manager

    def test_recover(self, dead):
        cluster, manager = dead
        n1 = cluster["n1"]
        answer = manager.get(f"recover/{n1.host}/{n1.port}", timeout_s=30)
        assert answer["Message"] == f"Recovery executed on {n1.key}"
        assert cluster.primary().port == answer["Details"]["Port"]
        assert self.mark.exists()

    def test_recover_with_a_candidate_and_without_hooks(self, dead):
        cluster, manager = dead
        n1, n3 = cluster["n1"], cluster["n3"]
        answer = manager.get(f"recover-lite/{n1.host}/{n1.port}/{n3.host}/{n3.port}", timeout_s=30)
        assert answer["Details"]["Port"] == n3.port and n3.is_primary()
        assert not self.mark.exists()

    def test_force_master_failover(self, dead):
        cluster, manager = dead
        answer = manager.get(f"force-master-failover/{cluster['n1'].key}", timeout_s=30)
        assert answer["Message"] == "Master failed over"
        assert cluster.primary().port == answer["Details"]["SuccessorKey"]["Port"]
        assert self.mark.read_text().split() == ["force-master-failover"]

    def test_recover_where_nothing_is_wrong(self, world):
        cluster, manager = world.watched(2)
        status, body, _ = manager.raw(f"/api/recover/{cluster['n1'].host}/{cluster['n1'].port}", timeout_s=30)
        assert status == 500 and "ot attempted" in body
        assert cluster["n1"].is_primary() and not cluster["n2"].is_primary()

    def test_force_master_takeover_to_a_chosen_standby(self, dead):
        cluster, manager = dead
        n3 = cluster["n3"]
        status, body, _ = manager.raw(f"/api/force-master-takeover/{cluster['n1'].key}/{n3.host}/{n3.port}", timeout_s=30)
        assert (status == 200 and n3.is_primary()) or (status == 500 and not n3.is_primary()), body
