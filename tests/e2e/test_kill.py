"""Scenario 88 with host agents: kill -9 of the manager and of each agent at every step of a switchover, a failover, a rewind
and a clone. Whatever was killed, it ends in one primary that has every acknowledged row, and the others stream from it."""

import contextlib
import itertools
import json
import os
import re
import signal
import threading
import time
import urllib.request

import pytest

from lab import processes
from lab.manager import ApiError
from lab.wait import DeadlineExceeded, holds_for, wait_until
from world import wait_agents, wait_rejoined, wait_writes

SETTINGS = {"RejoinDropsWrites": True, "RecoveryPeriodBlockSeconds": 1}

# What the journal says, in this order.
SWITCHOVER = ["planned switchover from", "No PreFailoverProcesses", "stands clear", "write a checkpoint on",
              "is about to be stopped", "in order: what is open there", "has received the shutdown", "ms: promote 127",
              "done in .*: promote 127", " leads, ", "No PostFailoverProcesses", "follows 127", "start 127.* as a standby of",
              "streams from", "switchover complete"]
FAILOVER = ["will handle DeadPrimary", "No PreFailoverProcesses", "its agent keeps it so", "chose 127", "ms: promote 127",
            "done in .*: promote 127", "it accepts writes", "No PostFailoverProcesses", "follows 127", "streams from",
            "is complete"]
# Between these something changes on a server; the others are there with -m slow.
SWITCHOVER_DEEDS = ["stands clear", "is about to be stopped", "in order: what is open there", "ms: promote 127", " leads, ",
                    "switchover complete"]
FAILOVER_DEEDS = ["will handle DeadPrimary", "ms: promote 127", "it accepts writes", "is complete"]


class Moment:
    """Acts at once, in a thread of its own, when `happens()` is true for the first time."""

    def __init__(self, happens, act, deadline_s=30):
        self.happens, self.act, self.deadline_s, self.seen = happens, act, deadline_s, False
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        with contextlib.suppress(DeadlineExceeded):
            wait_until(self.happens, self.deadline_s, interval_s=0.0002)
            self.act()
            self.seen = True

    def wait(self, what):
        self._thread.join(self.deadline_s + 10)
        assert self.seen, f"never reached: {what}"


def written(path, words):
    """Whether a log has a journal's line with these words (a regular expression), after all that is in it now."""
    offset, pattern = path.stat().st_size, re.compile(f"recovery .*{words}")

    def look():
        with open(path, encoding="utf-8", errors="replace") as log:
            log.seek(offset)
            return pattern.search(log.read())
    return look


REWIND, CLONE = ["prepared", "rewinding", "rewound"], ["copying", "copied", "swapping", "swapped"]


def deed_phase(agent):
    """How far the rewind or clone is that an agent has on disk; None: none is under way."""
    for path in (agent.state / "deeds").glob("*/deed.json"):
        with contextlib.suppress(OSError, ValueError):
            return json.loads(path.read_text(encoding="utf-8"))["phase"]
    return None


def reached(agent, phase):
    """Whether the phase is on disk, or a later one, or the deed has just ended: some last for less than a millisecond."""
    after = next(phases[phases.index(phase):] for phases in (REWIND, CLONE) if phase in phases)
    began = threading.Event()

    def look():
        now = deed_phase(agent)
        if now:
            began.set()
        return now in after or (began.is_set() and not now)
    return look


def programs(name, word):
    """Ids of the running programs of that name which have `word` among their arguments."""
    found = []
    for entry in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            if os.path.basename(os.readlink(f"/proc/{entry}/exe")).startswith(name):
                with open(f"/proc/{entry}/cmdline", "rb") as line:
                    if str(word).encode() in line.read():
                        found.append(int(entry))
    return found


def server_processes(node, word):
    found = []
    for pid in node.pids():
        with contextlib.suppress(OSError), open(f"/proc/{pid}/cmdline", "rb") as line:
            if word.encode() in line.read():
                found.append(pid)
    return found


