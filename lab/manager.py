"""`baton serve` as a child process: its configuration, its HTTP API, its end."""

import contextlib
import json
import os
import pathlib
import socket
import subprocess
import urllib.error
import urllib.parse
import urllib.request

from lab import postgres
from lab.child import Child
from lab.cluster import private_hosts
from lab.wait import wait_until


class ApiError(RuntimeError):
    """An answer with Code ERROR, or an HTTP status that says so."""

    def __init__(self, path, status, message):
        super().__init__(f"{path}: HTTP {status}: {message}")
        self.status, self.message = status, message


def _message(value, body):
    if not isinstance(value, dict):
        return value
    error = value.get("error")
    return error["message"] if isinstance(error, dict) else value.get("Message", body)


def binary():
    """The program under test: $BATON, else the release or dev build of this repository."""
    if os.environ.get("BATON"):
        return pathlib.Path(os.environ["BATON"])
    for preset in ("dev", "release"):
        path = postgres.REPOSITORY / "build" / preset / "baton"
        if path.exists():
            return path
    raise FileNotFoundError("no build/dev/baton or build/release/baton: run scripts/build, or set BATON")


def free_port(first, last):
    """A port nobody listens on, on any local address."""
    for port in range(first, last + 1):
        with contextlib.closing(socket.socket()) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with contextlib.suppress(OSError):
                probe.bind(("0.0.0.0", port))
                return port
    raise OSError(f"no free port between {first} and {last}")


class Manager(Child):
    """One manager. start() waits until it answers; kill9() and start() again is a crash and a restart.

    hosts_file and resolv_file: what it shall see as /etc/hosts and /etc/resolv.conf (needs root)."""

    def __init__(self, directory, port, config=None, hosts_file=None, resolv_file=None, address="127.0.0.1", environment=None):
        self.directory = pathlib.Path(directory)
        self.directory.mkdir(parents=True, exist_ok=True)
        self.address, self.port = address, port
        self.url = f"http://{address}:{port}"
        self.config_file = self.directory / "baton.conf.json"
        self.log = self.directory / "baton.log"
        self.environment = environment or {}
        self._hosts_file, self._resolv_file = hosts_file, resolv_file
        self._child = None
        self.config = {
            "ListenAddress": f"{address}:{port}", "BackendDB": "sqlite",
            "SQLite3DataFile": str(self.directory / "baton.db"), "ProviderType": "postgresql",
            "PostgreSQLTopologyUser": postgres.MANAGER_USER, "PostgreSQLTopologyPassword": postgres.MANAGER_PASSWORD,
            "PostgreSQLSSLMode": "disable", "DefaultInstancePort": 5432, "InstancePollSeconds": 1,
            "RecoverMasterClusterFilters": ["*"], "RecoverIntermediateMasterClusterFilters": ["*"],
            **(config or {}),
        }

    # -- process

    def write_config(self):
        self.config_file.write_text(json.dumps(self.config, indent=2), encoding="utf-8")

    def spawn(self):
        self.write_config()
        command = [str(binary()), "serve", "-config", str(self.config_file)]
        if self._hosts_file:
            command = private_hosts(self._hosts_file, self._resolv_file) + command
        with open(self.log, "ab") as log:
            self._child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                           cwd=self.directory, env=self._environment(),
                                           start_new_session=True)
        return self

    def _environment(self):
        return {**os.environ, **self.environment}

    def start(self, deadline_s=10):
        self.spawn()

        def answers():
            if self._child.poll() is not None:
                return "exited"
            return self.raw("/api/lb-check")[0] == 200
        if wait_until(answers, deadline_s, f"the manager answers (log: {self.log})") == "exited":
            raise RuntimeError(f"the manager exited with {self._child.returncode}:\n{self.log_text()[-3000:]}")
        return self

    def __repr__(self):
        return "the manager"

    # -- HTTP

    def raw(self, path, timeout_s=15, headers=None, method="GET"):
        """(status, body text, headers) of any answer, errors included."""
        request = urllib.request.Request(self.url + path, headers=headers or {}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=timeout_s) as answer:
                return answer.status, answer.read().decode(), dict(answer.headers)
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode(), dict(error.headers)

    def get(self, path, timeout_s=15):
        """The JSON value of a route under /api/, or the whole envelope; raises ApiError for errors."""
        status, body, _ = self.raw("/api/" + path, timeout_s)
        try:
            value = json.loads(body)
        except ValueError:
            raise ApiError(path, status, body.strip()[:500]) from None
        if status >= 400 or (isinstance(value, dict) and value.get("Code") == "ERROR"):
            raise ApiError(path, status, _message(value, body))
        return value

    def details(self, path, timeout_s=15):
        return self.get(path, timeout_s)["Details"]

    def discover(self, node, deadline_s=10):
        """Hands over one seed; node is a lab node or (host, port)."""
        host, port = (node.host, node.port) if hasattr(node, "port") else node
        return wait_until(lambda: self.details(f"discover/{host}/{port}"), deadline_s, f"{host}:{port} is discovered", 0.1)

    def instances(self):
        """{port: instance} of everything known; for labs on one address."""
        return {i["Key"]["Port"]: i for i in self.get("all-instances")}

    def cluster(self, hint):
        return self.get(f"cluster/{urllib.parse.quote(str(hint), safe='')}")

    def clusters(self):
        return self.get("clusters")

    def analysis(self):
        """{port: set of codes} as replication-analysis says now."""
        found = {}
        for entry in self.details("replication-analysis"):
            codes = found.setdefault(entry["AnalyzedInstanceKey"]["Port"], set())
            codes.update(c for c in [entry["Analysis"], *(entry["StructureAnalysis"] or [])] if c)
        return found

    def failures(self):
        """{port: code} of what is broken; remarks on how a cluster is set up are not among them."""
        return {e["AnalyzedInstanceKey"]["Port"]: e["Analysis"] for e in self.details("replication-analysis")
                if e["Analysis"] not in ("", "NoProblem")}

    def agents(self):
        """{port: what its agent says} of the servers that agents guard."""
        return {a["Key"]["Port"]: a for a in self.get("v2/agents")["data"]}

    def rejoins(self):
        """{port: how it comes back} of the servers that are brought back, or were lately."""
        return {r["Key"]["Port"]: r for r in self.get("v2/rejoins")["data"]}

    def switchover(self, cluster, to=None, timeout_s=60):
        """Planned; returns the recovery. A refusal is an ApiError."""
        query = f"?to={to.key}" if to is not None else ""
        return self.get(f"v2/clusters/{urllib.parse.quote(str(cluster), safe='')}/switchover{query}", timeout_s)["data"]

    def recoveries(self):
        """Recoveries, newest first."""
        return self.get("audit-recovery")

    def finished_recoveries(self):
        return [r for r in self.recoveries() if r["RecoveryEndTimestamp"]]

    def steps(self, uid):
        return [s["Message"] for s in self.get(f"audit-recovery-steps/{uid}")]

    def ack_all(self):
        """Acknowledges all recoveries, so that the block period does not keep the next from happening."""
        return self.get("ack-all-recoveries?comment=lab")
