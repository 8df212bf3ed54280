"""Clients behind PgBouncer: held and led by a manager, let go by PgBouncer's agent when that manager has died. And planned
switchovers that are put off until later."""

import json
import os
import subprocess
import threading
import time

import psycopg2

from lab import manager as managers
from lab.wait import wait_until
from world import successor_of, wait_agents, wait_recovered, wait_rejoined, wait_writes

DROPS = {"RejoinDropsWrites": True}
PATIENT = {"patience_s": 15.0}  # a client that is held waits


def baton(manager, *words):
    """Runs the client; (exit status, all that it printed)."""
    done = subprocess.run([str(managers.binary()), *words], capture_output=True, text=True, timeout=60,
                          env={**os.environ, "ORCHESTRATOR_API": f"{manager.url}/api"})
    return done.returncode, done.stdout + done.stderr


def doctor_says(manager):
    """Of the routers."""
    done = subprocess.run([str(managers.binary()), "doctor", "-config", str(manager.config_file), "--json"],
                          capture_output=True, text=True, timeout=60)
    return [(c["level"], c["text"]) for c in json.loads(done.stdout)["checks"] if c["id"] == "routers"]


def ask_switchover(manager, to):
    """Asks for it and does not wait: the manager may die meanwhile."""
    def ask():
        try:
            manager.switchover(manager.clusters()[0], to)
        except OSError:
            pass
    asked = threading.Thread(target=ask, daemon=True)
    asked.start()
    return asked


def test_put_off_called_off_and_done_behind_a_pooler(world):
    """`--at`: what cannot be is refused by name; one that was called off does not begin; one whose time has come does, also in
    the next life of the manager, and no client behind PgBouncer gets an error."""
    cluster, manager, pooler, _ = world.pooled()
    name = manager.clusters()[0]
    for words, complaint in (
            (("nobody:1", "--at", "+30m"), "not found"), ((name, "--at", "2020-01-01T00:00:00Z"), "over"),
            ((name, "--at", "-5m"), "-5m"), ((name, "--at", "tomorrow"), "tomorrow"),
            ((name, "--at", "2026-13-41T00:00:00Z"), "2026-13-41"), ((name, "--cancel"), "no switchover is scheduled")):
        status, said = baton(manager, "switchover", *words)
        assert status != 0 and complaint in said, (words, status, said)
    writer = world.writer(pooler, **PATIENT)
    status, said = baton(manager, "switchover", name, "--at", "+1s")
    assert status == 0 and "to the best replica" in said, said
    status, said = baton(manager, "switchover", name, "--cancel")
    assert status == 0 and "is cancelled" in said, said
    status, said = baton(manager, "switchover", name, "--to", cluster["n3"].key, "--at", "+2s")
    assert status == 0 and cluster["n3"].key in said, said
    manager.kill9()
    manager.start()
    wait_until(lambda: cluster.primary() is cluster["n3"], 20, "its time comes")
    recovery = wait_recovered(manager)
    wait_rejoined(manager, cluster["n1"], cluster["n3"])
    wait_writes(writer)
    writer.stop()
    assert len(manager.recoveries()) == 1, "the one that was called off never began"
    assert successor_of(recovery, cluster) is cluster["n3"]
    assert pooler.leads_to(cluster["n3"]) and not pooler.paused()
    assert doctor_says(manager) == [("pass", "one router leads to the primary")]
    assert writer.errors == []
    assert writer.lost(cluster["n3"].rows()) == []


def test_scenario_97_held_clients_go_on_when_the_manager_stays_dead(world):
    """Scenario 97: it is killed between PAUSE and the rest, and nobody starts it. PgBouncer's agent, which was told before, lets
    the clients go when their time is up: to the primary, which was not touched yet."""
    cluster, manager, pooler, agent = world.pooled(config={"SwitchoverPauseSeconds": 2}, databases=("app", "slow"))
    writer = world.writer(pooler, **PATIENT)
    with psycopg2.connect(pooler.dsn("slow")) as busy:  # its transaction keeps the PAUSE of the second database waiting
        busy.cursor().execute("SELECT 1")
        ask_switchover(manager, cluster["n2"])
        wait_until(pooler.paused, 10, "clients are held", 0.002)
        manager.kill9()
        held_at = time.monotonic()
        agent.kill9()
        agent.start()  # it knows that over its own end, too
        wait_writes(writer, held_at, deadline_s=10)
    writer.stop()
    assert writer.errors == []
    assert 1.0 < writer.outage_around(held_at) < 5.0
    assert pooler.leads_to(cluster["n1"]) and cluster.primary() is cluster["n1"]
    assert writer.lost(cluster["n1"].rows()) == []


def test_scenario_97_held_clients_go_on_at_the_new_primary(world):
    """Scenario 97: killed after the promotion, before PgBouncer was told where to lead. The next life of the manager finds
    nothing to undo."""
    cluster, manager, pooler, agent = world.pooled(config={"SwitchoverPauseSeconds": 2, **DROPS})
    writer = world.writer(pooler, **PATIENT)
    ask_switchover(manager, cluster["n2"])
    wait_until(lambda: "PAUSE" in pooler.log_text(), 10, "clients are held", 0.001)
    agent.freeze()  # who is to rewrite the targets takes his time
    wait_until(cluster["n2"].is_primary, 10, "n2 is promoted", 0.005)
    manager.kill9()
    held_at = time.monotonic()
    agent.kill9()
    agent.start()
    wait_writes(writer, held_at, deadline_s=10)
    assert pooler.leads_to(cluster["n2"]) and not pooler.paused()
    assert writer.outage_around(held_at) < 5.0
    manager.start()
    wait_rejoined(manager, cluster["n1"], cluster["n2"])
    wait_agents(manager, cluster, deadline_s=30)
    wait_writes(writer)
    writer.stop()
    assert writer.errors == []
    assert cluster.primary() is cluster["n2"]
    assert writer.lost(cluster["n2"].rows()) == []


def test_scenario_98_clients_are_led_away_from_a_silent_host(world):
    """Scenario 98: neither those behind PgBouncer nor those who look for the primary themselves wait for the end of a
    connection that nobody answers; nor does the old primary serve those who still have one."""
    hosts = world.network(["n1", "n2", "n3"])
    cluster, manager, pooler, _ = world.pooled(hosts=hosts, config=DROPS)
    direct = world.writer(cluster, patience_s=1.0)
    pooled = world.writer(pooler, name="pooled", first_id=10_000_000, **PATIENT)
    witnesses = world.witnesses(cluster)
    old = cluster["n1"]
    wait_until(lambda: len(witnesses[old].acknowledged) > 10, 10, "a client inside commits")
    cut_at = direct.note_kill(pooled.note_kill(time.monotonic()))
    hosts.cut("n1")
    wait_writes(pooled, cut_at + 1, deadline_s=20)
    wait_writes(direct, cut_at + 1, deadline_s=20)
    new = successor_of(wait_recovered(manager), cluster)
    assert not old.alive(), "who was inside has no session any more"
    assert pooler.leads_to(new)
    hosts.mend("n1")
    wait_rejoined(manager, old, new)
    for writer in (direct, pooled):
        writer.stop()
        assert writer.lost(new.rows()) == []
    assert pooled.outage_around(cut_at) < 5.0
    assert pooled.outage_around(cut_at) < direct.outage_around(cut_at) + 1.0
    assert witnesses.two_primaries_s(old, new, cut_at) == 0
