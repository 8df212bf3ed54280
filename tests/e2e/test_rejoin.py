"""Servers that come back: what can be rewound and what cannot, who decides, how far it is, and what a command cannot do."""

import contextlib
import json
import os
import pty
import re
import signal
import socket
import subprocess
import threading

import pytest

from lab import manager as managers
from lab import postgres, processes
from lab.manager import ApiError
from lab.wait import wait_until
from test_agent import backends_named
from test_cli import client
from test_replicas import DROPS, QUICK, audits, fill, insert
from world import successor_of, wait_agents, wait_code, wait_recovered, wait_rejoined


@contextlib.contextmanager
def unheard(node):
    """Nobody hears what the server writes from now on."""
    senders = backends_named(node, "walsender")
    processes.send(senders, signal.SIGSTOP)
    yield
    node.kill9()


@pytest.mark.parametrize("why", ["no-hints", "no-wal"])
def test_scenario_78_what_cannot_be_rewound_is_made_anew(world, why):
    """Scenario 78: neither hints nor checksums; or the WAL of before the fork is missing. Known beforehand or found by
    pg_rewind: a copy follows, and the directory is not touched before it is there."""
    options = {"node_options": {"n1": {"settings": {"wal_log_hints": "off"}}}} if why == "no-hints" else {}
    cluster, manager, _ = world.guarded(2, config=DROPS, **options)
    n1, n2 = cluster
    before = n1.data.stat().st_ino
    with unheard(n1):
        rows = insert(n1, 900_000_000)
        if why == "no-wal":
            fill(n1, 1)
            for segment in (n1.data / "pg_wal").glob("0*[0-9A-F]"):
                doomed = segment.name < n1.value("SELECT pg_walfile_name(pg_current_wal_lsn())")
                if doomed:
                    segment.unlink()
    assert successor_of(wait_recovered(manager), cluster) is n2
    wait_rejoined(manager, n1, n2)
    assert n1.data.stat().st_ino != before
    assert "clone" in audits(manager, n1, "rejoin-done")[0]
    assert bool(audits(manager, n1, "rejoin-failed")) == (why == "no-wal")
    assert rows.isdisjoint(n1.rows())


def policy(manager, name):
    """Another RejoinPolicy, as an operator sets it."""
    manager.config["RejoinPolicy"] = name
    manager.write_config()
    manager.hang_up()
    wait_until(lambda: f'"{name}"' in json.dumps(manager.get("v2/config")), 5, f"the policy is {name}")


def lose(node):
    """Its data directory is gone, and then it."""
    postmaster, pids = node.postmaster(), node.pids()
    node.data.rename(node.data.with_name(f"lost-{node.data.stat().st_ino}"))
    processes.send([postmaster, *pids], signal.SIGKILL)
    wait_until(lambda: not processes.state_of(postmaster), 10, "nobody takes its zombie for a postmaster")


def test_rejoin_policies(world):
    """RejoinPolicy: manual does nothing of its own will, rewind-only makes nothing anew (auto does both: test_agent.py).
    Each is in force at once, and where nothing is done the command is named that does it."""
    cluster, manager, _ = world.guarded(2, config={"RejoinPolicy": "manual"}, settings=QUICK)
    n1, n2 = cluster

    def waits_for(command):
        wait_until(lambda: manager.rejoins()[n1.port]["Allow"] == f"baton {command} {n1.key}", 15, "it waits", 0.1)
        assert not n1.alive()
        code, out, err = client(manager, command, n1.key)
        assert code == 0 and f"streams from {n2.key}" in out, out + err
        wait_rejoined(manager, n1, n2)
    n1.kill9()
    assert successor_of(wait_recovered(manager), cluster) is n2
    waits_for("rejoin")
    policy(manager, "rewind-only")
    n1.kill9()
    wait_until(lambda: len(audits(manager, n1, "rejoin-done")) == 2, 20, "it was started")
    lose(n1)
    waits_for("reinit")


# -- commands