class Scene:
    """A guarded cluster that is written to, and what must hold after each kill. Synchronous, so that a row that was acknowledged
    is never lost, however late whatever was sent is read."""

    def __init__(self, world, synchronous=True, config=None):
        self.cluster, self.manager, self.agents = world.guarded(config={**SETTINGS, **(config or {})})
        for node in self.cluster if synchronous else []:
            node.set("synchronous_standby_names", "ANY 1 (n1, n2, n3)")
        self.writer, self.witnesses = world.writer(self.cluster), world.witnesses(self.cluster)
        self.began = time.monotonic()

    def primary(self):
        self.began = time.monotonic()
        return self.cluster.primary()

    def switchover(self, to=None):
        """Asks for one, and does not wait for its end. Whoever is asked may be killed."""
        def ask():
            with contextlib.suppress(Exception):
                self.manager.switchover(self.manager.clusters()[0], to)
        asked = threading.Thread(target=ask, daemon=True)
        asked.start()
        return asked

    def reinit(self, node):
        """Asks for a new copy. Whoever is asked may be killed before it has answered."""
        with contextlib.suppress(OSError):
            self.manager.get(f"v2/instances/{node.host}/{node.port}/reinit")

    def hurry(self, node):
        """What an operator does who does not wait for the next try."""
        def asked():
            try:
                self.manager.get(f"v2/instances/{node.host}/{node.port}/rejoin")
                return True
            except ApiError as error:
                return "nothing to do" in error.message or "already" in error.message
        wait_until(lambda: self.manager.agents()[node.port]["Connected"] and asked(), 15, f"{node} is brought back")

    def crash(self, node, diverged=False):
        """Kills a primary; diverged: after commits that no standby has got."""
        if diverged:
            processes.send(server_processes(node, "walsender"), signal.SIGSTOP)
            first = 900000000 + int(time.monotonic() * 1000) % 100000000
            node.sql("SET synchronous_commit = local; "
                     f"INSERT INTO ledger SELECT {first} + g, 'unseen' FROM generate_series(1, 50) g", database="app")
        node.kill9()

    def whole(self):
        """Waits for the end of it all; the one primary."""
        wait_writes(self.writer, deadline_s=30)
        primary = wait_until(self.cluster.primary, 30, "there is one primary")
        others = [node for node in self.cluster if node is not primary]
        for node in others:
            wait_rejoined(self.manager, node, primary)
        wait_agents(self.manager, self.cluster, deadline_s=30)
        wait_until(lambda: all(r["RecoveryEndTimestamp"] for r in self.manager.recoveries()), 20, "no recovery is open")
        assert self.cluster.primary() is primary
        for node in others:
            assert not self.witnesses.two_primaries_s(node, primary, self.began), node
        acknowledged = {number for number, _ in self.writer.acknowledged}
        assert acknowledged & set(self.writer.lost(primary.rows())) == set()
        self.manager.ack_all()
        wait_until(self.cluster.caught_up, 15, "the standbys have everything")
        return primary


def parts(steps, deeds):
    return pytest.mark.parametrize("steps", [deeds, pytest.param([s for s in steps if s not in deeds], marks=pytest.mark.slow)],
                                   ids=["deeds", "words"])


@parts(SWITCHOVER, SWITCHOVER_DEEDS)
def test_scenario_88_the_manager_in_a_switchover(world, steps):
    scene = Scene(world)
    for step in steps:
        old = scene.primary()
        moment = Moment(written(scene.manager.log, step), scene.manager.kill9)
        asked = scene.switchover()
        moment.wait(step)
        asked.join(10)
        scene.manager.start()
        new = scene.whole()
        if step in SWITCHOVER[SWITCHOVER.index("done in .*: promote 127"):]:
            assert new is not old, step
        if step in SWITCHOVER[:2]:
            assert new is old, step


@parts(FAILOVER, FAILOVER_DEEDS)
def test_scenario_88_the_manager_in_a_failover(world, steps):
    scene = Scene(world)
    for step in steps:
        old = scene.primary()
        moment = Moment(written(scene.manager.log, step), scene.manager.kill9)
        scene.crash(old)
        moment.wait(step)
        scene.manager.start()
        assert scene.whole() is not old, step


