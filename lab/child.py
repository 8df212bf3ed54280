"""A program that this lab started, and ends again."""

import signal
import subprocess


class Child:
    """Who inherits sets `_child` to what it started, and `log` to its file; its text names it in messages."""

    _child = None

    @property
    def pid(self):
        return self._child.pid

    def running(self):
        return self._child is not None and self._child.poll() is None

    def stop(self, deadline_s=10):
        """SIGTERM; returns the exit status."""
        if self.running():
            self._child.terminate()
            try:
                self._child.wait(deadline_s)
            except subprocess.TimeoutExpired:
                self.kill9()
                raise AssertionError(f"{self} did not end within {deadline_s} s of SIGTERM") from None
        return self._child.returncode if self._child else None

    def hang_up(self):
        """SIGHUP: read the configuration again."""
        self._child.send_signal(signal.SIGHUP)

    def kill9(self):
        if self.running():
            self._child.kill()
            self._child.wait(5)

    def log_text(self):
        """What it has written to `log`."""
        return self.log.read_text(encoding="utf-8", errors="replace") if self.log.exists() else ""
