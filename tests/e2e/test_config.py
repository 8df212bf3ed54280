"""Configurations: good ones start, bad ones say what is wrong with which key, odd ones warn."""

import json
import subprocess

import pytest

from lab import manager as managers
from lab.wait import wait_until

GUIDE = """{
  "Debug": false,
  "ListenAddress": ":%(port)d",
  "ProviderType": "postgresql",
  "PostgreSQLTopologyUser": "baton",
  "PostgreSQLTopologyPassword": "baton-pass",
  "PostgreSQLSSLMode": "disable",
  "DefaultInstancePort": 5432,
  "BackendDB": "sqlite",
  "SQLite3DataFile": "%(home)s/guide.db",
  "InstancePollSeconds": 5,
  "FailureDetectionPeriodBlockSeconds": 10,
  "FailureDetectionPeriodBlockMinutes": 1,
  "RecoveryPeriodBlockSeconds": 60,
  "RecoverMasterClusterFilters": ["*"],
  "OnFailureDetectionProcesses": ["echo 'Detected {failureType} on {failureCluster}' >> %(home)s/log"],
  "PreFailoverProcesses": [],
  "PostFailoverProcesses": ["echo 'Recovered {failureType}' >> %(home)s/log"],
  "PostUnsuccessfulFailoverProcesses": [],
  "PostMasterFailoverProcesses": [],
}
"""


def baton(*words, **more):
    return subprocess.run([str(managers.binary()), *map(str, words)], capture_output=True, text=True, timeout=20, **more)


def written(world, text):
    path = world.home / "baton.conf.json"
    path.write_text(text if isinstance(text, str) else json.dumps(text), encoding="utf-8")
    return path


BAD = [
    ({"InstancePollSeconds": 0}, ["InstancePollSeconds", "0"]),
    ({"InstancePollSeconds": "five"}, ["InstancePollSeconds"]),
    ({"DefaultInstancePort": 70000}, ["DefaultInstancePort", "70000"]),
    ({"RecoverMasterClusterFilters": "*"}, ["RecoverMasterClusterFilters"]),
    ({"RecoverMasterClusterFilters": ["(["]}, ["RecoverMasterClusterFilters", "(["]),
    ({"PromotionIgnoreHostnameFilters": ["a{2,1}"]}, ["PromotionIgnoreHostnameFilters"]),
    ({"PostgreSQLSSLMode": "sometimes"}, ["PostgreSQLSSLMode", "sometimes", "verify-full"]),
    ({"AuthenticationMethod": "magic"}, ["AuthenticationMethod", "magic", "basic"]),
    ({"ListenAddress": "nowhere"}, ["ListenAddress", "nowhere"]),
    ({"ProviderType": "oracle"}, ["ProviderType", "oracle", "postgresql"]),
    ({"SynchronousFailoverPolicy": "hope"}, ["SynchronousFailoverPolicy", "hope", "relax"]),
    ({"DiscoverySeeds": ["db1:99999"]}, ["DiscoverySeeds", "99999"]),
    ({"DiscoveryPortCandidates": ["x"]}, ["DiscoveryPortCandidates"]),
    ({"PostgreSQLTopologyPassword": "${BATON_NO_SUCH_VARIABLE}"}, ["BATON_NO_SUCH_VARIABLE"]),
    ("{ \"Debug\": true ", []),
    ("{ \"Debug\": true } trailing {", None),
    ("[1, 2]", []),
    ("", []),
    ("\x00\x01\x02", []),
]


@pytest.mark.parametrize("content, words", [b for b in BAD if b[1] is not None],
                         ids=lambda v: json.dumps(v)[:50] if not isinstance(v, list) else "")
@pytest.mark.parametrize("command", ["check", "serve"])
def test_bad_configurations(world, content, words, command):
    path = written(world, content)
    done = baton("config", "check", path) if command == "check" else baton("serve", "-config", path, cwd=world.home)
    assert done.returncode not in (0, None) and done.returncode > 0, "an error, not a crash"
    said = done.stdout + done.stderr
    assert str(path) in said or path.name in said
    for word in words:
        assert word in said, said