@parts(SWITCHOVER, SWITCHOVER_DEEDS[1:5])
def test_scenario_88_an_agent_in_a_switchover(world, steps):
    """That of the old primary, then that of the new one."""
    scene = Scene(world)
    for step, whose in itertools.product(steps, ["old", "new"]):
        old = scene.primary()
        new = next(node for node in scene.cluster if node is not old)
        agent = scene.agents[{"old": old, "new": new}[whose].name]
        moment = Moment(written(scene.manager.log, step), agent.kill9)
        asked = scene.switchover(new)
        moment.wait(f"{step}, agent of the {whose} primary")
        agent.start()
        asked.join(30)
        scene.whole()


@parts(FAILOVER, FAILOVER_DEEDS[1:3])
def test_scenario_88_agents_in_a_failover(world, steps):
    """That of the dead primary, then those of all others at once."""
    scene = Scene(world)
    for step, whose in itertools.product(steps, ["old", "others"]):
        old = scene.primary()
        killed = [scene.agents[node.name] for node in scene.cluster if (node is old) == (whose == "old")]
        moment = Moment(written(scene.manager.log, step), lambda killed=killed: [agent.kill9() for agent in killed])
        scene.crash(old)
        moment.wait(f"{step}, agents of {whose}")
        for agent in killed:
            agent.start()
        assert scene.whole() is not old, step


def refuses_to_start(node):
    """Somebody starts it by hand: the server itself refuses that."""
    before = len(node.log_text())
    node.spawn()
    wait_until(lambda: "FATAL" in node.log_text()[before:], 10, f"{node} refuses to start")
    wait_until(lambda: not node.alive(), 10, f"{node} has ended")
    assert "invalid permissions" in node.log_text()[before:]


def test_scenario_79_88_an_agent_in_a_rewind(world):
    """Scenario 79: pg_rewind is killed halfway, too. Nobody starts that directory until it is whole again."""
    scene = Scene(world)
    for phase, halfway in [("prepared", False), ("rewinding", False), ("rewinding", True), ("rewound", False)]:
        old = scene.primary()
        agent = scene.agents[old.name]

        def end(halfway=halfway, old=old, agent=agent):
            pids = wait_until(lambda: programs("pg_rewind", old.data), 5, "pg_rewind runs", 0.0002) if halfway else []
            if halfway:
                wait_until(lambda: written_by(pids[0]) > 100_000, 5, "it has written something", 0.0002)
                processes.send(pids, signal.SIGSTOP)
            agent.kill9()
            processes.send(pids, signal.SIGKILL)
        moment = Moment(reached(agent, phase), end)
        scene.crash(old, diverged=True)
        moment.wait(phase)
        if halfway:
            refuses_to_start(old)
        agent.start()
        if halfway:
            wait_until(lambda old=old: scene.manager.agents()[old.port]["Quarantine"], 4, "its agent says so", 0.002)
            holds_for(lambda old=old: not old.alive(), 1, "nobody starts it")
        scene.hurry(old)
        assert scene.whole() is not old, phase
        wait_until(lambda agent=agent: deed_phase(agent) is None, 15, "nothing is left of it")


def written_by(pid):
    with open(f"/proc/{pid}/io", encoding="ascii") as io:
        return int(re.search(r"^wchar: (\d+)", io.read(), re.MULTILINE)[1])


def job_ends(manager):
    """The last event of each job from now on, as the stream tells them; a list that grows."""
    stream = urllib.request.urlopen(manager.url + "/api/v2/events", timeout=60)
    ends = []

    def read():
        with contextlib.suppress(OSError, ValueError):
            for line in stream:
                event = json.loads(line[5:]) if line.startswith(b"data:") else {}
                if event.get("ended"):
                    ends.append(event)
    threading.Thread(target=read, daemon=True).start()
    return ends


def test_scenario_88_an_agent_in_a_clone(world):
    scene = Scene(world)
    node, ends = scene.cluster["n3"], job_ends(scene.manager)
    for phase in CLONE:
        primary = scene.primary()
        moment = Moment(reached(scene.agents["n3"], phase), scene.agents["n3"].kill9)
        scene.reinit(node)
        moment.wait(phase)
        scene.agents["n3"].start()
        if phase != "copying":  # otherwise by itself
            scene.hurry(node)
        assert scene.whole() is primary, phase
        wait_until(lambda: deed_phase(scene.agents["n3"]) is None, 15, "nothing is left of it")
        if phase == "copying":
            # An agent that took a new connection in the middle cannot be heard on the old one.
            assert ends[0]["outcome"] == "failed" and ends[-1]["outcome"] in ("done", "unknown"), ends
            assert scene.manager.agents()[node.port]["LastJob"]["Outcome"] == ends[-1]["outcome"]


