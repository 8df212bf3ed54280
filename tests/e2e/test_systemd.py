"""Servers that systemd starts and stops: a stand-in for `systemctl` does what their units would, and notes how it was asked."""

import os
import pathlib
import subprocess

import pytest

from lab import postgres
from lab.wait import wait_until
from world import successor_of, wait_agents, wait_recovered, wait_rejoined, wait_writes

SYSTEMCTL = """\
#!/bin/sh
# Units are files beside this program: the data directory, then the value of Restart.
here={here}
echo "$*" >> "$here/calls"
for word in "$@"; do case "$word" in --*) ;; *) set -- "$@" "$word" ;; esac; shift; done
unit="$here/$2"
[ -f "$unit" ] || {{ echo "LoadState=not-found"; exit 0; }}
data="$(head -n 1 "$unit")"
case "$1" in
    show) printf 'LoadState=loaded\\nActiveState=active\\nResult=success\\nJob=\\nRestart=%s\\n' "$(tail -n 1 "$unit")" ;;
    start)
        [ ! -f "$here/denied" ] || {{ echo "Failed to start $2: Access denied" >&2; exit 4; }}
        setsid {postgres} -D "$data" < /dev/null >> "$data/../log" 2>&1 & ;;
    stop) kill -INT "$(head -n 1 "$data/postmaster.pid")" ;;
esac
"""


def unit_of(node):
    return f"postgresql-{node.name}.service"


@pytest.fixture
def systemctl(world, monkeypatch):
    """make(cluster, {name: value of Restart}): units for its servers. Whoever is started from now on finds it in PATH."""
    here = world.home / "systemd"
    here.mkdir(mode=0o755)
    postgres.own(here)
    monkeypatch.setenv("PATH", f"{here}:{os.environ['PATH']}")

    def make(cluster, restart):
        program = here / "systemctl"
        program.write_text(SYSTEMCTL.format(here=here, postgres=postgres.bin_directory(15) / "postgres"), encoding="ascii")
        program.chmod(0o755)
        for node in cluster:
            (here / unit_of(node)).write_text(f"{node.data}\n{restart.get(node.name, 'no')}\n", encoding="ascii")
        return here
    return make


def calls_of(here, verb, node):
    lines = (here / "calls").read_text(encoding="ascii").splitlines()
    return [line for line in lines if line.endswith(f" {verb} {unit_of(node)}")]


def test_switchover_failover_and_clone_with_systemd(world, systemctl):
    cluster = world.cluster(2)
    here = systemctl(cluster, {"n1": "always"})
    manager, agents = world.guard_each(cluster, lambda node: {"Control": "systemd", "SystemdUnit": unit_of(node)},
                                       {"RecoveryPeriodBlockSeconds": 1, "RejoinDropsWrites": True})
    n1, n2 = cluster["n1"], cluster["n2"]
    # What would start a server behind the agent's back is told: in its log, by the API, by the doctor.
    wait_until(lambda: "Restart=always" in manager.agents()[n1.port]["InTheWay"], 10, "the manager hears of it")
    assert manager.agents()[n2.port]["InTheWay"] == ""
    assert "Restart=always" in agents["n1"].log_text() and "Restart=" not in agents["n2"].log_text()
    writer = world.writer(cluster)
    manager.switchover(manager.clusters()[0], n2)
    wait_rejoined(manager, n1, n2)
    wait_agents(manager, cluster)
    assert calls_of(here, "stop", n1) == [f"--no-ask-password --no-block stop {unit_of(n1)}"]
    assert calls_of(here, "start", n1) == [f"--no-ask-password --no-block start {unit_of(n1)}"]
    # systemd refuses whom polkit does not let: it is said, and it is tried again.
    (here / "denied").touch()
    killed_at = writer.note_kill(n2.kill9())
    wait_writes(writer, killed_at)
    assert successor_of(wait_recovered(manager, 2), cluster) is n1
    wait_until(lambda: any(a["AuditType"] == "rejoin-failed" and "Access denied" in a["Message"] for a in manager.get("audit")),
               20, "it is told why n2 does not come back")
    (here / "denied").unlink()
    wait_rejoined(manager, n2, n1)
    wait_until(lambda: manager.rejoins()[n2.port]["State"] == "done", 10, "the manager is done with it")
    inode = n2.data.stat().st_ino
    manager.get(f"v2/instances/{n2.host}/{n2.port}/reinit")
    wait_until(lambda: n2.data.stat().st_ino != inode, 60, "it has a new directory")
    wait_rejoined(manager, n2, n1)
    writer.stop()
    assert writer.lost(n1.rows()) == []
    assert writer.outage_around(killed_at) < 3.0


def test_unit_files_are_good():
    """The packaged units, as systemd itself reads them. Programs that are not installed here are no fault of theirs."""
    units = sorted((pathlib.Path(postgres.REPOSITORY) / "packaging/systemd").glob("*.service"))
    try:
        checked = subprocess.run(["systemd-analyze", "verify", "--man=no", *map(str, units)], capture_output=True, text=True,
                                 timeout=60, check=False)
    except FileNotFoundError:
        pytest.skip("systemd-analyze is not installed")
    said = [line for line in checked.stderr.splitlines() if "is not executable: No such file" not in line]
    assert not [line for line in said if any(unit.name in line for unit in units)], said
