"""What the tests of trust between agents and managers stand on: certificates, agents of hosts without a database, and both ends
of the agents' protocol spoken by hand."""

import contextlib
import json
import os
import pathlib
import socket
import subprocess
import threading

from lab import agent as agents
from lab import manager as managers
from lab import postgres
from lab.child import Child
from lab.wait import wait_until

SOON_DAYS = 5


class Authority:
    """A certificate authority in a directory. Its files belong to the servers' user, who runs the agents."""

    def __init__(self, directory, unit="agents"):
        self.directory, self.unit = directory, unit
        self._certs()

    def _certs(self, *words):
        subprocess.run([str(managers.binary()), "certs", str(self.directory), *words], check=True, capture_output=True,
                       timeout=60)
        self.directory.chmod(0o755)
        for file in self.directory.iterdir():
            postgres.own(file)

    @property
    def ca(self):
        return str(self.directory / "ca.crt")

    def host(self, name, days=730, unit=None):
        """Makes (anew) the certificate of a host on 127.0.0.1. Returns its two files."""
        files = [self.directory / f"{name}.{kind}" for kind in ("crt", "key")]
        for file in files:
            file.unlink(missing_ok=True)
        self._certs("--host", f"{name},127.0.0.1", "--days", str(days), "--unit", unit or self.unit)
        return [str(file) for file in files]

    def expired(self, name):
        """The same, but its time is over."""
        certificate, key = self.host(name)
        request, names = f"{certificate}.csr", f"{certificate}.ext"
        with open(names, "w", encoding="ascii") as file:
            file.write("subjectAltName=IP:127.0.0.1\nextendedKeyUsage=serverAuth,clientAuth\n")
        for words in (["req", "-new", "-key", key, "-subj", f"/O=Baton/OU={self.unit}/CN={name}", "-out", request],
                      ["x509", "-req", "-in", request, "-CA", self.ca, "-CAkey", str(self.directory / "ca.key"),
                       "-CAcreateserial", "-days", "-1", "-extfile", names, "-out", certificate]):
            subprocess.run(["openssl", *words], check=True, capture_output=True, timeout=60)
        for file in (certificate, key):
            postgres.own(file)
        return [certificate, key]

    def of_manager(self, **more):
        """Keys of a manager's configuration: TLS, and a certificate asked for."""
        certificate, key = self.host("manager")
        return {"AgentsUseSSL": True, "AgentsUseMutualTLS": True, "AgentSSLCertFile": certificate,
                "AgentSSLPrivateKeyFile": key, "AgentSSLCAFile": self.ca, "AgentSSLValidOUs": [self.unit], **more}

    def of_agent(self, name, **options):
        """Keys of an agent's configuration."""
        certificate, key = self.host(name, **options)
        return {"UseTLS": True, "CAFile": self.ca, "CertFile": certificate, "KeyFile": key}


def guarded(world, nodes, settings_of, config=None, token="", kind=agents.Agent, **manager_options):
    """As World.guarded(), with settings of its own for each agent. Returns (cluster, manager, {name: agent})."""
    cluster = world.cluster(nodes)
    port, peers = world.ports(1), world.ports(nodes)
    manager = world.manager(cluster, config={**agents.manager_settings(port, token), **(config or {})}, **manager_options)
    manager.agents_address = f"127.0.0.1:{port}"
    beside = {}
    for i, node in enumerate(cluster):
        beside[node.name] = world.guard(kind(node, [manager.agents_address], peers + i, token=token,
                                             settings=settings_of(node.name)))
    world.watch(manager, cluster)
    return cluster, manager, beside


class BareAgent(Child):
    """The agent of a host without a database: beside a pooler that it never sees."""

    def __init__(self, home, name, manager, settings):
        self.name, self.home = name, home / name
        for directory in (self.home, self.home / "state"):
            directory.mkdir(mode=0o700)
            postgres.own(directory)
        self.log, self.config_file = self.home / "log", self.home / "agent.conf.json"
        pooler = {"Name": name, "DatabasesFile": str(self.home / "databases.ini"), "PidFile": str(self.home / "pooler.pid")}
        self.config = {"Managers": [manager], "UseTLS": False, "StateDirectory": str(self.home / "state"), "Instances": [],
                       "PgBouncers": [pooler], **settings}

    def __repr__(self):
        return f"agent {self.name}"

    def start(self):
        self.config_file.write_text(json.dumps(self.config), encoding="utf-8")
        self.config_file.chmod(0o600)
        postgres.own(self.config_file)
        with open(self.log, "ab") as log:
            self._child = subprocess.Popen([str(agents.program()), "agent", "-config", str(self.config_file)],
                                           stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/", start_new_session=True,
                                           **postgres.as_server_user())
        return self


