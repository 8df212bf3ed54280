#!/usr/bin/python3
"""A failover to look at: three real servers, one manager, one client that never stops writing, and a kill -9."""

import argparse
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

from lab import agent as agents  # noqa: E402
from lab import manager as managers  # noqa: E402
from lab import pgbouncer, postgres  # noqa: E402
from lab.cluster import Cluster  # noqa: E402
from lab.wait import DeadlineExceeded, wait_until  # noqa: E402
from lab.writer import Writer  # noqa: E402

BOLD, DIM, PLAIN = ("\033[1m", "\033[2m", "\033[0m") if sys.stdout.isatty() else ("", "", "")


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--planned", action="store_true",
                           help="a planned switchover instead of a crash, with host agents and a client behind PgBouncer")
    arguments.add_argument("--keep", action="store_true", help="leave everything running and print the addresses")
    arguments.add_argument("--base-port", type=int, default=5501, help="first port of the servers (default: %(default)s)")
    arguments.add_argument("--http-port", type=int, default=3098, help="port of the manager (default: %(default)s)")
    options = arguments.parse_args()
    home = pathlib.Path(tempfile.mkdtemp(prefix="baton-demo-"))
    home.chmod(0o755)
    demo = (PlannedDemo if options.planned else Demo)(home, options)
    try:
        demo.run()
    except (DeadlineExceeded, RuntimeError, OSError, LookupError) as error:
        print(f"\ndemo: {error}", file=sys.stderr)
        print("\n".join(demo.manager.log_text().splitlines()[-20:]), file=sys.stderr)
        demo.clean_up()
        return 1
    except BaseException:
        demo.clean_up()
        raise
    if options.keep:
        demo.print_addresses()
    else:
        demo.clean_up()
    return 0 if demo.rows_lost == 0 else 1


class Demo:
    def __init__(self, home, options):
        ports = first_free_ports(options.base_port, 3)
        self.home, self.rows_lost, self.ports = home, None, ports
        self.cluster = Cluster.simple(home / "servers", nodes=3, base_port=ports,
                                      method="basebackup" if postgres.has_tools(15) else "auto")
        self.manager = managers.Manager(
            home / "manager", managers.free_port(options.http_port, options.http_port + 200),
            {"DefaultInstancePort": ports, "DiscoveryPortCandidates": [str(n.port) for n in self.cluster]})
        self.writer = Writer(self.cluster.dsn(), interval_ms=5)

    def run(self):
        title("three PostgreSQL 15 servers on loopback")
        self.cluster.up()
        for node in self.cluster:
            print(f"   {node.name}  {node.key}  {'primary' if node is self.cluster.root else 'streams from n1'}")
        title("one manager, told of one standby")
        self.manager.start()
        print(f"   baton serve -config {self.manager.config_file}")
        self.manager.discover(self.cluster["n2"])
        wait_until(lambda: len(self.manager.instances()) == 3, 10, "all three servers are known")
        self.print_tree()
        title("a client writes a row every 5 ms")
        self.writer.start()
        wait_until(lambda: self.writer.count > 200, 15, "the client writes")
        wait_until(self.quiet, 20, "the manager is ready for a failover", 0.1)
        print(f"   {self.writer.count} rows acknowledged")
        self.kill_and_watch()

    def quiet(self):
        """All standbys caught up, nothing wrong, discovery settled: an ordinary moment of an ordinary day."""
        return self.cluster.all_streaming() and not self.manager.failures()

    def kill_and_watch(self):
        primary = self.cluster["n1"]
        title(f"kill -9 of every process of the primary, {primary.key}")
        killed_at = primary.kill9()
        wait_until(lambda: self.writer.acknowledged_after(killed_at) > 50, 60, "the client writes again", 0.01)
        recovery = wait_until(lambda: next(iter(self.manager.finished_recoveries()), None), 30, "the recovery is finished")
        successor = next(n for n in self.cluster if n.port == recovery["SuccessorKey"]["Port"])
        followers = [n for n in self.cluster if n not in (primary, successor)]
        wait_until(lambda: all(n.streams_from_node(successor) for n in followers), 30, "the survivors stream again")
        streaming_at = time.monotonic()
        self.writer.stop()
        self.print_recovery(recovery)
        self.print_verdict(killed_at, streaming_at, successor)
        self.print_tree()

    def print_recovery(self, recovery):
        """The steps are those of /api/audit-recovery-steps; the second API adds the time of each by the monotonic clock."""
        uid = recovery["UID"]
        title(f"what the manager did, in ms since it first suspected (baton timeline {uid[:19]})")
        for step in self.manager.get(f"v2/recoveries/{uid}")["data"]["Steps"]:
            print(f"   {DIM}{step['ElapsedMilliseconds']:9.1f}{PLAIN}  {step['Message']}")

    def print_verdict(self, killed_at, streaming_at, successor, beginning="the kill"):
        title("what it cost")
        outage = self.writer.outage_around(killed_at)
        self.rows_lost = len(self.writer.lost(successor.rows()))
        print(f"   write outage seen by the client  {BOLD}{outage * 1000:.0f} ms{PLAIN}")
        print(f"   rows acknowledged and lost       {BOLD}{self.rows_lost}{PLAIN} of {self.writer.count}")
        print(f"   survivor streaming again         {(streaming_at - killed_at) * 1000:.0f} ms after {beginning} (or sooner)")

    def print_tree(self):
        title("baton topology")
        member = next(n for n in self.cluster if n.alive())
        done = subprocess.run([str(managers.binary()), "topology", member.key], capture_output=True, text=True,
                              env={**os.environ, "ORCHESTRATOR_API": f"{self.manager.url}/api"})
        for line in (done.stdout or done.stderr).rstrip().splitlines():
            print(f"   {line}")

    def print_addresses(self):
        title("left running")
        print(f"   manager   {self.manager.url}/api/clusters-info   (pid {self.manager.pid}, log {self.manager.log})")
        print(f"   client    export ORCHESTRATOR_API={self.manager.url}/api")
        print(f"   database  psql '{self.cluster.dsn()}'")
        print(f"   servers   lab/lab.py status --dir {self.cluster.directory}")
        print(f"   end       kill {self.manager.pid}; lab/lab.py down --dir {self.cluster.directory}; rm -r {self.home}")

    def clean_up(self):
        self.writer.stop()
        self.manager.stop()
        self.cluster.down()
        shutil.rmtree(self.home, ignore_errors=True)


