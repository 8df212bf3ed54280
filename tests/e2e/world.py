"""What a test stands on: servers, managers and writers that end with the test."""

import contextlib
import os
import pathlib
import shutil
import tempfile
import time

import pytest

from lab import agent as agents
from lab import disk, network, pgbouncer, postgres
from lab.cluster import Cluster
from lab.commits import Witnesses
from lab.manager import Manager, free_port
from lab.wait import holds_for, wait_until
from lab.writer import Writer

PORTS = int(os.environ.get("BATON_E2E_PORTS", "500"))
# Processes of pytest-xdist are called gw0, gw1 and so on: each has ports of its own.
FIRST_PORT = int(os.environ.get("BATON_E2E_PORT", "25400")) + PORTS * int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:])


def fast_directory():
    """Where the servers' files go: memory, where there is plenty of it, since nothing here outlives its test."""
    if os.environ.get("BATON_E2E_DIR"):
        return os.environ["BATON_E2E_DIR"]
    with contextlib.suppress(OSError):
        room = os.statvfs("/dev/shm")
        if room.f_bavail * room.f_frsize > 4 << 30 and os.access("/dev/shm", os.W_OK):
            return "/dev/shm"
    return "/tmp"


class World:
    """Makes things and takes them down in the reverse order."""

    _next_port = FIRST_PORT

    def __init__(self):
        self.home = pathlib.Path(tempfile.mkdtemp(prefix="bt-", dir=fast_directory()))
        self.home.chmod(0o755)
        self.clusters, self.managers, self.agents, self._ending = [], [], [], contextlib.ExitStack()

    def close(self):
        try:
            self._ending.close()
        finally:
            shutil.rmtree(self.home, ignore_errors=True)

    def at_the_end(self, action):
        """After everything that is made later has ended."""
        self._ending.callback(action)

    def ports(self, count):
        """The first of `count` free ports in a row; never the same twice in a short time."""
        for _ in range(PORTS):
            base = World._next_port
            World._next_port += count
            if World._next_port > FIRST_PORT + PORTS - 20:
                World._next_port = FIRST_PORT
            with contextlib.suppress(OSError):
                if all(free_port(port, port) for port in range(base, base + count)):
                    return base
        raise OSError(f"no {count} free ports in a row from {FIRST_PORT} on")

    def cluster(self, nodes=3, topology="star", version=15, **options):
        try:
            postgres.bin_directory(version)
        except postgres.NotInstalled as missing:
            pytest.skip(str(missing))
        directory = self.home / f"c{len(list(self.home.iterdir()))}"
        cluster = Cluster.simple(directory, nodes, self.ports(nodes), topology, version, **options)
        self.clusters.append(cluster)
        self._ending.callback(cluster.down)
        return cluster.up()

    def manager(self, *clusters, start=True, config=None, **options):
        """A manager that may guess the ports of these clusters. Not yet told of any server."""
        ports = [str(node.port) for cluster in clusters for node in cluster]
        directory = self.home / f"m{len(self.managers)}"
        settings = {"DiscoveryPortCandidates": ports, **(config or {})}
        if clusters and clusters[0].hosts:
            options.setdefault("hosts_file", clusters[0].directory / "hosts")
        manager = Manager(directory, self.ports(1), {k: v for k, v in settings.items() if v is not None}, **options)
        self.managers.append(manager)
        self._ending.callback(manager.kill9)
        return manager.start() if start else manager

    def guarded(self, nodes=3, hosts=None, config=None, agent=None, lease=True, **options):
        """A cluster with an agent beside each server, a manager that hears them all, and the lease on. hosts: a network with
        a host for each server. Returns (cluster, manager, {name: agent})."""
        if hosts:
            options["node_options"] = {name: {"host": address, "namespace": hosts.namespace(name),
                                              **options.get("node_options", {}).get(name, {})}
                                       for name, address in hosts.addresses.items()}
        cluster = self.cluster(nodes, **options)
        port, peers = self.ports(1), self.ports(nodes)
        manager = self.manager(cluster, config={**agents.manager_settings(port), **(config or {})})
        manager.agents_address = f"{hosts.manager_address if hosts else '127.0.0.1'}:{port}"
        beside = agents.beside(cluster, [manager.agents_address], peers, **(agent or {}))
        for one in beside.values():
            self.guard(one)
        self._ending.callback(cluster.thaw)  # an agent with a write under way does not end before its disk answers
        self.watch(manager, cluster)
        wait_agents(manager, cluster, lease=lease)
        return cluster, manager, beside

    def pooled(self, nodes=3, hosts=None, config=None, databases=(postgres.APP_DATABASE,), **options):
        """As guarded(), with a PgBouncer before it that has an agent, too. Returns (cluster, manager, PgBouncer, its agent)."""
        if pgbouncer.available():
            pytest.skip(pgbouncer.available())
        pooler = pgbouncer.PgBouncer(self.home / "pb", self.ports(1), hosts.manager_address if hosts else "127.0.0.1", databases)
        cluster, manager, _ = self.guarded(nodes, hosts, {"Routers": [pooler.entry()], **(config or {})}, **options)
        self._ending.callback(pooler.kill9)
        pooler.start(cluster.primary())
        beside = self.guard(pgbouncer.PoolerAgent(pooler, [manager.agents_address]))
        wait_until(lambda: "guards no server" in manager.log_text(), 10, "the manager hears the pooler's agent")
        return cluster, manager, pooler, beside

    def guard_each(self, cluster, instance_of, config=None):
        """As guarded(), of servers that are there, with keys of each one's own. Returns (manager, {name: agent})."""
        port, peers = self.ports(1), self.ports(len(cluster.nodes))
        manager = self.manager(cluster, config={**agents.manager_settings(port), **(config or {})})
        beside = {node.name: self.guard(agents.Agent(node, [f"127.0.0.1:{port}"], peers + at, instance=instance_of(node)))
                  for at, node in enumerate(cluster)}
        self.watch(manager, cluster)
        wait_agents(manager, cluster)
        wait_ready_to_switch(manager)
        return manager, beside

    def guard(self, agent, start=True):
        self.agents.append(agent)
        self._ending.callback(agent.kill9)
        return agent.start() if start else agent

    def witnesses(self, cluster, **options):
        made = Witnesses(cluster, **options)
        self._ending.callback(made.stop)
        return made.start()

    def writer(self, cluster, **options):
        """A client of a cluster, or of a pooler."""
        writer = Writer(cluster.dsn(), **options)
        self._ending.callback(writer.stop)
        writer.start()
        wait_until(lambda: writer.count > 10, 10, "the client writes")
        return writer

    @staticmethod
    def disks(**held):
        """File systems of their own, {name: arguments of Disk}; for `disks` of a cluster."""
        reason = disk.available()
        if reason:
            pytest.skip(reason)
        return {name: disk.Disk(*how) for name, how in held.items()}

    def network(self, names):
        reason = network.available()
        if reason:
            pytest.skip(reason)
        made = network.Network(names)
        self._ending.callback(made.down)
        return made.up()

    def watched(self, nodes=3, topology="star", config=None, seed=None, **options):
        """A cluster and a manager that knows all of it and sees nothing wrong."""
        cluster = self.cluster(nodes, topology, **options)
        manager = self.manager(cluster, config=config)
        self.watch(manager, cluster, seed)
        return cluster, manager

    @staticmethod
    def watch(manager, cluster, seed=None):
        """Tells the manager of one server, where finding the others is part of the test, else of each."""
        for node in [cluster[seed]] if seed else cluster:
            manager.discover(node)
        settle(manager, cluster)


