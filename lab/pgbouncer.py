"""PgBouncer between clients and a cluster: its configuration, the file of its targets, its admin console, its agent."""

import contextlib
import os
import pathlib
import shutil
import signal
import socket
import subprocess

import psycopg2
import psycopg2.extras

from lab import agent as agents
from lab import postgres
from lab.child import Child
from lab.wait import wait_until

ADMIN, ADMIN_PASSWORD = "baton_admin", "lab-pgbouncer-secret"
NAME = "pb1"


def program():
    """The program, or None: $PGBOUNCER, else where Debian puts it."""
    found = os.environ.get("PGBOUNCER") or shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    return found if found and os.access(found, os.X_OK) else None


def available():
    """An empty text when a PgBouncer can be run here, else the reason why not."""
    return "" if program() else "pgbouncer is not installed (Debian: pgbouncer), and PGBOUNCER names no program"


class PgBouncer(Child):
    """One PgBouncer, run as the servers' user. Its targets are in a file of their own, which its agent may rewrite.

    host: where it listens. databases: names under which it leads to the application's database."""

    def __init__(self, directory, port, host="127.0.0.1", databases=(postgres.APP_DATABASE,), pool_mode="transaction", name=NAME):
        self.home, self.port, self.host = pathlib.Path(directory), port, host
        self.databases, self.pool_mode, self.name = list(databases), pool_mode, name
        self.targets_file, self.pid_file = self.home / "targets.ini", self.home / "pid"
        self.log, self._child, self._file = self.home / "log", None, self.home / "pgbouncer.ini"

    @classmethod
    def load(cls, directory):
        """One that another process has started there, or None."""
        file = pathlib.Path(directory) / "pgbouncer.ini"
        if not file.exists():
            return None
        settings = dict(line.split(" = ", 1) for line in file.read_text(encoding="utf-8").splitlines() if " = " in line)
        return cls(directory, int(settings["listen_port"]), settings["listen_addr"], pool_mode=settings["pool_mode"])

    def __repr__(self):
        return f"PgBouncer {self.name} on {self.host}:{self.port}"

    # -- process

    def _write(self, path, text):
        path.write_text(text, encoding="utf-8")
        path.chmod(0o600)
        postgres.own(path)

    def write_files(self, target):
        self.home.mkdir(parents=True, exist_ok=True)
        self.home.chmod(0o755)
        postgres.own(self.home)
        users = self.home / "users"
        self._write(users, "".join(f'"{user}" "{password}"\n' for user, password in (
            (ADMIN, ADMIN_PASSWORD), (postgres.APP_USER, postgres.APP_PASSWORD))))
        self._write(self.targets_file, "".join(f"{name} = host={target.host} port={target.port} dbname={postgres.APP_DATABASE}\n"
                                               for name in self.databases))
        self._write(self._file, f"""[databases]
%include {self.targets_file}
[pgbouncer]
listen_addr = {self.host}
listen_port = {self.port}
unix_socket_dir = {self.home}
auth_type = scram-sha-256
auth_file = {users}
admin_users = {ADMIN}
pool_mode = {self.pool_mode}
pidfile = {self.pid_file}
logfile = {self.log}
max_client_conn = 200
default_pool_size = 10
""")

    def start(self, target, deadline_s=10):
        """It leads to the server `target` at first."""
        self.write_files(target)
        self._child = subprocess.Popen([program(), str(self._file)], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                       stderr=subprocess.DEVNULL, cwd="/", start_new_session=True, **postgres.as_server_user())

        def answers():
            if self._child.poll() is not None:
                return "exited"
            return self.admin("SHOW VERSION")
        if wait_until(answers, deadline_s, f"{self} answers (log: {self.log})") == "exited":
            raise RuntimeError(f"{self} exited with {self._child.returncode}:\n{self.log_text()[-3000:]}")
        return self

    # -- its console, and what a manager and an agent need to know of it

    def admin(self, command):
        """The rows of a command of the admin console, as dictionaries."""
        with contextlib.closing(psycopg2.connect(host=self.host, port=self.port, user=ADMIN, password=ADMIN_PASSWORD,
                                                 dbname="pgbouncer", connect_timeout=3)) as connection:
            connection.autocommit = True
            with connection.cursor(cursor_factory=psycopg2.extras.RealDictCursor) as cursor:
                cursor.execute(command)
                return [dict(row) for row in cursor.fetchall()] if cursor.description else []

    def pause(self):
        for name in self.databases:
            self.admin(f'PAUSE "{name}"')

    def resume(self):
        for name in self.databases:
            self.admin(f'RESUME "{name}"')

    def route(self):
        """(host, port, paused) of its first database, as it is now."""
        row = next(r for r in self.admin("SHOW DATABASES") if r["name"] == self.databases[0])
        return row["host"], int(row["port"]), bool(int(row["paused"]))

    def paused(self):
        return self.route()[2]

    def leads_to(self, node):
        return self.route()[:2] == (node.host, node.port)

    def dsn(self, database=None):
        return (f"host={self.host} port={self.port} dbname={database or self.databases[0]} user={postgres.APP_USER} "
                f"password={postgres.APP_PASSWORD}")

    def entry(self, **more):
        """For `Routers` of a manager's configuration; its agent rewrites the targets."""
        return {"Type": "pgbouncer", "Name": self.name, "Address": f"{self.host}:{self.port}", "User": ADMIN,
                "Password": ADMIN_PASSWORD, "Databases": self.databases, "Agent": socket.gethostname(), **more}

    def agent_entry(self):
        """For `PgBouncers` of an agent's configuration."""
        return {"Name": self.name, "DatabasesFile": str(self.targets_file), "PidFile": str(self.pid_file),
                "SocketDirectory": str(self.home), "Port": self.port}


def end_left(directory):
    """Ends the PgBouncer that another process has started there, and its agent before it."""
    directory = pathlib.Path(directory)
    for pid_file, configuration in ((directory / "agent/pid", directory / "agent/agent.conf.json"),
                                    (directory / "pid", directory / "pgbouncer.ini")):
        with contextlib.suppress(OSError, ValueError):
            pid = int(pid_file.read_text(encoding="ascii"))
            if str(configuration).encode() in pathlib.Path(f"/proc/{pid}/cmdline").read_bytes():
                os.kill(pid, signal.SIGKILL)


class PoolerAgent(agents.Agent):
    """The agent of a host where a PgBouncer runs, and no server."""

    def __init__(self, pooler, managers, token=agents.TOKEN, settings=None):
        self.pooler, self.name, self.node = pooler, pooler.name, None
        self._set_home(pooler.home / "agent")
        self.config = {"Managers": list(managers), "Token": token, "UseTLS": False, "StateDirectory": str(self.state),
                       "PgBouncers": [pooler.agent_entry()], **(settings or {})}

    def __repr__(self):
        return f"agent of {self.pooler}"

    def command_prefix(self):
        return []
