"""A cluster of real PostgreSQL servers: one primary and its standbys, in any tree."""

import contextlib
import dataclasses
import json
import os
import pathlib
import shutil
import signal
import subprocess
import threading
import time

import psycopg2

from lab import postgres, processes
from lab.wait import wait_until

START_DEADLINE_S = 30


@dataclasses.dataclass
class Spec:
    """How one server is set up. Everything is plain data, so that it can be saved with the cluster."""

    name: str
    port: int
    host: str = "127.0.0.1"            # where it listens
    upstream: str = ""                 # name of the server that it follows; empty for the primary
    known_as: str = ""                 # the host name that its standbys use for it; empty: its host
    application_name: str = "name"     # name | hostport | none | or any literal text
    slot: bool = True                  # a physical slot of its own on the upstream
    conninfo: str = "plain"            # plain | multi | socket | uri
    extra_conninfo: str = ""           # more key=value words for primary_conninfo
    settings: dict = dataclasses.field(default_factory=dict)
    namespace: str = ""                # network namespace to run in; empty: this one

    @property
    def slot_name(self):
        return "slot_" + self.name.replace("-", "_")


def quoted(value):
    """A libpq conninfo value, quoted exactly when pg_basebackup -R would quote it."""
    if value and all(c.isascii() and (c.isalnum() or c in "_.") for c in value):
        return value
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