def settle(manager, cluster, deadline_s=15):
    """Waits until the manager sees the cluster as it is, whole and healthy."""
    def as_it_is():
        seen = manager.instances()
        for node in cluster:
            instance = seen.get(node.port)
            if not instance or not instance["IsLastCheckValid"]:
                return False
            upstream = cluster[node.spec.upstream].port if node.spec.upstream else 0
            if instance["MasterKey"]["Port"] != upstream:
                return False
            if upstream and not instance["Slave_IO_Running"]:
                return False
        return not manager.failures()
    wait_until(as_it_is, deadline_s, f"the manager sees {[n.key for n in cluster]} healthy", 0.1)


def wait_agents(manager, cluster, lease=True, deadline_s=20):
    """Waits until each server's agent is heard and says that it runs, and until the lease is what it should be."""
    def heard():
        seen = manager.agents()
        if not all(n.port in seen and seen[n.port]["Connected"] and seen[n.port]["State"] == "running" for n in cluster):
            return False
        primary = seen[cluster.primary().port]["Lease"]
        others = len(cluster.nodes) - 1
        return not lease or (primary["On"] and primary["HeldBy"] == "heartbeat" and len(primary["Promotable"]) == others)
    wait_until(heard, deadline_s, f"the agents of {[n.key for n in cluster]} are heard", 0.1)


