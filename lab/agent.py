"""`baton agent` beside a server of the lab: its configuration, its state, its end."""

import contextlib
import json
import os
import pathlib
import signal
import subprocess

from lab import manager as managers
from lab import postgres, processes
from lab.child import Child
from lab.cluster import Node, Spec
from lab.wait import wait_until

TOKEN = "lab-agents-token"
PEER_PORT = 3002


def manager_settings(port, token=TOKEN, address=""):
    """What a manager's configuration needs for agents to connect to it at this port."""
    return {"ServeAgentsHttp": True, "AgentsServerPort": f"{address}:{port}", "AgentToken": token}


class Agent(Child):
    """The agent of one server, run as the same user and on the same host (network namespace) as the server.

    managers: "host:port" of each. peer_port must differ between agents on one address. settings and instance: more keys of
    its configuration, and of its one instance; None takes a key away."""

    def __init__(self, node, managers, peer_port=PEER_PORT, token=TOKEN, settings=None, instance=None):
        self.node, self.name = node, node.name
        self._set_home(node.cluster.directory / node.name / "agent")
        self.config = {
            "Managers": list(managers), "Token": token, "UseTLS": False,
            "PeerListenAddress": f"{node.host}:{peer_port}", "PeerAddress": f"{node.host}:{peer_port}",
            "StateDirectory": str(self.state), **(settings or {}),
            "Instances": [{**self._instance(), **(instance or {})}],
        }
        self.config = {k: v for k, v in self.config.items() if v is not None}

    def _set_home(self, home):
        self.home, self.state, self.log = home, home / "state", home / "log"
        self.config_file = home / "agent.conf.json"
        self._child = None

    def __repr__(self):
        return f"agent of {self.node}"

    def _instance(self):
        secrets = self.home / "pgpass"
        return {
            "Host": self.node.host, "Port": self.node.port, "DataDirectory": str(self.node.data),
            "BinDirectory": str(postgres.bin_directory(self.node.cluster.version)), "LogFile": str(self.node.log),
            "ReplicationConninfo": f"user={postgres.REPLICATION_USER} passfile={secrets}",
            "RewindConninfo": f"user={postgres.REWIND_USER} dbname=postgres passfile={secrets}",
        }

    # -- process

    def write_files(self):
        for directory in (self.home, self.state):
            directory.mkdir(mode=0o700, exist_ok=True)
            postgres.own(directory)
        secrets = [f"*:*:*:{user}:{password}" for user, password in (
            (postgres.REPLICATION_USER, postgres.REPLICATION_PASSWORD), (postgres.REWIND_USER, postgres.REWIND_PASSWORD))]
        self._write(self.home / "pgpass", "\n".join(secrets) + "\n")
        self._write(self.config_file, json.dumps(self.config, indent=2))
        if self.node and self.node.log.exists():
            postgres.own(self.node.log)  # it goes on in the same one when the agent starts the server

    @staticmethod
    def _write(path, text):
        path.write_text(text, encoding="utf-8")
        path.chmod(0o600)
        postgres.own(path)

    def spawn(self):
        self.write_files()
        prefix = self.command_prefix()
        identity = {} if prefix else postgres.as_server_user()
        with open(self.log, "ab") as log:
            self._child = subprocess.Popen([*prefix, str(program()), "agent", "-config", str(self.config_file)],
                                           stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/",
                                           start_new_session=True, **identity)
        self._write(self.home / "pid", f"{self._child.pid}\n")
        return self

    def command_prefix(self):
        """What puts it on its host, and changes the user; empty where neither is needed."""
        return self.node.cluster.prefix(self.node.spec)

    def start(self, deadline_s=20):
        """Waits until it guards its server; whether a manager hears of it is another question."""
        before = len(self.log_text())
        self.spawn()

        def guards():
            return "exited" if self._child.poll() is not None else len(self.log_text()) > before
        if wait_until(guards, deadline_s, f"{self} guards it (log: {self.log})") == "exited":
            raise RuntimeError(f"{self} exited with {self._child.returncode}:\n{self.log_text()[before:][-3000:]}")
        return self

    def wait(self, deadline_s=10):
        """Its exit status, when it ends by itself."""
        return self._child.wait(deadline_s)

    def freeze(self):
        self._child.send_signal(signal.SIGSTOP)
        wait_until(lambda: processes.state_of(self.pid) == "T", 5, f"{self} stands still")

    def thaw(self):
        if self.running():
            self._child.send_signal(signal.SIGCONT)


class Bystander(Agent):
    """The agent of a host without a database, where clients run. Its host has a name of its own, by which managers ask it; needs
    root."""

    def __init__(self, cluster, name, managers, namespace="", **more):
        node = Node(cluster, Spec(name=name, port=0, namespace=namespace))
        node.data.parent.mkdir(mode=0o755, exist_ok=True)
        postgres.own(node.data.parent)
        super().__init__(node, managers, settings={"PeerListenAddress": None, "PeerAddress": None, **more.pop("settings", {})},
                         **more)
        self.config["Instances"] = []

    def command_prefix(self):
        inside = ["ip", "netns", "exec", self.node.spec.namespace] if self.node.spec.namespace else []
        user = postgres.server_user()
        named = ["unshare", "--uts", "sh", "-c", 'hostname "$0" && exec "$@"', self.name,
                 "setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--init-groups"]
        return [*inside, *named]


def program():
    """The program under test, where the servers' user may execute it."""
    path = managers.binary()
    user = postgres.server_user()
    if user is None or subprocess.run([path, "version"], capture_output=True, cwd="/",
                                      **postgres.as_server_user()).returncode == 0:
        return path
    raise PermissionError(f"{user.pw_name} may not execute {path}: agents run as the user of the servers; set BATON")


def beside(cluster, managers, first_peer_port=PEER_PORT, **more):
    """An agent for each server: {name: Agent}. On hosts of their own all have the same port."""
    addresses = {node.host for node in cluster}
    shared = len(addresses) < len(cluster.nodes)
    return {node.name: Agent(node, managers, first_peer_port + (i if shared else 0), **more)
            for i, node in enumerate(cluster)}


def end_left(cluster):
    """Ends the agents that another process has started for this cluster, before its servers: they would start them again."""
    for node in cluster:
        home = node.cluster.directory / node.name / "agent"
        with contextlib.suppress(OSError, ValueError):
            pid = int((home / "pid").read_text(encoding="ascii"))
            if str(home / "agent.conf.json").encode() in pathlib.Path(f"/proc/{pid}/cmdline").read_bytes():
                os.kill(pid, signal.SIGKILL)
