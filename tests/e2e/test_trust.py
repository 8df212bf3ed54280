"""Who is believed: certificates, tokens, epochs and numbers between agents and managers, and clocks that jump."""

import contextlib
import re
import shutil
import subprocess

import pytest

import trust
from lab import manager as managers
from lab import postgres
from lab.agent import Agent
from lab.wait import holds_for, wait_until
from trust import Authority, BareAgent, FakeAgent, FakeManager, JumpingClock, guarded, status, wait_jumps, wait_text
from world import (no_recovery_for, successor_of, wait_agents, wait_code, wait_recovered, wait_rejoined, wait_writes)

TOKEN = "lab-agents-token"
DROPS = {"RejoinDropsWrites": True}


@pytest.fixture
def authority(world):
    return Authority(world.home / "ca")


def doctor(manager, *words):
    done = subprocess.run([str(managers.binary()), "doctor", "-config", str(manager.config_file), *words],
                          capture_output=True, text=True, timeout=60)
    return done.stdout + done.stderr


def sessions(manager):
    return {port: seen["Sessions"] for port, seen in manager.agents().items()}


def lost_long_before(writer, node, killed_at):
    """Rows that were lost and not acknowledged about when it was killed: what a busy host had not sent yet is lost without
    synchronous standbys, and no matter here."""
    at = dict(writer.acknowledged)
    return [number for number in writer.lost(node.rows()) if abs(at[number] - killed_at) > 0.25]


def started(node):
    with node.connect().cursor() as cursor:
        cursor.execute("SELECT pg_postmaster_start_time()")
        return cursor.fetchone()[0]


def lease_is_on(manager, node):
    seen = manager.agents()[node.port]
    return seen["Connected"] and seen["Lease"]["On"] and seen["Lease"]["HeldBy"] != ""