def test_all_errors_are_told_at_once(world):
    done = baton("config", "check", written(world, {"InstancePollSeconds": 0, "PostgreSQLSSLMode": "x", "ReadOnly": "yes"}))
    said = done.stdout + done.stderr
    assert done.returncode > 0 and all(k in said for k in ("InstancePollSeconds", "PostgreSQLSSLMode", "ReadOnly"))


def test_a_file_that_is_not_there(world):
    for words in (("config", "check", world.home / "none.json"), ("serve", "-config", world.home / "none.json")):
        done = baton(*words, cwd=world.home)
        assert done.returncode > 0 and "none.json" in done.stdout + done.stderr


def test_unknown_and_unused_keys_are_warnings(world):
    done = baton("config", "check", written(world, {"RecoveryPeriodBlockSecond": 5, "ConsulAddress": "localhost:8500"}))
    assert done.returncode == 0
    said = done.stdout + done.stderr
    assert "RecoveryPeriodBlockSecond" in said and "RecoveryPeriodBlockSeconds" in said, "with the nearest known name"
    assert "ConsulAddress" in said


def test_show_masks_secrets_and_reads_the_environment(world, monkeypatch):
    monkeypatch.setenv("BATON_TEST_SECRET", "hush-hush")
    path = written(world, "// a comment\n{\"postgresqltopologypassword\": \"${BATON_TEST_SECRET}\", /* and */ \"Debug\": true,}")
    done = baton("config", "show", path)
    assert done.returncode == 0, done.stderr
    assert "hush-hush" not in done.stdout + done.stderr
    assert "PostgreSQLTopologyPassword" in done.stdout and '"Debug": true' in done.stdout


@pytest.mark.parametrize("form", ["serve", "http"])
def test_the_configuration_of_the_guides_starts_unchanged(world, form):
    """orchestrator's own form `-config FILE http` is the same as `serve -config FILE`."""
    port = world.ports(1)
    path = written(world, GUIDE % {"port": port, "home": world.home})
    words = ["serve", "-config", path] if form == "serve" else ["-config", path, "http"]
    manager = world.manager(start=False)
    manager.url = f"http://127.0.0.1:{port}"
    with open(world.home / "out", "wb") as out:
        child = subprocess.Popen([str(managers.binary()), *map(str, words)], stdout=out, stderr=out, cwd=world.home)
    try:
        wait_until(lambda: manager.raw("/api/lb-check")[0] == 200, 10, (world.home / "out").read_text)
        assert manager.get("clusters") == []
    finally:
        child.terminate()
        assert child.wait(10) == 0
    assert "FailureDetectionPeriodBlockSeconds" not in (world.home / "out").read_text(), "it is known, so no warning"


def test_a_port_in_use_is_an_error_that_names_it(world):
    first = world.manager()
    second = world.manager(start=False, config={"ListenAddress": f"127.0.0.1:{first.port}"})
    second.spawn()
    wait_until(lambda: not second.running(), 10, "the second refuses to start")
    assert second.stop() > 0 and str(first.port) in second.log_text()


@pytest.mark.parametrize("way", ["signal", "route"])
def test_reload(world, way):
    manager = world.manager()
    assert manager.details("automated-recovery-filters")["RecoverMasterClusterFilters"] == ["*"]
    manager.config["RecoverMasterClusterFilters"] = ["shop"]
    manager.write_config()
    manager.hang_up() if way == "signal" else manager.get("reload-configuration")
    wait_until(lambda: manager.details("automated-recovery-filters")["RecoverMasterClusterFilters"] == ["shop"], 5)
    manager.config["RecoverMasterClusterFilters"] = ["(["]
    manager.write_config()
    if way == "signal":
        manager.hang_up()
        wait_until(lambda: "RecoverMasterClusterFilters" in manager.log_text(), 5, "the error is logged")
    else:
        assert manager.raw("/api/reload-configuration")[0] == 500
    assert manager.details("automated-recovery-filters")["RecoverMasterClusterFilters"] == ["shop"], "the old one stays"
    assert manager.get("lb-check") == "OK"
