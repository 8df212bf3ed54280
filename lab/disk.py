"""A file system of its own for a server's files, which can fill up, hang, turn read-only or fail (needs root).

An ext4 image that lies in memory, on a loop device. The device goes away with the last mount of it.
"""

import contextlib
import errno
import fcntl
import os
import pathlib
import shutil
import struct
import subprocess

from lab import postgres
from lab.wait import wait_until

# linux/loop.h
LOOP_CONFIGURE, LOOP_CTL_GET_FREE = 0x4C0A, 0x4C82
LO_FLAGS_AUTOCLEAR = 4
LOOP_INFO_BEFORE_FLAGS, LOOP_INFO_BYTES, LOOP_CONFIG_RESERVED_BYTES = 52, 232, 64

F_ADD_SEALS, F_SEAL_WRITE = 1033, 8  # linux/fcntl.h

PROGRAMS = ("mkfs.ext4", "mount", "umount", "fsfreeze")


def available():
    """An empty text when such disks can be made here, else the reason why not."""
    if os.geteuid() != 0:
        return "file systems of their own need root"
    for program in PROGRAMS:
        if not shutil.which(program, path=_path()):
            return f"the program {program} is missing; run scripts/install-deps"
    try:
        with open("/proc/filesystems", encoding="ascii") as known:
            if "ext4" not in known.read().split():
                return "this kernel has no ext4"
        os.close(os.open("/dev/loop-control", os.O_RDWR | os.O_CLOEXEC))
    except OSError as error:
        return f"no loop devices here: {error}"
    return ""


class Disk:
    """One file system, mounted at `place` between up() and down(). holds: "data" (a server's whole data directory) or "wal"
    (its pg_wal alone)."""

    def __init__(self, holds="data", size_mb=512):
        self.holds, self.size = holds, size_mb << 20
        self.place = None
        self._image = None
        self._frozen = False

    def up(self, place):
        self.place = pathlib.Path(place)
        self.place.mkdir(mode=0o755)
        self._image = os.memfd_create("lab-disk", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        os.ftruncate(self._image, self.size)
        # Without a journal an error stays with the file that it is about, as it does with XFS's data.
        _run("mkfs.ext4", "-q", "-F", "-m", "0", "-N", "8192", "-O", "^has_journal", "-E", "lazy_itable_init=1,nodiscard",
             f"/proc/{os.getpid()}/fd/{self._image}")
        device, path = _attach(self._image)
        try:
            _run("mount", "-t", "ext4", "-o", "noatime,errors=continue", path, self.place)
        finally:
            os.close(device)  # the mount holds it now
        shutil.rmtree(self.place / "lost+found")
        self.place.chmod(0o700)
        postgres.own(self.place)
        return self

    def down(self):
        """For when nobody works there any more; what still does keeps the device until it ends."""
        if self._image is None:
            return
        self.thaw()
        with contextlib.suppress(RuntimeError):
            _run("umount", "-l", self.place)
        os.close(self._image)
        self._image = None

    # -- faults

    def fill(self):
        """Takes all the space that is left."""
        ballast = os.open(self.place / "ballast", os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            for block in (1 << 20, 1 << 16, 1 << 12):
                with _until_full():
                    while True:
                        os.posix_fallocate(ballast, os.fstat(ballast).st_size, block)
        finally:
            os.close(ballast)

    def make_room(self):
        (self.place / "ballast").unlink(missing_ok=True)

    def freeze(self):
        """Writes hang until thaw(), and so do the processes that write: not even SIGKILL ends them before."""
        _run("fsfreeze", "-f", self.place)
        self._frozen = True

    def thaw(self):
        if self._frozen:
            _run("fsfreeze", "-u", self.place)
        self._frozen = False

    def turn_read_only(self):
        """As after an error of the device: at once, whoever has files open for writing."""
        _run("mount", "-o", "remount,abort", self.place)

    def fail_writes(self):
        """From now on the device answers every write with an error (EIO). For good."""
        def sealed():
            fcntl.fcntl(self._image, F_ADD_SEALS, F_SEAL_WRITE)
            return True
        wait_until(sealed, 5, "the image takes no more writes")

    def used_percent(self):
        found = os.statvfs(self.place)
        return 100 * (1 - found.f_bavail / found.f_blocks)


@contextlib.contextmanager
def _until_full():
    try:
        yield
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise


def _attach(image):
    """(descriptor, path) of a loop device over a file; it lets go of the file when nobody uses the device any more."""
    info = bytearray(LOOP_INFO_BYTES)
    struct.pack_into("=I", info, LOOP_INFO_BEFORE_FLAGS, LO_FLAGS_AUTOCLEAR)
    config = struct.pack("=II", image, 0) + bytes(info) + bytes(LOOP_CONFIG_RESERVED_BYTES)
    with open("/dev/loop-control", "rb") as control:
        for _ in range(50):
            number = fcntl.ioctl(control, LOOP_CTL_GET_FREE)
            path = f"/dev/loop{number}"
            device = os.open(path, os.O_RDWR | os.O_CLOEXEC)
            try:
                fcntl.ioctl(device, LOOP_CONFIGURE, config)
                return device, path
            except OSError as error:
                os.close(device)
                if error.errno != errno.EBUSY:  # somebody else was quicker
                    raise
    raise OSError("no loop device is free")


def _path():
    return os.environ.get("PATH", "") + ":/usr/sbin:/sbin"


def _run(*words):
    done = subprocess.run([str(w) for w in words], capture_output=True, text=True, env={**os.environ, "PATH": _path()})
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(map(str, words))}: {done.stderr.strip() or done.stdout.strip()}")