class TestMutualTls:
    def test_a_switchover_a_new_token_and_a_failover(self, world, authority):
        """All over certificates, of which one ends soon. What both sides ask for changes while they run: no session ends and
        the lease holds."""
        cluster, manager, agents = guarded(world, 3, authority.of_agent, {**DROPS, **authority.of_manager()}, TOKEN)
        wait_agents(manager, cluster)
        writer = world.writer(cluster)

        manager.switchover(manager.clusters()[0], cluster["n2"])
        wait_rejoined(manager, cluster["n1"], cluster["n2"])
        wait_rejoined(manager, cluster["n3"], cluster["n2"])
        wait_agents(manager, cluster)

        before = sessions(manager)
        authority.host("n3", days=trust.SOON_DAYS)
        manager.config["AgentToken"] = "another-token"
        manager.write_config()
        manager.hang_up()
        wait_text(manager, "configuration read again: changed: AgentToken")
        for one in agents.values():
            one.config["Token"] = "another-token"
            one.config["HealthListenAddress"] = "127.0.0.1:0"
            one.write_files()
            one.hang_up()
            wait_text(one, "configuration read again: changed: Token; in force after a restart of the agent: "
                           "HealthListenAddress")
            holds_for(lambda: lease_is_on(manager, cluster["n2"]), 0.3, "the lease holds")
        wait_code(manager, cluster["n3"], "CertificateExpires", 15)
        assert sessions(manager) == before
        for file in ("manager", "n1"):
            assert f"{file}.crt" not in manager.log_text() + agents["n1"].log_text()
        wait_text(agents["n3"], "make a new one (baton certs)")
        told = doctor(manager)
        assert re.search(r"certificate of its host agent is good for [45] d more", told), told

        killed_at = writer.note_kill(cluster["n2"].kill9())
        wait_writes(writer, killed_at)
        new = successor_of(wait_recovered(manager, 2), cluster)
        wait_rejoined(manager, cluster["n2"], new)
        agents["n2"].kill9()  # it comes in with the new token
        agents["n2"].start()
        wait_agents(manager, cluster)
        writer.stop()
        assert lost_long_before(writer, new, killed_at) == []
        everything = manager.log_text() + "".join(one.log_text() for one in agents.values())
        assert TOKEN not in everything and "another-token" not in everything

    def test_scenario_52_certificates_expire(self, world, authority):
        """Of all agents at once, and unnoticed. Sessions live on. When the manager comes back it refuses them, and says so;
        nobody is stopped for that: agents believe each other, and vouch. New certificates are found by themselves."""
        cluster, manager, agents = guarded(world, 2, authority.of_agent, authority.of_manager())
        wait_agents(manager, cluster)
        before = sessions(manager)
        writer = world.writer(cluster)
        for name, one in agents.items():
            authority.expired(name)
            one.hang_up()
            wait_text(one, f"{name}.crt has expired at")
        for node in cluster:
            wait_code(manager, node, "CertificateExpires")
        assert sessions(manager) == before and lease_is_on(manager, cluster["n1"])

        manager.kill9()
        manager.start()
        wait_text(manager, "its certificate is not accepted: certificate has expired (O=Baton, OU=agents, CN=n1, signed by")
        for name, one in agents.items():
            wait_text(one, f"it does not accept our certificate (CertFile {authority.directory}/{name}.crt): it has expired")
        no_recovery_for(manager, 4, cluster, cluster["n1"])
        assert manager.agents() == {} or not any(a["Connected"] for a in manager.agents().values())
        agents["n1"].kill9()  # an agent that has just started is held up by nothing but the other's word
        agents["n1"].start()
        no_recovery_for(manager, 3, cluster, cluster["n1"])
        wait_writes(writer)

        for name in agents:
            authority.host(name)
        wait_agents(manager, cluster)
        writer.stop()
        assert writer.lost(cluster["n1"].rows()) == []
        assert writer.outage_around(0) < 1.5

    def test_a_manager_whose_certificate_expires_renews_it_as_it_runs(self, world, authority):
        settings = authority.of_manager()
        authority.expired("manager")
        manager = world.manager(config={**settings, "ServeAgentsHttp": True, "AgentsServerPort": f"127.0.0.1:{world.ports(1)}"})
        told = doctor(manager)
        assert "AgentSSLCertFile" in told and "has expired at" in told
        wait_text(manager, "AgentSSLCertFile")
        agent = self.bare(world, manager, "waits", authority.of_agent("waits"))
        wait_text(agent, "its certificate is not accepted: certificate has expired (O=Baton, OU=agents, CN=manager, signed by")
        wait_text(manager, "it does not accept our certificate (AgentSSLCertFile")
        authority.host("manager")
        wait_text(manager, "was read again")
        wait_text(agent, "connected")

    @staticmethod
    def bare(world, manager, name, settings):
        agent = BareAgent(world.home, name, manager.config["AgentsServerPort"], settings)
        return world.guard(agent)

    def test_everybody_else_is_refused_and_both_sides_say_why(self, world, authority):
        """The thing that is wrong, and what to do."""
        other = Authority(world.home / "other")
        port = world.ports(1)
        manager = world.manager(config={**authority.of_manager(), "ServeAgentsHttp": True, "AgentToken": TOKEN,
                                        "AgentsServerPort": f"127.0.0.1:{port}"})
        good = authority.of_agent("good")
        expired_certificate, expired_key = authority.expired("old")
        stranger = other.of_agent("stranger")
        cases = {
            "wrong-authority": ({**good, "CertFile": stranger["CertFile"], "KeyFile": stranger["KeyFile"]}, TOKEN,
                                "does not know the authority that signed it",
                                "CN=stranger"),
            "believes-another": ({**good, "CAFile": other.ca}, TOKEN,
                                 "it must be signed by an authority in CAFile",
                                 "the other side does not know the authority that signed it"),
            "no-certificate": ({**good, "CertFile": "", "KeyFile": ""}, TOKEN,
                               "it shows no client certificate (AgentsUseMutualTLS): set CertFile and KeyFile",
                               "it shows no client certificate (AgentsUseMutualTLS)"),
            "wrong-unit": (authority.of_agent("sales", unit="sales"), TOKEN,
                           "the organisational unit of its certificate (sales, of sales) is none of AgentSSLValidOUs: agents",
                           "is none of AgentSSLValidOUs"),
            "expired": ({**good, "CertFile": expired_certificate, "KeyFile": expired_key}, TOKEN,
                        "it has expired: make a new one",
                        "certificate has expired (O=Baton, OU=agents, CN=old, signed by"),
            "bad-token": (good, "a-guess", "Token or TokenFile of the agent and AgentToken must be the same",
                          "its token is not the manager's"),
            "empty-token": (good, "", "it shows no token, and AgentToken is set at the manager", "it shows no token"),
            "no-tls": ({"UseTLS": False}, TOKEN, "", "what comes from there is no TLS"),
        }
        started = {name: self.bare(world, manager, name, {**settings, "Token": token, "PeerListenAddress": "", "PeerAddress": ""})
                   for name, (settings, token, _, _) in cases.items()}
        for name, (_, _, there, here) in cases.items():
            wait_text(started[name], there or "manager")
            wait_text(manager, here)
        assert all(agent.running() for agent in started.values())
        assert not any("connected" in agent.log_text() for agent in started.values())
        assert "a-guess" not in manager.log_text() and TOKEN not in manager.log_text()
        told = self.bare(world, manager, "right", {**good, "Token": TOKEN})
        wait_text(told, ": connected")


