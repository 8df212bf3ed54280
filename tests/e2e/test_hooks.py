"""Hooks: every list, every placeholder, every variable, in the background, failing, and in what order."""

import json

import pytest

from lab.wait import holds_for, wait_until
from world import successor_of, wait_recovered

LISTS = ["OnFailureDetectionProcesses", "PreFailoverProcesses", "PostMasterFailoverProcesses",
         "PostIntermediateMasterFailoverProcesses", "PostFailoverProcesses", "PostUnsuccessfulFailoverProcesses"]

PLACEHOLDERS = [
    "failureType", "instanceType", "isMaster", "isCoMaster", "failureDescription", "command", "failedHost", "failedPort",
    "failureCluster", "failureClusterAlias", "failureClusterDomain", "countSlaves", "countReplicas", "isDowntimed",
    "autoMasterRecovery", "autoIntermediateMasterRecovery", "orchestratorHost", "recoveryUID", "isSuccessful",
    "lostSlaves", "lostReplicas", "countLostReplicas", "slaveHosts", "replicaHosts"]
SUCCESSOR_PLACEHOLDERS = ["successorHost", "successorPort", "successorAlias"]

VARIABLES = [
    "ORC_FAILURE_TYPE", "ORC_INSTANCE_TYPE", "ORC_IS_MASTER", "ORC_IS_CO_MASTER", "ORC_FAILURE_DESCRIPTION", "ORC_COMMAND",
    "ORC_FAILED_HOST", "ORC_FAILED_PORT", "ORC_FAILURE_CLUSTER", "ORC_FAILURE_CLUSTER_ALIAS", "ORC_FAILURE_CLUSTER_DOMAIN",
    "ORC_COUNT_REPLICAS", "ORC_IS_DOWNTIMED", "ORC_AUTO_MASTER_RECOVERY", "ORC_AUTO_INTERMEDIATE_MASTER_RECOVERY",
    "ORC_ORCHESTRATOR_HOST", "ORC_IS_SUCCESSFUL", "ORC_LOST_REPLICAS", "ORC_REPLICA_HOSTS", "ORC_RECOVERY_UID"]
SUCCESSOR_VARIABLES = ["ORC_SUCCESSOR_HOST", "ORC_SUCCESSOR_PORT", "ORC_SUCCESSOR_ALIAS"]


def marks(world, text="{failureType}"):
    """Every list writes its own name, and `text`, into one file."""
    path = world.home / "order"
    return path, {name: [f"echo '{name} {text}' >> {path}"] for name in LISTS}


def lines(path):
    return path.read_text().splitlines() if path.exists() else []


def test_lists_of_a_primary_failover_in_order(world):
    path, config = marks(world)
    cluster, manager = world.watched(2, config=config)
    cluster["n1"].kill9()
    wait_recovered(manager)
    wait_until(lambda: any(line.startswith("PostFailover") for line in lines(path)), 10, "the last list has run")
    assert [line.split()[0] for line in lines(path)] == [
        "OnFailureDetectionProcesses", "PreFailoverProcesses", "PostMasterFailoverProcesses", "PostFailoverProcesses"]
    assert {line.split()[1] for line in lines(path)} == {"DeadPrimary"}


def test_lists_of_an_intermediate_failover(world):
    path, config = marks(world)
    cluster, manager = world.watched(4, config=config, node_options={"n3": {"upstream": "n2"}, "n4": {"upstream": "n2"}})
    cluster["n2"].kill9()
    wait_recovered(manager)
    wait_until(lambda: any(line.startswith("PostFailover") for line in lines(path)), 10, "the last list has run")
    assert [line.split()[0] for line in lines(path)] == [
        "OnFailureDetectionProcesses", "PreFailoverProcesses", "PostIntermediateMasterFailoverProcesses",
        "PostFailoverProcesses"]


def test_lists_of_a_failover_without_successor(world):
    path, config = marks(world)
    cluster, manager = world.watched(2, config={**config, "PromotionIgnoreHostnameFilters": ["127.0.0.1"]})
    cluster["n1"].kill9()
    recovery = wait_recovered(manager)
    assert not recovery["IsSuccessful"]
    wait_until(lambda: len(lines(path)) >= 3, 10, "the last list has run")
    assert [line.split()[0] for line in lines(path)] == [
        "OnFailureDetectionProcesses", "PreFailoverProcesses", "PostUnsuccessfulFailoverProcesses"]
    assert not cluster["n2"].is_primary()


