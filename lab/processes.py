"""Finding, stopping and killing exactly the processes of one server, and no others."""

import ctypes
import os
import pathlib
import signal
import time

IPC_RMID = 0
SEGMENT_LINE = 6  # of postmaster.pid: key and id of the System V segment that keeps two postmasters apart


def working_in(directory):
    """Ids of all processes whose working directory is `directory` or has been deleted there.

    Every PostgreSQL process, orphaned backends included, works in its data directory; a process group would not do,
    because each backend leads a group of its own.
    """
    wanted = os.path.realpath(directory)
    found = []
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            cwd = os.readlink(f"/proc/{entry}/cwd")
            executable = os.readlink(f"/proc/{entry}/exe")
        except OSError:
            continue
        if cwd.removesuffix(" (deleted)") == wanted and os.path.basename(executable).startswith("postgres"):
            found.append(int(entry))
    return found


def send(pids, number):
    for pid in pids:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            pass


def kill_all(directory, first_pid=None, deadline_s=5.0):
    """SIGKILL to every process of the server in `directory`, the postmaster (first_pid) first.

    Returns the monotonic time of the first kill.
    """
    pids = working_in(directory)
    pids.sort(key=lambda pid: pid != first_pid)
    began = time.monotonic()
    while pids:
        send(pids, signal.SIGKILL)
        if time.monotonic() - began > deadline_s:
            raise RuntimeError(f"processes {pids} in {directory} survive SIGKILL")
        reap(pids)
        time.sleep(0.001)
        pids = [pid for pid in working_in(directory) if not is_zombie(pid)]
    return began


def is_zombie(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as stat:
            return stat.read().rsplit(")", 1)[1].split()[0] == "Z"
    except OSError:
        return True


def reap(pids):
    for pid in pids:
        try:
            os.waitpid(pid, os.WNOHANG)
        except OSError:
            pass


def state_of(pid):
    """The kernel's letter for the state of a process, or '' when there is none such."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as stat:
            return stat.read().rsplit(")", 1)[1].split()[0]
    except OSError:
        return ""


def release_segment(directory):
    """Removes the System V segment that a killed server has left, as the server itself would at its next start.

    Only when nobody works in the directory any more.
    """
    if any(not is_zombie(pid) for pid in working_in(directory)):
        return
    try:
        words = (pathlib.Path(directory) / "postmaster.pid").read_text(encoding="ascii").splitlines()[SEGMENT_LINE].split()
        ctypes.CDLL(None).shmctl(int(words[1]), IPC_RMID, None)
    except (OSError, IndexError, ValueError):
        pass  # stopped in good order, or never got so far
