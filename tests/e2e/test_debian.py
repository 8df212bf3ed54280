"""Clusters as Debian sets them up: pg_ctlcluster starts them, and their configuration lies in /etc/postgresql, not in the data
directory. Each test makes clusters of its own name and drops them."""

import hashlib
import os
import pathlib
import shutil
import signal
import subprocess

import pytest

from lab import postgres, processes
from lab.cluster import Cluster
from lab.wait import wait_until
from world import successor_of, wait_agents, wait_recovered, wait_rejoined, wait_writes

VERSION = 15


def why_not():
    if os.geteuid() != 0:
        return "only root may make clusters in /etc/postgresql"
    if not shutil.which("pg_createcluster"):
        return "postgresql-common is not installed"
    if not pathlib.Path(f"/usr/lib/postgresql/{VERSION}/bin/postgres").exists():
        return f"postgresql-{VERSION} is not installed"
    return ""


pytestmark = pytest.mark.skipif(bool(why_not()), reason=why_not())


def names_of(cluster):
    """What pg_ctlcluster calls each server: nobody else's cluster has such a name."""
    return {node.name: f"baton_lab_{node.port}" for node in cluster}


def configuration_of(name):
    return pathlib.Path(f"/etc/postgresql/{VERSION}/{name}")


def adopt(node, name):
    """Debian's tool takes over a data directory: its configuration files go to /etc/postgresql."""
    subprocess.run(["pg_createcluster", f"--datadir={node.data}", f"--port={node.port}", "--start-conf=manual",
                    f"--socketdir={node.cluster.sockets}", f"--logfile={node.log}", str(VERSION), name],
                   check=True, capture_output=True, cwd="/")


def control(name, action):
    postgres.run(["/usr/bin/pg_ctlcluster", "--skip-systemctl-redirect", str(VERSION), name, action])


def drop(cluster):
    for node in cluster:
        processes.kill_all(node.data, node.postmaster())
        name = names_of(cluster)[node.name]
        if configuration_of(name).exists():
            subprocess.run(["pg_dropcluster", str(VERSION), name], capture_output=True, check=False, cwd="/")
        shutil.rmtree(configuration_of(name), ignore_errors=True)


def fingerprint(name):
    files = sorted(p for p in configuration_of(name).rglob("*") if p.is_file() and not p.is_symlink())
    return {str(p): (hashlib.sha256(p.read_bytes()).hexdigest(), p.stat().st_uid, p.stat().st_mode) for p in files}


@pytest.fixture
def debian(world):
    """make(): (cluster, manager, agents, names) of servers that pg_ctlcluster controls, with the lease on."""
    made = []

    def make(nodes=2, config=None):
        cluster = Cluster.simple(world.home / "d", nodes, world.ports(nodes), version=VERSION)
        world.clusters.append(cluster)
        made.append(cluster)
        cluster.prepare()
        names = names_of(cluster)
        for node in cluster:
            (cluster.directory / node.name).mkdir(mode=0o755)
            postgres.own(cluster.directory / node.name)
            cluster._copy_template(node)
            if node.spec.upstream:
                node.write_standby_files(cluster[node.spec.upstream])
            adopt(node, names[node.name])
            control(names[node.name], "start")
            wait_until(lambda n=node: n.sql("SELECT 1"), 20, f"{node} is up")
            for standby in cluster.standbys_of(node):
                standby.ensure_slot_on(node)
        wait_until(cluster.all_streaming, 20, "the standbys stream")
        manager, beside = world.guard_each(cluster, lambda node: {
            "Control": "pg_ctlcluster", "ClusterName": f"{VERSION}/{names[node.name]}", "LogFile": ""}, config)
        return cluster, manager, beside, names
    yield make
    for agent in world.agents:
        agent.kill9()
    for cluster in made:
        drop(cluster)


def as_debian_has_it(node, name):
    """It runs with the configuration in /etc, and none lies in its data directory."""
    assert node.value("SHOW config_file") == str(configuration_of(name) / "postgresql.conf")
    assert node.value("SHOW hba_file") == str(configuration_of(name) / "pg_hba.conf")
    assert not (node.data / "postgresql.conf").exists() and not (node.data / "pg_hba.conf").exists()


def test_switchover_rewind_and_clone_with_pg_ctlcluster(world, debian):
    cluster, manager, beside, names = debian(config={"RejoinDropsWrites": True, "RecoveryPeriodBlockSeconds": 1})
    n1, n2 = cluster["n1"], cluster["n2"]
    before = {name: fingerprint(name) for name in names.values()}
    writer = world.writer(cluster)
    # Stopped and started in order.
    manager.switchover(manager.clusters()[0], n2)
    wait_rejoined(manager, n1, n2)
    wait_agents(manager, cluster)
    # It dies with commits that nobody else has, and is rewound.
    wait_writes(writer)
    writer.stop()
    wait_until(lambda: cluster.caught_up(n2), 10, "n1 has everything")
    processes.send([p for p in n2.pids() if b"walsender" in pathlib.Path(f"/proc/{p}/cmdline").read_bytes()], signal.SIGSTOP)
    n2.sql("INSERT INTO ledger SELECT 900000000 + g, 'unseen' FROM generate_series(1, 50) g", database="app")
    n2.kill9()
    assert successor_of(wait_recovered(manager, 2), cluster) is n1
    wait_rejoined(manager, n2, n1)
    assert not any(number > 900000000 for number in n2.rows())
    wait_until(lambda: manager.rejoins()[n2.port]["State"] == "done", 10, "the manager is done with it")
    assert manager.rejoins()[n2.port]["Way"] == "rewind"
    # Made anew.
    inode = n2.data.stat().st_ino
    manager.get(f"v2/instances/{n2.host}/{n2.port}/reinit")
    wait_until(lambda: n2.data.stat().st_ino != inode, 60, "it has a new directory")
    wait_rejoined(manager, n2, n1)
    assert writer.lost(n1.rows()) == [] and writer.lost(n2.rows()) == []
    for node in cluster:
        as_debian_has_it(node, names[node.name])
    assert {name: fingerprint(name) for name in names.values()} == before