class Terminal:
    """The client on a terminal, where it shows how far it is."""

    def __init__(self, manager, *words):
        self._ours, theirs = pty.openpty()
        self._child = subprocess.Popen([str(managers.binary()), *words], stdin=theirs, stdout=theirs, stderr=theirs, cwd="/",
                                       env={**os.environ, "ORCHESTRATOR_API": f"{manager.url}/api", "TERM": "xterm"})
        os.close(theirs)

    def text(self, deadline_s=60):
        """All that it has said, when it has ended."""
        self._child.wait(deadline_s)
        said = b""
        with contextlib.suppress(OSError):
            while piece := os.read(self._ours, 65536):
                said += piece
        os.close(self._ours)
        return said.decode()


class Events:
    """What the event stream says of jobs and rejoins."""

    def __init__(self, manager):
        self._wire = socket.create_connection((manager.address, manager.port), 5)
        self._wire.sendall(b"GET /api/v2/events HTTP/1.1\r\nHost: lab\r\nAccept: text/event-stream\r\n\r\n")
        self._text = ""
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self):
        with contextlib.suppress(OSError):
            while piece := self._wire.recv(65536):
                self._text += piece.decode()

    def of(self, kind):
        found = []
        for event in self._text.split("\n\n"):
            lines = event.split("\n")
            if f"event: {kind}" in lines:
                found += [json.loads(line.removeprefix("data: ")) for line in lines if line.startswith("data: ")]
        return found

    def close(self):
        with contextlib.suppress(OSError):
            self._wire.shutdown(socket.SHUT_RDWR)
        self._thread.join(5)
        self._wire.close()