def test_scenario_88_the_manager_in_a_rewind_and_in_a_clone(world):
    scene = Scene(world)
    for phase in ["rewinding", "rewound", "copying", "swapped"]:
        old = scene.primary()
        node = old if phase.startswith("rew") else next(n for n in scene.cluster if n is not old)
        agent = scene.agents[node.name]
        moment = Moment(reached(agent, phase), scene.manager.kill9)
        if node is old:
            scene.crash(old, diverged=True)
        else:
            scene.reinit(node)
        moment.wait(phase)
        scene.manager.start()
        assert (scene.whole() is old) == (node is not old), phase


def test_scenario_80_no_rewind_before_the_first_checkpoint(world):
    """Scenario 80: until the new primary has ended its first checkpoint, its control file names the old timeline, and pg_rewind
    of PostgreSQL 15 would find nothing to do."""
    scene = Scene(world)
    old = scene.primary()
    checkpointers = [pid for node in scene.cluster if node is not old for pid in server_processes(node, "checkpointer")]
    processes.send(checkpointers, signal.SIGSTOP)
    scene.crash(old, diverged=True)
    try:
        wait_writes(scene.writer, deadline_s=20)
        wait_until(lambda: scene.manager.rejoins().get(old.port), 20, "it is looked at")
        holds_for(lambda: deed_phase(scene.agents[old.name]) != "rewinding" and not old.alive(), 2.5, "it is not rewound")
    finally:
        processes.send(checkpointers, signal.SIGCONT)
    new = scene.whole()
    assert new is not old and old.timeline() == new.timeline()
    assert "rewind" in scene.agents[old.name].log_text()


def test_scenario_82_an_unfinished_clone_is_no_candidate(world):
    """Scenario 82: the one that an operator prefers is being copied when the primary dies: another one is promoted, and it comes
    back below that, also where the former primary is back at once."""
    scene = Scene(world, synchronous=False, config={"CloneMaximumRateKBps": 2048})
    old, copied, other = scene.primary(), scene.cluster["n2"], scene.cluster["n3"]
    scene.manager.get(f"register-candidate/{copied.host}/{copied.port}/prefer")
    scene.reinit(copied)
    wait_until(lambda: deed_phase(scene.agents["n2"]) == "copying", 20, "the copy is under way", 0.002)
    scene.manager.config["CloneMaximumRateKBps"] = 0
    scene.manager.write_config()
    scene.manager.hang_up()
    before = scene.writer.stop()
    wait_until(lambda: other.received_lsn() >= old.received_lsn(), 10, f"{other} has everything")
    scene.crash(old)
    wait_until(lambda: other.is_primary(), 20, f"{other} leads")
    scene.writer = world.writer(scene.cluster, first_id=1000000)
    assert scene.whole() is other
    assert before.lost(other.rows()) == []


def test_scenario_85_the_primary_is_gone_in_a_switchover(world):
    """Scenario 85: server and agent of the old primary die before or after its shutdown checkpoint, and do not come back for
    now: one successor, soon, and no acknowledged row is lost."""
    scene = Scene(world)
    for words in ["is about to be stopped", "in order: what is open there"]:
        old = scene.primary()
        new = next(node for node in scene.cluster if node is not old)

        def gone(old=old):
            scene.agents[old.name].kill9()
            scene.crash(old)
        moment = Moment(written(scene.manager.log, words), gone)
        asked = scene.switchover(new)
        moment.wait(words)
        wait_writes(scene.writer, deadline_s=20)
        asked.join(30)
        assert scene.writer.outage_around(scene.began) < 6.0
        assert not old.alive() and scene.cluster.primary() is not old
        scene.agents[old.name].start()
        assert scene.whole() is not old
