"""What the benches share: the cost of a process, builds, tables of figures and goals."""

import os
import pathlib
import statistics
import subprocess
import sys
import time

REPOSITORY = pathlib.Path(__file__).resolve().parent.parent
TICKS = os.sysconf("SC_CLK_TCK")


def use_release_build():
    """Figures are about what is shipped: $BATON, else the release build, and nothing else."""
    if not os.environ.get("BATON"):
        path = REPOSITORY / "build" / "release" / "baton"
        if not path.exists():
            sys.exit(f"no {path}: run `cmake --preset release && ninja -C build/release baton`, or set BATON")
        os.environ["BATON"] = str(path)
    return os.environ["BATON"]


def machine():
    """Cores and kernel, so that figures from two machines are not mixed up."""
    model = next((line.split(":", 1)[1].strip() for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines()
                  if line.startswith("model name")), "unknown processor")
    return f"{os.cpu_count()} cores ({model}), Linux {os.uname().release.split('-')[0]}"


def cpu_seconds(pid):
    """User and system time of a process, all threads."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def resident_mb(pid, peak=False):
    """Resident memory in MB (10^6 bytes)."""
    wanted = "VmHWM:" if peak else "VmRSS:"
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(wanted):
            return int(line.split()[1]) * 1024 / 1e6
    return 0.0


class CpuMeter:
    """Share of one core that a process takes, from the start of the meter on."""

    def __init__(self, pid):
        self.pid, self.began, self.used = pid, time.monotonic(), cpu_seconds(pid)

    def percent(self):
        return 100 * (cpu_seconds(self.pid) - self.used) / (time.monotonic() - self.began)


def metric(text, name, labels=""):
    """The value of one line of a Prometheus page, or None."""
    prefix = f"{name}{labels} "
    return next((float(line[len(prefix):]) for line in text.splitlines() if line.startswith(prefix)), None)


def spread(values):
    """(least, median, most) of the values that there are, or None."""
    known = [v for v in values if v is not None]
    return (min(known), statistics.median(known), max(known)) if known else None


def print_table(rows, header=("what", "measured", "goal", "")):
    """rows: (what, measured, goal, verdict) as text."""
    rows = [header, *rows]
    widths = [max(len(str(row[i])) for row in rows) for i in range(len(header))]
    for row in rows:
        print("  " + "  ".join(str(cell).ljust(width) for cell, width in zip(row, widths)).rstrip())


def verdict(measured, at_most):
    return "reached" if measured <= at_most else "MISSED"


def pinned(command, core):
    """The command, held on one core."""
    return ["taskset", "-c", str(core), *[str(word) for word in command]]


def run_quietly(command):
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