@contextlib.contextmanager
def slowed(node, application):
    """Whoever serves this application gets a small share of the time."""
    over = threading.Event()

    def brake():
        pids = []
        while not over.wait(0.001):
            with contextlib.suppress(Exception):
                pids = pids or [row[0] for row in node.sql(
                    "SELECT pid FROM pg_stat_activity WHERE application_name = %s AND query LIKE '%%pg_read_binary%%'",
                    (application,))]
                processes.send(pids, signal.SIGSTOP)
                over.wait(0.1 if pids else 0)
                processes.send(pids, signal.SIGCONT)
    thread = threading.Thread(target=brake, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(5)


def assert_progress(manager, node, verb, command):
    """Bytes, rate and what is left: on the terminal, in the API, in the events."""
    events = Events(manager)
    terminal = Terminal(manager, *command)
    jobs = []

    def ended():
        state = manager.rejoins().get(node.port)
        if state and state["Job"]:
            jobs.append(state["Job"])
        return state and state["State"] == "done" and jobs
    wait_until(ended, 60, f"{node} is back", 0.1)
    said = terminal.text()
    events.close()
    copying = [j for j in jobs if j["Verb"] == verb and j["TotalBytes"] > 0]
    assert any(0 < j["DoneBytes"] < j["TotalBytes"] and j["BytesPerSecond"] > 0 and j["EtaSeconds"] is not None
               for j in copying), jobs
    told = [e for e in events.of("job") if e["verb"] == verb and e["instance"] == node.key]
    assert any(0 < e["done_bytes"] < e["total_bytes"] and e["bytes_per_second"] > 0 and e["eta_seconds"] is not None
               for e in told), told
    assert told[-1]["ended"] and events.of("rejoin")[-1]["state"] == "done"
    assert re.search(r"MiB of .*%\), .* MiB/s, \d+ s left", said) and f"{node.key} streams from" in said, said


def test_progress_of_a_clone_and_of_a_rewind(world):
    """Also scenario 77: what only the old primary has is listed before it is dropped, and no client gets to it."""
    cluster, manager, _ = world.guarded(2, config={"CloneMaximumRateKBps": 8192})
    n1, n2 = cluster
    assert_progress(manager, n2, "clone", ["reinit", n2.key])
    wait_rejoined(manager, n2, n1)
    wait_agents(manager, cluster)
    with unheard(n1):
        n1.sql("CREATE TABLE bulk AS SELECT repeat(md5(g::text), 30) FROM generate_series(1, 30000) g", database="app")
        rows = insert(n1, 900_000_000)
    writer = world.writer(cluster)
    assert successor_of(wait_recovered(manager), cluster) is n2
    wait_until(lambda: (manager.rejoins().get(n1.port) or {}).get("CommitsPastFork"), 20, "its WAL is read")
    listed = audits(manager, n1, "rejoin-examined")[0]
    assert "2 commits" in listed and "transaction" in listed, listed
    code, out, _ = client(manager, "rejoin", n1.key, "--dry-run")
    assert code == 0 and "2 commits" in out and f"baton rejoin {n1.key} --force" in out
    with slowed(n2, "baton_rewind"):
        assert_progress(manager, n1, "rewind", ["rejoin", n1.key, "--force"])
    wait_rejoined(manager, n1, n2)
    assert listed.split("commits", 1)[1][:40] in audits(manager, n1, "rejoin-begin")[0]
    assert rows.isdisjoint(n1.rows())
    assert writer.stop().lost(n2.rows()) == []


def test_commands_say_what_is_wrong(world):
    """rejoin, reinit and clone with what they cannot do: nothing happens, and the reason is told."""
    cluster, manager, agent = world.guarded(3, config={"CloneMaximumRateKBps": 4096})
    n1, n2, n3 = cluster
    stranger = world.cluster(1, identity=1)["n1"]
    manager.discover(stranger)
    agent["n3"].kill9()
    wait_code(manager, n3, "BlindStandby")

    def refused(*words):
        code, out, err = client(manager, *words)
        assert code != 0, out
        return out + err
    for command in ("rejoin", "reinit"):
        assert "not known" in refused(command, "nowhere:5432")
        assert "it leads the cluster" in refused(command, n1.key)
        assert "no agent is connected" in refused(command, n3.key)
        assert "no agent is connected" in refused(command, stranger.key)
    assert "nothing to do" in refused("rejoin", n2.key)
    assert "wants --from" in refused("clone", n2.key)
    assert "not found" in refused("clone", n2.key, "--from", "nowhere:5432")
    assert "another cluster" in refused("clone", n2.key, "--from", stranger.key)
    assert "itself" in refused("clone", n2.key, "--from", n2.key)
    assert "it leads the cluster" in refused("clone", n1.key, "--from", n2.key)
    assert client(manager, "reinit", n2.key, "--no-wait")[0] == 0
    assert "already" in refused("reinit", n2.key)
    assert "already" in refused("rejoin", n2.key)
    wait_until(lambda: manager.agents()[n2.port]["Job"], 10, "it copies")
    assert client(manager, "rejoin", n2.key, "--cancel")[0] == 0
    wait_until(lambda: manager.rejoins()[n2.port]["State"] != "running", 10, "it is cancelled")
    wait_until(n2.alive, 20, "it is as it was")
    assert "nothing is done" in refused("rejoin", n2.key, "--cancel")
    with pytest.raises(ApiError, match="from=HOST:PORT"):
        manager.get(f"v2/instances/{n2.host}/{n2.port}/clone")


def test_scenario_78_no_room_for_a_copy(world):
    """Scenario 78, disk guard: there is no room beside the old directory. It is told how much there is and how much it takes,
    and the standby goes on."""
    cluster, manager, agent = world.guarded(2)
    n1, n2 = cluster
    agent["n2"].stop()
    n2.stop()
    home = n2.data.parent
    aside = home.with_name("aside")
    home.rename(aside)
    home.mkdir()
    try:
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=140m,mode=755", "lab", str(home)], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"cannot mount a small file system: {error}")
    try:
        postgres.own(home)
        subprocess.run(["cp", "-a", f"{aside}/.", str(home)], check=True)
        before = n2.data.stat().st_ino
        n2.start()
        agent["n2"].start()
        wait_agents(manager, cluster)
        code, out, err = client(manager, "reinit", n2.key)
        assert code != 0 and "there is no room for a copy" in out + err, out + err
        wait_rejoined(manager, n2, n1)
        assert n2.data.stat().st_ino == before
    finally:
        agent["n2"].kill9()
        n2.kill9()
        subprocess.run(["umount", "-l", str(home)], check=False)