class Node:
    """One server of a cluster."""

    def __init__(self, cluster, spec):
        self.cluster, self.spec = cluster, spec
        self.name, self.host, self.port = spec.name, spec.host, spec.port
        self.home = cluster.directory / self.name
        self.disk = cluster.disks.get(self.name)
        self.data = self.home / ("disk/data" if self.disk and self.disk.holds == "data" else "data")
        self.log = self.home / "log"
        self.pid = 0
        self._child = None

    def __repr__(self):
        return f"{self.name}({self.host}:{self.port})"

    @property
    def key(self):
        """host:port, as an operator writes it."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    # -- processes

    def spawn(self):
        """Starts the postmaster and does not wait until it answers."""
        processes.release_segment(self.data)
        (self.data / "postmaster.pid").unlink(missing_ok=True)
        command = [*self.cluster.prefix(self.spec), str(postgres.bin_directory(self.cluster.version) / "postgres"),
                   "-D", str(self.data)]
        identity = {} if self.cluster.prefix(self.spec) else postgres.as_server_user()
        with open(self.log, "ab") as log:
            self._child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/",
                                           start_new_session=True, **identity)
        self.pid = self._child.pid
        # A zombie would pass for a postmaster that lives: whoever starts the server next could not.
        threading.Thread(target=self._child.wait, daemon=True).start()
        self.cluster.save()

    def start(self, deadline_s=START_DEADLINE_S):
        self.spawn()
        self.wait_ready(deadline_s)
        return self

    def wait_ready(self, deadline_s=START_DEADLINE_S):
        def ready():
            if self._child is not None and self._child.poll() is not None:
                return "exited"
            return self.sql("SELECT 1") and "ready"
        state = wait_until(ready, deadline_s, f"{self} accepts connections (log: {self.log})")
        if state == "exited":
            raise RuntimeError(f"{self} exited at once with {self._child.returncode}:\n{self.log_text()[-2000:]}")

    def pids(self):
        return processes.working_in(self.data)

    def postmaster(self):
        """The id of the postmaster, whoever has started it (a host agent, too)."""
        try:
            pid = int((self.data / "postmaster.pid").read_text(encoding="ascii").split("\n", 1)[0])
        except (OSError, ValueError):
            return self.pid
        return pid if pid in self.pids() else self.pid

    def alive(self):
        return any(not processes.is_zombie(pid) for pid in self.pids())

    def kill9(self):
        """SIGKILL to all processes at once; returns the monotonic time of it."""
        began = processes.kill_all(self.data, self.postmaster())
        if self._child is not None:
            self._child.wait(5)
        return began

    def kill_postmaster(self):
        """SIGKILL to the postmaster only: backends find out by themselves, busy ones go on for a while."""
        os.kill(self.postmaster(), signal.SIGKILL)
        return time.monotonic()

    def stop(self, mode="fast", deadline_s=30):
        number = {"smart": signal.SIGTERM, "fast": signal.SIGINT, "immediate": signal.SIGQUIT}[mode]
        postmaster = self.postmaster()
        processes.send([postmaster], number)

        def gone():
            processes.reap([postmaster])
            return not self.alive()
        wait_until(gone, deadline_s, f"{self} stops ({mode})")

    def freeze(self, postmaster_only=False):
        """SIGSTOP: the server hangs, the kernel still accepts connections for it."""
        postmaster = self.postmaster()
        processes.send([postmaster], signal.SIGSTOP)  # first, so that it starts no more of the others
        wanted = [postmaster] if postmaster_only else self.pids()
        processes.send(wanted, signal.SIGSTOP)
        wait_until(lambda: all(processes.state_of(pid) in "TZ" for pid in wanted), 5, f"{self} stands still")

    def thaw(self):
        processes.send(self.pids(), signal.SIGCONT)

    def crash_a_backend(self):
        """Kills one client backend, so that the server goes through crash recovery by itself."""
        victim = self.connect()
        os.kill(victim.get_backend_pid(), signal.SIGKILL)
        with contextlib.suppress(psycopg2.Error):
            victim.close()

    # -- SQL, always as the superuser through the Unix socket unless said otherwise

    def connect(self, database="postgres", user="postgres", timeout_s=5):
        connection = psycopg2.connect(host=str(self.cluster.sockets), port=self.port, user=user, dbname=database,
                                      connect_timeout=timeout_s, application_name="lab")
        connection.autocommit = True
        return connection

    def sql(self, statement, parameters=None, database="postgres"):
        """Rows of a statement, or [] for one that returns none."""
        with contextlib.closing(self.connect(database)) as connection, connection.cursor() as cursor:
            cursor.execute(statement, parameters)
            return cursor.fetchall() if cursor.description else []

    def value(self, statement, parameters=None, database="postgres"):
        rows = self.sql(statement, parameters, database)
        return rows[0][0] if rows else None

    def is_primary(self):
        return not self.value("SELECT pg_is_in_recovery()")

    def system_identifier(self):
        return str(self.value("SELECT system_identifier FROM pg_control_system()"))

    def timeline(self):
        """The timeline that this server writes, or the one that it has received."""
        if self.is_primary():
            return int(self.value("SELECT substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8)"), 16)
        return self.value("SELECT greatest((SELECT received_tli FROM pg_stat_wal_receiver), "
                          "(SELECT timeline_id FROM pg_control_checkpoint()))")

    def received_lsn(self):
        """Bytes of WAL received (standby) or flushed (primary)."""
        return int(self.value(
            "SELECT CASE WHEN pg_is_in_recovery() THEN greatest(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn()) "
            "ELSE pg_current_wal_flush_lsn() END - '0/0'::pg_lsn"))

    def streams_from(self):
        """(host, port) of the sender while the receiver streams, else None."""
        rows = self.sql("SELECT sender_host, sender_port FROM pg_stat_wal_receiver WHERE status = 'streaming'")
        return rows[0] if rows else None

    def streams_from_node(self, upstream):
        sender = self.streams_from()
        return bool(sender) and sender[1] == upstream.port

    def conninfo(self):
        """primary_conninfo in effect."""
        return self.value("SELECT setting FROM pg_settings WHERE name = 'primary_conninfo'")

    def rows(self, table="ledger"):
        """Ids in the application's ledger."""
        return {row[0] for row in self.sql(f"SELECT id FROM {table}", database=postgres.APP_DATABASE)}

    def set(self, name, value, reload=True):
        """ALTER SYSTEM as superuser."""
        with contextlib.closing(self.connect()) as connection, connection.cursor() as cursor:
            cursor.execute(f"ALTER SYSTEM SET {name} = %s", (value,))
            if reload:
                cursor.execute("SELECT pg_reload_conf()")

    def reload(self):
        self.sql("SELECT pg_reload_conf()")

    def write_hba(self, text=postgres.HBA):
        (self.data / "pg_hba.conf").write_text(text, encoding="utf-8")
        self.reload()

    def log_text(self):
        return self.log.read_text(encoding="utf-8", errors="replace") if self.log.exists() else ""

    # -- becoming a standby

    def write_standby_files(self, upstream):
        """standby.signal and primary_conninfo, as pg_basebackup -R leaves them."""
        text = f"primary_conninfo = '{self.conninfo_to(upstream).replace(chr(39), chr(39) * 2)}'\n"
        if self.spec.slot:
            text += f"primary_slot_name = '{self.spec.slot_name}'\n"
        for path, content in ((self.data / "postgresql.auto.conf", text), (self.data / "standby.signal", "")):
            path.write_text(content, encoding="utf-8")
            postgres.own(path)

    def conninfo_to(self, upstream):
        spec, cluster = self.spec, self.cluster
        words = [f"user={postgres.REPLICATION_USER}", f"password={quoted(postgres.REPLICATION_PASSWORD)}",
                 "channel_binding=prefer"]
        host = upstream.spec.known_as or upstream.host
        if spec.conninfo == "uri":
            name = self.application_name()
            more = f"&application_name={name.replace(':', '%3A')}" if name else ""
            address = f"[{host}]" if ":" in host else host
            return (f"postgresql://{postgres.REPLICATION_USER}:{postgres.REPLICATION_PASSWORD}@{address}:{upstream.port}/"
                    f"?sslmode=prefer{more}")
        if spec.conninfo == "multi":
            others = [n for n in cluster.nodes.values() if n is not self]
            others.sort(key=lambda n: n is not upstream)
            words.append("host=" + ",".join(n.spec.known_as or n.host for n in others))
            words.append("port=" + ",".join(str(n.port) for n in others))
            words.append("target_session_attrs=read-write")
        elif spec.conninfo == "socket":
            words += [f"host={quoted(str(cluster.sockets))}", f"port={upstream.port}"]
        else:
            words += [f"host={quoted(host)}", f"port={upstream.port}"]
        words += ["sslmode=prefer", "sslcompression=0", "sslsni=1"] if int(cluster.version) >= 14 else ["sslmode=prefer"]
        if spec.extra_conninfo:
            words.append(spec.extra_conninfo)
        if self.application_name():
            words.append(f"application_name={quoted(self.application_name())}")
        return " ".join(words)

    def application_name(self):
        choice = self.spec.application_name
        if choice == "name":
            return self.name
        if choice == "hostport":
            return self.key
        return "" if choice == "none" else choice

    def ensure_slot_on(self, upstream):
        if self.spec.slot:
            upstream.sql("SELECT pg_create_physical_replication_slot(%s, true) WHERE NOT EXISTS "
                         "(SELECT 1 FROM pg_replication_slots WHERE slot_name = %s)",
                         (self.spec.slot_name, self.spec.slot_name))

    def rejoin(self, upstream, deadline_s=START_DEADLINE_S):
        """This server, stopped or dead, comes back as a fresh standby of `upstream`."""
        if self.alive():
            self.kill9()
        processes.release_segment(self.data)
        shutil.rmtree(self.data, ignore_errors=True)
        self.ensure_slot_on(upstream)
        self.cluster.copy_online(upstream, self.data)
        self.cluster.write_conf(self)
        self.write_standby_files(upstream)
        self.start(deadline_s)
        wait_until(lambda: self.streams_from_node(upstream), deadline_s, f"{self} streams from {upstream}")

    def rejoin_as_it_is(self, upstream):
        """standby.signal beside whatever data there is, without rewind or copy."""
        self.write_standby_files(upstream)
        self.start()