def status(host, port, **more):
    return {"key": f"{host}:{port}", "state": "running", **more}


class Lines:
    """One end of a connection of lines."""

    def __init__(self, connection):
        self.connection = connection
        self.connection.settimeout(15)
        self._rest = b""
        self.heard = []

    def send(self, frame):
        self.send_bytes(json.dumps(frame).encode() + b"\n")

    def send_bytes(self, data):
        self.connection.sendall(data)

    def hear(self):
        """The next frame; None at the end."""
        while b"\n" not in self._rest:
            try:
                more = self.connection.recv(65536)
            except ConnectionError:
                return None
            if not more:
                return None
            self._rest += more
        line, self._rest = self._rest.split(b"\n", 1)
        frame = json.loads(line)
        self.heard.append(frame)
        return frame

    def hear_a(self, kind, match=lambda frame: True):
        """The next frame of that kind; what comes before is skipped."""
        while True:
            frame = self.hear()
            assert frame is not None, f"the connection ended; heard {[f['kind'] for f in self.heard]}"
            if frame["kind"] == kind and match(frame):
                return frame

    def ended(self):
        """Waits for the end; returns why, if that was told."""
        reason = ""
        while (frame := self.hear()) is not None:
            if frame["kind"] == "refusal":
                reason = frame["reason"]
        return reason

    def close(self):
        with contextlib.suppress(OSError):
            self.connection.close()


class FakeManager:
    """Agents dial it; what it says to them, the test says."""

    def __init__(self):
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(20)
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self.sessions = []

    def accept(self):
        connection, _ = self._listener.accept()
        session = Lines(connection)
        self.sessions.append(session)
        return session

    def welcome(self, epoch):
        """The next session, let in."""
        session = self.accept()
        session.hello = session.hear_a("hello")
        session.send({"kind": "welcome", "protocol": 1, "version": "9", "manager": "by hand", "epoch": epoch,
                      "heartbeat_ms": 200})
        session.hear_a("beat")
        return session

    def close(self):
        for session in self.sessions:
            session.close()
        self._listener.close()


class FakeAgent(Lines):
    """It dials the manager, and says what the test says."""

    def __init__(self, address, token):
        host, port = address.rsplit(":", 1)
        super().__init__(socket.create_connection((host, int(port)), 10))
        self.token = token

    def hello(self, agent, host, instances=(), epoch=0, **more):
        self.send({"kind": "hello", "protocol": 1, "version": "9", "agent": agent, "host": host, "token": self.token,
                   "epoch": epoch, "instances": list(instances), **more})
        return self.hear()

    def beat(self, seq, instances=(), epoch=1, **more):
        self.send({"kind": "beat", "seq": seq, "sent_us": seq, "epoch": epoch, "instances": list(instances), **more})


LIBFAKETIME = "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1"


class JumpingClock:
    """A wall clock for the programs that run with `environment`: its offset changes by an hour, back and forth, every second.
    The monotonic clocks stay true."""

    def __init__(self, directory):
        self.file = directory / "faketime"
        self._write("+0")
        self.environment = {"LD_PRELOAD": LIBFAKETIME, "FAKETIME_TIMESTAMP_FILE": str(self.file), "FAKETIME_NO_CACHE": "1",
                            "DONT_FAKE_MONOTONIC": "1", "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
        self.jumps = 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._jump, daemon=True)

    @staticmethod
    def available():
        return os.path.exists(LIBFAKETIME)

    def _write(self, offset):
        fresh = self.file.with_suffix(".new")
        fresh.write_text(offset + "\n", encoding="ascii")
        fresh.chmod(0o644)
        fresh.rename(self.file)

    def _jump(self):
        while not self._over.wait(1.0):
            self.jumps += 1
            self._write("+3600" if self.jumps % 2 else "-3600")

    def start(self):
        self._thread.start()
        return self

    def stop(self):
        self._over.set()
        self._thread.join(5)

    @staticmethod
    def clean():
        """What the library leaves behind of programs that were killed."""
        for file in [*pathlib.Path("/dev/shm").glob("faketime_shm_*"), *pathlib.Path("/dev/shm").glob("sem.faketime_sem_*")]:
            if not os.path.exists(f"/proc/{file.name.rsplit('_', 1)[1]}"):
                file.unlink(missing_ok=True)


def wait_jumps(clock, count):
    until = clock.jumps + count
    wait_until(lambda: clock.jumps >= until, 5 + 2 * count, f"the clock jumps {count} times")


def wait_text(child, text, deadline_s=20):
    wait_until(lambda: text in child.log_text(), deadline_s, f"{child} logs {text!r}", 0.05)