class PlannedDemo(Demo):
    """The primary moves while a client behind PgBouncer writes: it waits for a moment, and gets no error."""

    def __init__(self, home, options):
        super().__init__(home, options)
        if pgbouncer.available():
            raise RuntimeError(pgbouncer.available())
        listener, peers = first_free_ports(self.ports + 10, 1), first_free_ports(self.ports + 20, 3)
        self.pooler = pgbouncer.PgBouncer(self.cluster.directory / "pgbouncer", first_free_ports(self.ports + 30, 1))
        self.manager.config.update(agents.manager_settings(listener), Routers=[self.pooler.entry()])
        address = [f"127.0.0.1:{listener}"]
        self.agents = [*agents.beside(self.cluster, address, peers).values(), pgbouncer.PoolerAgent(self.pooler, address)]
        self.writer = Writer(self.pooler.dsn(), interval_ms=5, patience_s=20)

    def print_tree(self):
        if not self.pooler.running():
            title("a host agent beside each server, a PgBouncer, and the agent that rewrites its targets")
            self.pooler.start(self.cluster["n1"])
            for one in self.agents:
                one.start()
            print(f"   {self.pooler.name} leads to {self.cluster['n1'].key}")
        super().print_tree()

    def quiet(self):
        seen = self.manager.agents()
        return super().quiet() and len(seen) == 3 and seen[self.cluster["n1"].port]["Lease"]["On"]

    def kill_and_watch(self):
        cluster = self.manager.clusters()[0]
        title(f"baton switchover {cluster}")
        began = time.monotonic()
        recovery = self.manager.switchover(cluster)
        successor = next(n for n in self.cluster if n.port == recovery["SuccessorKey"]["Port"])
        wait_until(lambda: all(n.streams_from_node(successor) for n in self.cluster if n is not successor), 30, "all stream")
        streaming_at = time.monotonic()
        self.writer.stop()
        self.print_recovery(recovery)
        self.print_verdict(began, streaming_at, successor, "it was asked for")
        print(f"   errors of the client             {BOLD}{len(self.writer.errors)}{PLAIN}")
        self.print_tree()

    def clean_up(self):
        self.writer.stop()
        for one in self.agents:
            one.kill9()
        self.pooler.kill9()
        super().clean_up()


def first_free_ports(first, count):
    """The first of `count` free ports in a row."""
    for base in range(first, first + 400, 10):
        if all(free(port) for port in range(base, base + count)):
            return base
    raise OSError(f"no {count} free ports in a row from {first} on")


def free(port):
    try:
        return managers.free_port(port, port) == port
    except OSError:
        return False


def title(text):
    print(f"\n{BOLD}{text}{PLAIN}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