class TestOldWords:
    """The agent's protocol, spoken by hand."""

    @pytest.fixture
    def by_hand(self, world):
        """A server with its agent, whose manager is a test."""
        cluster = world.cluster(1)
        manager = FakeManager()
        agent = world.guard(Agent(cluster["n1"], [manager.address], world.ports(1)))
        yield cluster["n1"], manager, agent
        manager.close()

    @staticmethod
    def order(node, number, epoch, verb="control-data", **more):
        return {"kind": "order", "id": number, "epoch": epoch, "instance": node.key, "verb": verb, "deadline_ms": 5000, **more}

    @staticmethod
    def done(session, number):
        return session.hear_a("done", lambda frame: frame["order"] == number)

    def test_an_agent_obeys_nobody_of_the_past(self, by_hand):
        """Old epochs, orders that come again, a recorded session: refused, and in its log. Its server runs on."""
        node, manager, agent = by_hand
        session = manager.welcome(5)
        began = started(node)
        session.send(self.order(node, 5000001, 5))
        assert "error" not in self.done(session, 5000001)
        refused = {
            "the same again": self.order(node, 5000001, 5),
            "an older one": self.order(node, 5000000, 5, "fence"),
            "of an older epoch": self.order(node, 5000009, 4, "fence"),
            "of somebody else's server": {**self.order(node, 5000002, 5, "stop"), "instance": "elsewhere:5432"},
        }
        for what, order in refused.items():
            session.send(order)
            error = self.done(session, order["id"])["error"]
            assert error["kind"] in ("conflict", "not-found"), what
        for text in ("order 5000001 was heard before", "order 5000000 was heard before, or is older than 5000001",
                     "the order is of epoch 4, and a manager of epoch 5 has been heard since",
                     "order 5000002 (stop elsewhere:5432) refused: elsewhere:5432: this agent does not guard it"):
            wait_text(agent, text)
        session.send(self.order(node, 6000001, 6))
        assert "error" not in self.done(session, 6000001)
        session.send(self.order(node, 5000002, 5, "fence"))
        assert self.done(session, 5000002)["error"]["kind"] == "conflict"
        session.send({"kind": "answer", "seq": 10**9, "sent_us": 1, "grants": [
            {"instance": node.key, "grant": {"epoch": 6, "number": 1, "on": True, "lease_ms": 300,
                                             "promotable": [{"key": "x:1", "agent_address": "127.0.0.1:1"}]}}]})
        session.close()

        # All that was said in that session, said again in the next one.
        session = manager.welcome(5)
        assert session.hello["epoch"] == 6
        wait_text(agent, "a manager's welcome of epoch 5 counts for nothing: epoch 6 has been heard since")
        beat = session.hear_a("beat")
        session.send({"kind": "answer", "seq": beat["seq"], "sent_us": beat["sent_us"], "grants": [
            {"instance": node.key, "grant": {"epoch": 5, "number": 9, "on": True, "lease_ms": 300, "promotable": [
                {"key": "x:1", "agent_address": "127.0.0.1:1"}]}}]})
        wait_text(agent, f"a grant for {node.key} of epoch 5 counts for nothing")
        for order in (self.order(node, 5000001, 5), self.order(node, 6000001, 6), self.order(node, 5000003, 5, "fence")):
            session.send(order)
            assert self.done(session, order["id"])["error"]["kind"] == "conflict"
        beat = session.hear_a("beat", lambda frame: frame["seq"] > beat["seq"] + 1)
        assert not beat["instances"][0]["lease"]["on"] and beat["instances"][0]["hold"] == "none"
        assert beat["epoch"] == 6
        assert node.alive() and started(node) == began

    def test_an_agent_bears_a_manager_that_talks_nonsense(self, by_hand):
        """Garbage, lines without end, half lines, frames of the wrong kind, epochs out of this world, silence: it says what
        came, and calls again."""
        node, manager, agent = by_hand
        began = started(node)
        for said, logged in (
            (b"\x00\xff garbage\n", "not JSON"),
            (b'{"kind":"order","id":1}\n', "epoch: is missing"),
            (b'{"kind":"welcome","protocol":1,"epoch":18446744073709551615}\n', "epoch: is higher than any epoch can be"),
            (b'{"kind":"hello","protocol":1}\n', "it is no manager"),
            (b"x" * (1024 * 1024 + 2), "it sent a line of more than 1048576 bytes"),
        ):
            session = manager.accept()
            with contextlib.suppress(ConnectionError):
                session.send_bytes(said)
            wait_text(agent, logged)
            session.close()
        manager.accept().send_bytes(b'{"kind":"welc')  # and no more
        wait_text(agent, "nothing came in time")
        session = manager.welcome(1)
        session.send_bytes(b'{"kind":"order","id":1000001,')
        session.close()
        session = manager.welcome(1)
        session.send(self.order(node, 1000001, 1))
        assert "error" not in self.done(session, 1000001)
        assert node.alive() and started(node) == began

    @pytest.fixture
    def manager(self, world):
        made = world.manager(config={"ServeAgentsHttp": True, "AgentToken": TOKEN,
                                     "AgentsServerPort": f"127.0.0.1:{world.ports(1)}"})
        made.agents_address = made.config["AgentsServerPort"]
        return made

    @pytest.fixture
    def call(self, manager):
        made = []

        def one(token=TOKEN):
            made.append(FakeAgent(manager.agents_address, token))
            return made[-1]
        yield one
        for agent in made:
            agent.close()

    def test_a_manager_believes_no_liar(self, manager, call):
        """Who guards what another one guards, comes twice, repeats itself, or talks nonsense."""
        honest = call()
        welcome = honest.hello("a1", "db1", [status("db1", 5432)])
        assert welcome["kind"] == "welcome"
        honest.beat(5, [status("db1", 5432)])
        honest.hear_a("answer")

        liar = call()
        refusal = liar.hello("a2", "db2", [status("db1", 5432)])
        assert "guards it already: look at Host and Port of both agents" in refusal["reason"]
        copy = call()
        assert "its StateDirectory was copied" in copy.hello("a1", "db2", [status("db2", 5433)])["reason"]
        sneak = call()
        assert sneak.hello("a3", "db3", [status("db3", 5434)])["kind"] == "welcome"
        sneak.beat(1, [status("db3", 5434), status("db1", 5432)])
        assert "guards it already" in sneak.ended()
        for text in ("127.0.0.1 (db2) is refused: db1:5432: the agent on db1", "its StateDirectory was copied",
                     "127.0.0.1 (db3) is refused: db1:5432: the agent on db1"):
            wait_text(manager, text)

        honest.beat(6, [status("db1", 5432)])
        assert honest.hear_a("answer", lambda frame: frame["seq"] == 6)
        honest.beat(6, [status("db1", 5432, state="down", hold="down")])
        assert "heartbeat 6 came after 6" in honest.ended()
        wait_text(manager, "heartbeat 6 came after 6: a repeated one counts for nothing")
        assert manager.agents()[5432]["State"] == "running"

        again = call()
        assert again.hello("a1", "db1", [status("db1", 5432)])["kind"] == "welcome"
        twice = call()
        assert twice.hello("a1", "db1", [status("db1", 5432)])["kind"] == "welcome"
        assert "replaced by a newer connection" in again.ended()
        twice.beat(1, [status("db1", 5432)])
        assert twice.hear_a("answer", lambda frame: frame["seq"] == 1)
        wait_until(lambda: manager.agents()[5432]["Connected"], 5, "it is seen")
        assert manager.agents()[5432]["State"] == "running"
        assert re.search(r"^baton_agents_refused_total 4\b", manager.raw("/metrics")[1], re.MULTILINE)

    def test_a_manager_bears_agents_that_talk_nonsense(self, manager, call):
        for said, told, logged in (
            (b"GET / HTTP/1.1\r\n\r\n", "not JSON", "no introduction: not JSON"),
            (b'{"kind":"beat","seq":1,"sent_us":1}\n', "an agent begins with hello", "an agent begins with hello"),
            (b'{"kind":"hello","protocol":1,"epoch":18446744073709551615}\n', "higher than any epoch",
             "epoch: is higher than any epoch can be"),
            (b"x" * (1024 * 1024 + 2), "", "it sent a line of more than 1048576 bytes"),
        ):
            agent = call()
            with contextlib.suppress(ConnectionError):
                agent.send_bytes(said)
            assert told in agent.ended()
            wait_text(manager, logged)
        silent, half = call(), call()
        half.send_bytes(b'{"kind":"hello",')
        for agent in (silent, half):
            assert "nothing came in time" in agent.ended()

        for said, told in ((b"garbage\n", "cannot understand it"),
                           (b'{"kind":"welcome","protocol":1,"epoch":1}\n', "not for a manager"),
                           (b'{"kind":"vouched","seq":1,"promised":true}\n', "not for a manager")):
            agent = call()
            assert agent.hello("b1", "db9", [status("db9", 5432)])["kind"] == "welcome"
            agent.send_bytes(said)
            assert told in agent.ended()
        agent = call()
        assert agent.hello("b1", "db9", [status("db9", 5432)])["kind"] == "welcome"
        agent.send({"kind": "done", "order": 77, "status": status("elsewhere", 1, state="down")})  # nobody asked for that
        agent.send({"kind": "progress", "order": 77, "job": {"verb": "clone"}})
        agent.beat(1, [status("db9", 5432)])
        assert agent.hear_a("answer")["seq"] == 1
        assert set(manager.agents()) == {5432}