class Cluster:
    """Starts, breaks and ends servers; everything of it lies in one directory."""

    def __init__(self, directory, specs, version=15, identity=0, hosts=None, settings=None, method="auto", disks=None):
        self.directory = pathlib.Path(directory)
        self.sockets = self.directory / "s"
        self.version, self.identity, self.method = int(version), identity, method
        self.hosts = hosts or {}       # name -> address, seen only by this cluster's servers (needs root)
        self.settings = settings or {}
        self.disks = disks or {}       # name -> disk.Disk of its own; not saved: it ends with its test
        self.nodes = {spec.name: Node(self, spec) for spec in specs}
        self._saving = threading.Lock()
        if len(str(self.sockets)) > 85:
            raise ValueError(f"{self.sockets}: too long for a Unix socket; choose a shorter directory")

    @classmethod
    def simple(cls, directory, nodes=3, base_port=5501, topology="star", version=15, distinct_addresses=False,
               node_options=None, **more):
        """n1 is the primary. star: all follow n1; cascade: each follows the one before; tree: n2 and n3 follow n1, the
        rest hang below n2 and n3 in turn. node_options: {name: {field of Spec: value}}; the key "*" is for all."""
        specs = []
        for i in range(1, nodes + 1):
            upstream = {"star": "n1", "cascade": f"n{i - 1}", "tree": "n1" if i <= 3 else f"n{2 + i % 2}"}[topology]
            spec = Spec(name=f"n{i}", port=base_port + i - 1, upstream=upstream if i > 1 else "",
                        host=f"127.0.0.{10 + i}" if distinct_addresses else "127.0.0.1")
            options = {**(node_options or {}).get("*", {}), **(node_options or {}).get(spec.name, {})}
            specs.append(dataclasses.replace(spec, **options))
        return cls(directory, specs, version=version, **more)

    def __getitem__(self, name):
        return self.nodes[name]

    def __iter__(self):
        return iter(self.nodes.values())

    @property
    def root(self):
        """The server that the others were first set up to follow."""
        return next(n for n in self if not n.spec.upstream)

    def standbys_of(self, node):
        return [n for n in self if n.spec.upstream == node.name]

    def primary(self):
        """The one reachable server that is not in recovery; an error when there are none or several."""
        found = []
        for node in self:
            with contextlib.suppress(psycopg2.Error):
                if node.alive() and node.is_primary():
                    found.append(node)
        if len(found) != 1:
            raise LookupError(f"{len(found)} writable servers: {found}")
        return found[0]

    def prefix(self, spec):
        """The command that puts a server in its namespaces and changes the user; empty where neither is needed."""
        if not spec.namespace and not self.hosts:
            return []
        words = []
        if spec.namespace:
            words += ["ip", "netns", "exec", spec.namespace]
        if self.hosts:
            words += private_hosts(self.directory / "hosts")
        user = postgres.server_user()
        if user is not None:
            words += ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--init-groups"]
        return words

    # -- life

    def up(self, deadline_s=60):
        self.prepare()
        root = self.root
        for node in self:
            node.home.mkdir(mode=0o755, exist_ok=True)
            postgres.own(node.home)
            if node.disk:
                node.disk.up(node.home / "disk")
        self._copy_template(root)
        root.start(deadline_s)
        level = [root]
        while level:
            below = [(child, parent) for parent in level for child in self.standbys_of(parent)]
            self._in_parallel(lambda pair: self._make_standby(*pair), below)
            level = [child for child, _ in below]
        wait_until(self.all_streaming, deadline_s, f"all standbys in {self.directory} stream")
        return self

    def prepare(self):
        self.directory.mkdir(parents=True, exist_ok=True)
        self.directory.chmod(0o755)
        self.sockets.mkdir(mode=0o700, exist_ok=True)
        postgres.own(self.sockets)
        if self.hosts:
            lines = ["127.0.0.1 localhost", "::1 localhost"] + [f"{ip} {name}" for name, ip in self.hosts.items()]
            (self.directory / "hosts").write_text("\n".join(lines) + "\n", encoding="ascii")
        self.save()

    def _make_standby(self, node, upstream):
        node.ensure_slot_on(upstream)
        if self.method == "basebackup":
            self._basebackup(node, upstream)
        elif self.method == "online":
            self.copy_online(upstream, node.data)
        else:
            self._copy_template(node)
        self.write_conf(node)
        node.write_standby_files(upstream)
        node.start()

    def _copy_template(self, node):
        """A cold copy: the primary started from the same files, so all their WAL since then is there to stream."""
        postgres.copy_tree(postgres.template(self.version, self.identity), node.data)
        node.data.chmod(0o700)
        if node.disk and node.disk.holds == "wal":
            inside, apart = node.data / "pg_wal", node.disk.place / "wal"
            postgres.copy_tree(inside, apart)
            shutil.rmtree(inside)
            inside.symlink_to(apart)
        self.write_conf(node)

    def _basebackup(self, node, upstream):
        postgres.run([postgres.bin_directory(self.version) / "pg_basebackup", "-D", node.data, "-R", "-X", "stream",
                      "--checkpoint=fast", "--no-sync", "-d",
                      f"host={upstream.host} port={upstream.port} user={postgres.REPLICATION_USER} "
                      f"password={postgres.REPLICATION_PASSWORD}"])

    def copy_online(self, source, target):
        """A base backup of a running server by its own functions: works where pg_basebackup does not come along."""
        start, stop = ("pg_backup_start", "pg_backup_stop") if self.version >= 15 else ("pg_start_backup", "pg_stop_backup")
        standby = not source.is_primary()
        with contextlib.closing(source.connect()) as connection, connection.cursor() as cursor:
            cursor.execute(f"SELECT {start}('lab', true)" if self.version >= 15 else f"SELECT {start}('lab', true, false)")
            shutil.rmtree(target, ignore_errors=True)
            postgres.copy_tree(source.data, target)
            cursor.execute(f"SELECT labelfile, lsn FROM {stop}(false)" if self.version >= 15 or standby
                           else f"SELECT labelfile, lsn FROM {stop}(false, false)")
            label, _ = cursor.fetchone()
            for segment in (source.data / "pg_wal").iterdir():
                if segment.is_file():
                    with contextlib.suppress(RuntimeError):
                        postgres.copy_tree(segment, pathlib.Path(target) / "pg_wal" / segment.name)
        target = pathlib.Path(target)
        for name in ("postmaster.pid", "postmaster.opts"):
            (target / name).unlink(missing_ok=True)
        for slot in (target / "pg_replslot").iterdir():
            shutil.rmtree(slot)
        (target / "backup_label").write_text(label, encoding="ascii")
        postgres.own(target / "backup_label")

    def write_conf(self, node):
        listen = f"'{node.host}'" if node.host != "127.0.0.1" or not self.hosts else "'127.0.0.1'"
        postgres.write_conf(node.data, {
            "port": node.port, "listen_addresses": listen, "unix_socket_directories": f"'{self.sockets}'",
            "cluster_name": f"'{node.name}'", **self.settings, **node.spec.settings})

    def all_streaming(self):
        return all(n.streams_from() for n in self if n.spec.upstream)

    def caught_up(self, primary=None):
        """Whether all standbys have received everything that the primary has flushed."""
        primary = primary or self.primary()
        target = primary.received_lsn()
        return all(n.received_lsn() >= target for n in self if n is not primary and n.alive())

    def thaw(self):
        """Nothing of it stands still in a disk that hangs any more."""
        for disk in self.disks.values():
            disk.thaw()

    def down(self, remove=True):
        """Ends every process of this cluster, by its own id, and removes its directory."""
        self.thaw()
        for node in self:
            processes.send(node.pids(), signal.SIGCONT)
            processes.kill_all(node.data, node.pid)
            processes.release_segment(node.data)
        for disk in self.disks.values():
            disk.down()
        if remove:
            shutil.rmtree(self.directory, ignore_errors=True)

    @staticmethod
    def _in_parallel(work, items):
        errors = []

        def guarded(item):
            try:
                work(item)
            except Exception as error:  # carried to the caller's thread below
                errors.append(error)
        threads = [threading.Thread(target=guarded, args=(item,)) for item in items]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if errors:
            raise errors[0]

    # -- addresses

    def dsn(self, attributes="read-write", connect_timeout_s=2):
        """A libpq connect string with all hosts of the cluster."""
        return (f"host={','.join(n.host for n in self)} port={','.join(str(n.port) for n in self)} "
                f"dbname={postgres.APP_DATABASE} user={postgres.APP_USER} password={postgres.APP_PASSWORD} "
                f"target_session_attrs={attributes} connect_timeout={connect_timeout_s}")

    # -- record

    def save(self):
        with self._saving:
            state = {"version": self.version, "identity": self.identity, "hosts": self.hosts, "settings": self.settings,
                     "method": self.method,
                     "nodes": [{"spec": dataclasses.asdict(n.spec), "pid": n.pid} for n in self]}
            path = self.directory / "lab.json"
            path.with_suffix(".new").write_text(json.dumps(state, indent=1), encoding="utf-8")
            os.replace(path.with_suffix(".new"), path)

    @classmethod
    def load(cls, directory):
        try:
            state = json.loads((pathlib.Path(directory) / "lab.json").read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise FileNotFoundError(f"no lab in {directory}: start one with `lab.py up --dir {directory}`") from None
        cluster = cls(directory, [Spec(**n["spec"]) for n in state["nodes"]], state["version"], state["identity"],
                      state["hosts"], state["settings"], state["method"])
        for record in state["nodes"]:
            cluster[record["spec"]["name"]].pid = record["pid"]
        return cluster


def private_hosts(path, resolver=None):
    """A command prefix that shows the programs behind it another /etc/hosts (and /etc/resolv.conf), in a mount namespace
    of their own."""
    mounts = 'mount --bind "$0" /etc/hosts'
    if resolver:
        mounts += f' && mount --bind "{resolver}" /etc/resolv.conf'
    return ["unshare", "--mount", "--propagation", "private", "sh", "-c", f'{mounts} && exec "$@"', str(path)]