def test_placeholders_and_variables(world):
    names = PLACEHOLDERS + SUCCESSOR_PLACEHOLDERS
    words, environment = world.home / "words", world.home / "environment"
    command = "; ".join(f"echo '{name}={{{name}}}'" for name in names)
    cluster, manager = world.watched(3, config={
        "PostFailoverProcesses": [f"({command}) > {words}", f"env -0 | tr '\\n\\0' ' \\n' | grep ^ORC_ > {environment}",
                                  f"touch {world.home}/done"],
        "PreFailoverProcesses": [f"env | grep ^ORC_ | cut -d= -f1 > {world.home}/before; echo '{{successorHost}}' > "
                                 f"{world.home}/unreplaced"]})
    cluster["n1"].kill9()
    recovery = wait_recovered(manager)
    new = successor_of(recovery, cluster)
    wait_until(lambda: (world.home / "done").exists(), 10, "all hooks have run")
    said = dict(line.split("=", 1) for line in lines(words))
    assert set(said) == set(names)
    assert not [name for name, value in said.items() if value.startswith("{")], "all are replaced"
    expected = {
        "failureType": "DeadPrimary", "isMaster": "true", "isCoMaster": "false", "command": "",
        "failedHost": "127.0.0.1", "failedPort": str(cluster["n1"].port), "failureCluster": cluster["n1"].key,
        "countReplicas": "2", "countSlaves": "2", "isDowntimed": "false", "autoMasterRecovery": "true",
        "autoIntermediateMasterRecovery": "true", "recoveryUID": recovery["UID"], "isSuccessful": "true",
        "lostReplicas": "", "countLostReplicas": "0", "successorHost": "127.0.0.1", "successorPort": str(new.port)}
    assert {k: said[k] for k in expected} == expected
    assert set(said["replicaHosts"].split(",")) == {cluster["n2"].key, cluster["n3"].key}
    shown = dict(line.split("=", 1) for line in lines(environment))
    assert set(VARIABLES + SUCCESSOR_VARIABLES) <= set(shown)
    assert shown["ORC_FAILED_PORT"] == str(cluster["n1"].port) and shown["ORC_SUCCESSOR_PORT"] == str(new.port)
    assert shown["ORC_RECOVERY_UID"] == recovery["UID"] and shown["ORC_FAILURE_TYPE"] == "DeadPrimary"
    before = set(lines(world.home / "before"))
    assert set(VARIABLES) <= before and not set(SUCCESSOR_VARIABLES) & before
    assert lines(world.home / "unreplaced") == ["{successorHost}"], "without a successor it stays as it is"


@pytest.mark.parametrize("name", ["OnFailureDetectionProcesses", "PreFailoverProcesses"])
def test_a_failing_hook_before_stops_the_recovery(world, name):
    second = world.home / "second"
    cluster, manager = world.watched(2, config={name: ["echo out of order >&2; exit 3", f"touch {second}"]})
    cluster["n1"].kill9()
    wait_until(lambda: manager.failures(), 10, "the failure is detected")
    if name == "PreFailoverProcesses":
        recovery = wait_recovered(manager)
        assert not recovery["IsSuccessful"]
        steps = " ".join(manager.steps(recovery["UID"]))
        assert "3" in steps and "out of order" in steps, "exit status and output are in the audit"
    holds_for(lambda: not cluster["n2"].is_primary(), 3, "nobody is promoted")
    assert not second.exists(), "the first failure ends the list"


def test_a_failing_hook_afterwards_does_not_undo_anything(world):
    second = world.home / "second"
    cluster, manager = world.watched(2, config={"PostFailoverProcesses": ["exit 7", f"touch {second}"]})
    cluster["n1"].kill9()
    recovery = wait_recovered(manager)
    assert successor_of(recovery, cluster).is_primary() and recovery["IsSuccessful"]
    wait_until(second.exists, 5, "the rest of the list runs")


def test_a_hook_in_the_background_is_not_waited_for(world):
    late = world.home / "late"
    cluster, manager = world.watched(2, config={"PreFailoverProcesses": [f"sleep 6; touch {late} &"],
                                                "PostFailoverProcesses": [f"(sleep 6; touch {late}2) &"]})
    writer = world.writer(cluster)
    killed_at = cluster["n1"].kill9()
    wait_recovered(manager, deadline_s=5)
    wait_until(lambda: writer.acknowledged_after(killed_at) > 10, 5, "the client writes again")
    assert writer.outage_around(killed_at) < 3
    wait_until(late.exists, 15, "the hook has ended by itself")


def test_a_hook_that_hangs_is_ended(world):
    cluster, manager = world.watched(2, config={"ProcessesTimeoutSeconds": 2, "PreFailoverProcesses": ["sleep 100"]})
    cluster["n1"].kill9()
    recovery = wait_recovered(manager, deadline_s=15)
    assert not recovery["IsSuccessful"]
    assert not cluster["n2"].is_primary()


def test_output_with_odd_characters_does_not_break_the_audit(world):
    cluster, manager = world.watched(2, config={
        "PreFailoverProcesses": [r"""printf 'quote " backslash \\ tab\t bad utf-8 \377 {failedHost}\n'"""]})
    cluster["n1"].kill9()
    recovery = wait_recovered(manager)
    body = manager.raw(f"/api/audit-recovery-steps/{recovery['UID']}")[1]
    assert any("backslash" in step["Message"] for step in json.loads(body))