class Drifting(Agent):
    """An agent, and all that it starts, by a wall clock that jumps."""

    clock = None

    def command_prefix(self):
        user = postgres.server_user()
        become = [] if user is None else ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--init-groups"]
        return [*become, "env", *(f"{name}={value}" for name, value in self.clock.environment.items())]


@pytest.mark.skipif(not JumpingClock.available(), reason="no libfaketime; run scripts/install-deps")
@pytest.mark.skipif(shutil.which("setpriv") is None, reason="no setpriv (util-linux)")
class TestClocks:
    def test_scenario_93_the_wall_clocks_jump(self, world):
        """By an hour or two every second, on all hosts: leases, heartbeats and looks go by clocks that do not. Then the primary
        dies in the midst of it."""
        clock = JumpingClock(world.home)
        world.at_the_end(clock.clean)
        kind = type("Drifting", (Drifting,), {"clock": clock})
        cluster, manager, agents = guarded(world, 3, lambda name: {}, DROPS, TOKEN, kind, environment=clock.environment)
        wait_agents(manager, cluster)
        began = {port: seen["Sessions"] for port, seen in manager.agents().items()}
        writer, witnesses = world.writer(cluster), world.witnesses(cluster)
        clock.start()
        try:
            steady = clock.jumps + 5
            holds_for(lambda: clock.jumps >= steady or lease_is_on(manager, cluster["n1"]), 5.5, "the lease holds", 0.2)
            no_recovery_for(manager, 1, cluster, cluster["n1"])
            assert sessions(manager) == began
            assert not any(word in one.log_text() for one in agents.values() for word in ("fence", "SIGSTOP", "lease"))
            stamps = set(re.findall(r"^\d{4}-\d\d-\d\d (\d\d)", manager.log_text() + agents["n1"].log_text(), re.MULTILINE))
            killed_at = writer.note_kill(cluster["n1"].kill9())
            wait_writes(writer, killed_at)
            new = successor_of(wait_recovered(manager), cluster)
            wait_rejoined(manager, cluster["n1"], new)
            wait_jumps(clock, 1)
            stamps |= set(re.findall(r"^\d{4}-\d\d-\d\d (\d\d)", manager.log_text(), re.MULTILINE))
            assert len(stamps) > 1, "the clock did jump"
            wait_agents(manager, cluster)
        finally:
            clock.stop()
        writer.stop()
        assert lost_long_before(writer, new, killed_at) == []
        assert writer.outage_around(killed_at) < 3.0
        assert witnesses.two_primaries_s(cluster["n1"], new) == 0
        assert len(manager.recoveries()) == 1