def obstacles(manager, to=None):
    """What hinders a switchover now."""
    query = f"&to={to.key}" if to is not None else ""
    plan = manager.get(f"v2/clusters/{manager.clusters()[0]}/switchover?dry-run=true{query}")
    return plan["data"]["Obstacles"]


def wait_ready_to_switch(manager, to=None):
    """Just after the agents' first words a preflight may still find something that passes."""
    wait_until(lambda: not obstacles(manager, to), 15, "nothing hinders a switchover", 0.1)


def wait_rejoined(manager, node, upstream, deadline_s=60):
    """Waits until a former primary streams again, and the manager and its agent see nothing wrong with it."""
    wait_follows(node, upstream, deadline_s)
    wait_until(lambda: manager.agents()[node.port]["Hold"] == "none", 10, f"nothing holds {node}", 0.1)
    wait_until(lambda: not manager.failures(), 15, "the manager sees nothing wrong", 0.1)


def wait_recovered(manager, count=1, deadline_s=20):
    """The newest recovery, once `count` of them have ended."""
    ended = wait_until(lambda: len(manager.finished_recoveries()) >= count and manager.finished_recoveries(), deadline_s,
                       f"{count} recoveries have ended", 0.05)
    return ended[0]


def synchronous(cluster):
    """Every commit waits for one standby, whoever leads."""
    for node in cluster:
        node.set("synchronous_standby_names", "ANY 1 (n1, n2, n3)")
    primary = cluster.primary()
    wait_until(lambda: primary.value("SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'quorum'") == 2, 10,
               "both are synchronous")


def successor_of(recovery, cluster):
    port = recovery["SuccessorKey"]["Port"]
    assert port, f"nobody was promoted: {recovery['AllErrors']}"
    return next(node for node in cluster if node.port == port)


def wait_follows(node, upstream, deadline_s=15):
    wait_until(lambda: node.streams_from_node(upstream), deadline_s, f"{node} streams from {upstream}")


def no_recovery_for(manager, seconds, cluster=None, primary=None):
    """Nothing is recovered, nobody else is promoted, for so long."""
    def quiet():
        if manager.recoveries():
            return False
        others = [n for n in cluster if n is not primary] if cluster else []
        for node in others:
            with contextlib.suppress(Exception):
                if node.alive() and node.is_primary():
                    return False
        return True
    holds_for(quiet, seconds, "no recovery and no promotion", 0.2)


def wait_writes(writer, moment=None, rows=20, deadline_s=15):
    moment = moment or time.monotonic()
    wait_until(lambda: writer.acknowledged_after(moment) >= rows, deadline_s, "the client writes again", 0.01)


def codes(manager, node):
    return manager.analysis().get(node.port, set())


def wait_code(manager, node, code, deadline_s=15):
    wait_until(lambda: code in codes(manager, node), deadline_s, f"{code} on {node}", 0.05)


def wait_log(node, text, deadline_s=15, after=0):
    """The moment at which a server logs something; `after` is a length of the log."""
    wait_until(lambda: text in node.log_text()[after:], deadline_s, f"{node} logs {text!r}", 0.0005)
    return time.monotonic()
