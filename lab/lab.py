#!/usr/bin/python3
"""Starts, breaks and ends a real PostgreSQL cluster on this machine.

  lab/lab.py up --dir /tmp/lab --nodes 3 --base-port 5501
  lab/lab.py status --dir /tmp/lab
  lab/lab.py kill9 n1 --dir /tmp/lab
  lab/lab.py down --dir /tmp/lab
"""

import argparse
import json
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

from lab import agent as agents  # noqa: E402
from lab import pgbouncer, postgres  # noqa: E402
from lab.cluster import Cluster  # noqa: E402


def main():
    arguments = parser().parse_args()
    try:
        return arguments.run(arguments) or 0
    except (OSError, RuntimeError, LookupError, ValueError, AssertionError) as error:
        print(f"lab: {error}", file=sys.stderr)
        return 1


def parser():
    top = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = top.add_subparsers(required=True, metavar="COMMAND")

    def command(name, run, doc, node=False):
        one = commands.add_parser(name, help=doc)
        if node:
            one.add_argument("node", help="name of a server: n1, n2, ...")
        one.add_argument("--dir", default="/tmp/baton-lab", help="the lab's directory (default: %(default)s)")
        one.set_defaults(run=run)
        return one

    up = command("up", bring_up, "start a cluster")
    up.add_argument("--nodes", type=int, default=3)
    up.add_argument("--base-port", type=int, default=5501)
    up.add_argument("--version", type=int, default=15, choices=(13, 14, 15, 16, 17, 18))
    up.add_argument("--topology", default="star", choices=("star", "cascade", "tree"))
    up.add_argument("--conninfo", default="plain", choices=("plain", "multi", "socket", "uri"))
    up.add_argument("--application-name", default="name", help="name | hostport | none | literal text")
    up.add_argument("--no-slots", action="store_true")
    up.add_argument("--distinct-addresses", action="store_true", help="127.0.0.11, 127.0.0.12, ... for the servers")
    up.add_argument("--identity", type=int, default=0, help="another number: another system identifier")
    up.add_argument("--agents", metavar="HOST:PORT", action="append",
                    help="start a host agent beside each server, for the manager with this AgentsServerPort (its AgentToken: "
                         f"{agents.TOKEN}); may be given again")
    up.add_argument("--peer-port", type=int, default=agents.PEER_PORT, help="first port of the agents (default: %(default)s)")
    up.add_argument("--pgbouncer", metavar="PORT", type=int,
                    help="start a PgBouncer that leads to the primary, and, with --agents, the agent that rewrites its targets; "
                         "prints its entry for the manager's Routers")
    command("down", bring_down, "end all servers, agents and PgBouncer, and remove the directory")
    command("pause", lambda a: pooler_of(a).pause(), "PgBouncer: hold the clients (its admin console)")
    command("resume", lambda a: pooler_of(a).resume(), "PgBouncer: let them go on")
    command("status", status, "show roles, timelines and who streams from whom")
    command("kill9", lambda a: node_of(a).kill9() and None, "SIGKILL all processes of a server at once", node=True)
    stop = command("stop", freeze, "SIGSTOP a server", node=True)
    stop.add_argument("--postmaster-only", action="store_true")
    command("cont", lambda a: node_of(a).thaw(), "SIGCONT a server", node=True)
    command("start", lambda a: node_of(a).start() and None, "start a server as its data directory says", node=True)
    rejoin = command("rejoin", rejoin_node, "make a server anew as a standby of the present primary", node=True)
    rejoin.set_defaults(run=rejoin_node)
    return top


def node_of(arguments):
    cluster = Cluster.load(arguments.dir)
    if arguments.node not in cluster.nodes:
        raise LookupError(f"no server {arguments.node}; there are {', '.join(cluster.nodes)}")
    return cluster[arguments.node]


def pooler_directory(arguments):
    return pathlib.Path(arguments.dir) / "pgbouncer"


def pooler_of(arguments):
    pooler = pgbouncer.PgBouncer.load(pooler_directory(arguments))
    if pooler is None:
        raise LookupError("this lab has no PgBouncer: start it with --pgbouncer PORT")
    return pooler


def start_pooler(arguments, primary):
    if pgbouncer.available():
        raise RuntimeError(pgbouncer.available())
    pooler = pgbouncer.PgBouncer(pooler_directory(arguments), arguments.pgbouncer).start(primary)
    if arguments.agents:
        pgbouncer.PoolerAgent(pooler, arguments.agents).start()
    print(f"Routers: [{json.dumps(pooler.entry())}]")
    print(f"clients of PgBouncer: {pooler.dsn()}")


def bring_up(arguments):
    options = {"conninfo": arguments.conninfo, "application_name": arguments.application_name,
               "slot": not arguments.no_slots}
    cluster = Cluster.simple(arguments.dir, nodes=arguments.nodes, base_port=arguments.base_port,
                             topology=arguments.topology, version=arguments.version, identity=arguments.identity,
                             distinct_addresses=arguments.distinct_addresses, node_options={"*": options},
                             method="basebackup" if postgres.has_tools(arguments.version) else "auto")
    try:
        cluster.up()
        for agent in agents.beside(cluster, arguments.agents, arguments.peer_port).values() if arguments.agents else []:
            agent.start()
        if arguments.pgbouncer:
            start_pooler(arguments, cluster.root)
    except BaseException:
        agents.end_left(cluster)
        pgbouncer.end_left(pooler_directory(arguments))
        cluster.down(remove=False)
        raise
    for node in cluster:
        print(f"{node.name} {node.key} {'primary' if node is cluster.root else 'follows ' + node.spec.upstream}")
    print(f"clients: {cluster.dsn()}")


def bring_down(arguments):
    cluster = Cluster.load(arguments.dir)
    agents.end_left(cluster)
    pgbouncer.end_left(pooler_directory(arguments))
    cluster.down()


def freeze(arguments):
    node_of(arguments).freeze(arguments.postmaster_only)


def rejoin_node(arguments):
    node = node_of(arguments)
    node.rejoin(node.cluster.primary())


def pooler_status(arguments):
    pooler = pgbouncer.PgBouncer.load(pooler_directory(arguments))
    if pooler is None:
        return
    host, port, paused = pooler.route()
    print(f"{pooler.name} {pooler.host}:{pooler.port} leads to {host}:{port}{', clients are held' if paused else ''}")


def status(arguments):
    pooler_status(arguments)
    for node in Cluster.load(arguments.dir):
        if not node.alive():
            print(f"{node.name} {node.key} dead")
            continue
        try:
            role = "primary" if node.is_primary() else f"standby, streams from {node.streams_from() or 'nobody'}"
            print(f"{node.name} {node.key} {role}, timeline {node.timeline()}, received {node.received_lsn():#x}")
        except Exception as error:  # whatever keeps it from answering is its status
            print(f"{node.name} {node.key} does not answer: {error}".rstrip())


if __name__ == "__main__":
    sys.exit(main())
