"""The client: orchestrator's commands with their output and exit codes, and the modern forms."""

import json
import os
import subprocess

import pytest

from lab import manager as managers
from world import successor_of, wait_code, wait_recovered


@pytest.fixture(scope="module")
def trio(shared_world):
    return shared_world.watched(3)


def client(manager, *words, name=None, api=None):
    """Runs the binary, under another name when told; returns (exit status, stdout, stderr)."""
    program = managers.binary()
    if name:
        link = manager.directory / name
        if not link.exists():
            link.symlink_to(program)
        program = link
    done = subprocess.run([str(program), *map(str, words)], capture_output=True, text=True, timeout=60,
                          env={**os.environ, "ORCHESTRATOR_API": api or f"{manager.url}/api"})
    return done.returncode, done.stdout, done.stderr


def lines(*nodes):
    return "".join(f"{n.key}\n" for n in nodes)


class TestOldForms:
    """`baton -c` prints as orchestrator's own binary does, and under the name orchestrator-client as its script does."""

    @pytest.fixture(params=["baton", "orchestrator", "orchestrator-client"])
    def run(self, request, trio):
        _, manager = trio
        self.script = request.param == "orchestrator-client"
        name = None if request.param == "baton" else request.param
        return lambda command, *words: client(manager, "-c", command, *words, name=name)

    def test_reading(self, run, trio):
        n1, n2, n3 = cluster = list(trio[0])
        expected = [
            (("clusters",), lines(n1)), (("all-instances",), lines(*cluster)), (("all-clusters-masters",), lines(n1)),
            (("instance", "-i", n2.key), lines(n2)), (("which-master", "-i", n2.key), lines(n1)),
            (("which-master", "-i", n1.key), ":0\n" if self.script else ""), (("which-replicas", "-i", n1.key), lines(n2, n3)),
            (("which-cluster", "-i", n3.key), lines(n1)), (("which-cluster-instances", "-i", n3.key), lines(*cluster)),
            (("which-cluster-master", "-i", n3.key), lines(n1)), (("check-global-recoveries",),
             "enabled\n" if self.script else "OK: Global recoveries disabled: false\n"),
            (("is-replicating", "-i", n2.key), lines(n2)), (("downtimed",), ""), (("tags", "-i", n2.key), ""),
            (("discover", "-i", n3.key), lines(n3)), (("can-replicate-from", "-i", n3.key, "-d", n2.key), lines(n2)),
        ]
        for words, output in expected:
            assert run(*words)[:2] == (0, output), words

    def test_topology(self, run, trio):
        n1, n2, n3 = trio[0]
        status, out, _ = run("topology", "-i", n3.key)
        assert status == 0
        assert [line.split("[")[0].rstrip() for line in out.splitlines()] == [n1.key, f"+ {n2.key}", f"+ {n3.key}"]

    def test_writing(self, run, trio):
        n2 = trio[0]["n2"]
        assert run("begin-downtime", "-i", n2.key, "-o", "ops", "-r", "disk swap", "-u", "5m")[:2] == (0, lines(n2))
        assert run("downtimed")[1] == lines(n2)
        assert run("end-downtime", "-i", n2.key)[:2] == (0, lines(n2))
        assert run("tag", "-i", n2.key, "-t", "role=backup")[:2] == (0, lines(n2))
        assert run("tag-value", "-i", n2.key, "-t", "role")[:2] == (0, "backup\n")
        assert run("untag", "-i", n2.key, "-t", "role")[0] == 0
        off, on = ("disabled", "enabled") if self.script else (
            "OK: Orchestrator recoveries DISABLED globally", "OK: Orchestrator recoveries ENABLED globally")
        assert run("disable-global-recoveries")[:2] == (0, f"{off}\n")
        assert run("enable-global-recoveries")[:2] == (0, f"{on}\n")

    def test_errors(self, run):
        status, out, err = run("instance", "-i", "127.0.0.1:9")
        assert (status, out) == (1, "") and "Cannot read instance: 127.0.0.1:9" in err
        status, out, err = run("no-such-command")
        assert status == 1 and "no-such-command" in err
        status, _, err = run("ack-all-recoveries")
        assert status == 1 and err

    def test_replication_analysis_of_a_healthy_cluster(self, run):
        status, out, _ = run("replication-analysis")
        assert status == 0 and "DeadPrimary" not in out


class TestModernForms:
    def test_topology_and_clusters(self, trio):
        cluster, manager = trio
        status, out, _ = client(manager, "topology", cluster["n2"].key)
        assert status == 0 and all(n.key in out for n in cluster)
        assert "\x1b[" not in out, "no colour where nobody looks"
        status, out, _ = client(manager, "clusters")
        assert status == 0 and cluster["n1"].key in out

    def test_json(self, trio):
        cluster, manager = trio
        status, out, _ = client(manager, "clusters", "--json")
        assert status == 0 and cluster["n1"].key in json.dumps(json.loads(out))

    @pytest.mark.parametrize("shell", ["bash", "zsh"])
    def test_completion(self, trio, shell):
        status, out, _ = client(trio[1], "completion", shell)
        assert status == 0 and "topology" in out
        if shell == "bash":
            assert subprocess.run(["bash", "-n"], input=out, text=True).returncode == 0

    def test_several_addresses(self, trio):
        """ORCHESTRATOR_API with several addresses: the first that leads is used."""
        cluster, manager = trio
        status, out, _ = client(manager, "-c", "clusters", api=f"http://127.0.0.1:9/api {manager.url}/api")
        assert (status, out) == (0, lines(cluster["n1"]))

    def test_nobody_there(self, trio):
        status, out, err = client(trio[1], "clusters", api="http://127.0.0.1:9/api")
        assert status == 3 and out == "" and "127.0.0.1:9" in err

    def test_help_and_version(self, trio):
        for words in (["--help"], ["help"], ["--version"]):
            status, out, _ = client(trio[1], *words)
            assert status == 0 and out


class TestDoctor:
    def test_a_sound_cluster(self, trio):
        cluster, manager = trio
        status, out, err = client(manager, "doctor", "-config", manager.config_file, "-i", cluster["n1"].key, "--json")
        assert status in (0, 1), err
        assert json.loads(out)

    def test_a_missing_grant_is_named_with_its_remedy(self, world):
        cluster, manager = world.watched(2)
        cluster["n1"].sql("REVOKE EXECUTE ON FUNCTION pg_catalog.pg_promote(boolean, integer) FROM baton")
        status, out, _ = client(manager, "doctor", "-config", manager.config_file, "-i", cluster["n1"].key)
        assert status == 2
        assert "GRANT EXECUTE ON FUNCTION" in out and "pg_promote" in out


def test_recover_prints_the_successor(world):
    cluster, manager = world.watched(2, config={"RecoverMasterClusterFilters": []})
    cluster["n1"].kill9()
    wait_code(manager, cluster["n1"], "DeadPrimary")
    status, out, err = client(manager, "-c", "replication-analysis")
    assert status == 0 and f"{cluster['n1'].key} (cluster {cluster['n1'].key}): DeadPrimary" in out
    assert client(manager, "-c", "recover", "-i", cluster["n1"].key)[:2] == (0, lines(cluster["n2"])), err
    assert successor_of(wait_recovered(manager), cluster) is cluster["n2"]
