"""A client that writes all the time and remembers exactly what the database acknowledged."""

import contextlib
import os
import socket
import threading
import time

import psycopg2

IN_FLIGHT_S = 0.02


class Writer:
    """Inserts numbered rows through a multi-host connect string, one every interval_ms, until stopped.

    acknowledged: list of (id, monotonic time of the acknowledgement). A row whose commit was not acknowledged is
    never counted, whether or not it got in.
    """

    def __init__(self, dsn, interval_ms=5, patience_s=3.0, first_id=1, name="writer"):
        self.dsn, self.interval_s, self.patience_s, self.name = dsn, interval_ms / 1000, patience_s, name
        self.acknowledged = []
        self.kills = []                # see note_kill()
        self.errors = []               # (monotonic time, text), the last 1000
        self._next_id = first_id
        self._stop = threading.Event()
        self._connection = None
        self._busy_since = None
        self._threads = [threading.Thread(target=self._run, daemon=True),
                         threading.Thread(target=self._cut_hung_calls, daemon=True)]

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()

    def start(self):
        for thread in self._threads:
            thread.start()
        return self

    def stop(self):
        self._stop.set()
        if self._threads[0].is_alive():
            self._threads[0].join(2 * self.patience_s + 5)
        return self

    @property
    def count(self):
        return len(self.acknowledged)

    def last_acknowledged_at(self):
        return self.acknowledged[-1][1] if self.acknowledged else None

    def acknowledged_after(self, moment):
        """Number of rows acknowledged after a monotonic time."""
        return sum(1 for _, at in self.acknowledged if at > moment)

    def outage_around(self, moment):
        """The longest gap in seconds between acknowledgements that ends after `moment`; None while it still lasts."""
        times = [at for _, at in self.acknowledged]
        gaps = [later - earlier for earlier, later in zip(times, times[1:]) if later > moment]
        return max(gaps, default=None)

    def note_kill(self, moment):
        """The primary was killed at this monotonic time, without synchronous replication. Returns it."""
        self.kills.append(moment)
        return moment

    def lost(self, present):
        """Acknowledged ids that are not among the ids present.

        A row acknowledged in the very moment of a noted kill may not have left the primary any more, which no failover can
        help: such rows are not counted.
        """
        kept = {number for number, at in self.acknowledged if not any(abs(at - kill) <= IN_FLIGHT_S for kill in self.kills)}
        return sorted(kept - set(present))

    def _run(self):
        due = time.monotonic()
        while not self._stop.is_set():
            try:
                if self._connection is None:
                    self._connect()
                self._insert()
                due = max(due + self.interval_s, time.monotonic() - self.interval_s)
                self._stop.wait(max(0.0, due - time.monotonic()))
            except (psycopg2.Error, OSError) as error:
                self._failed(error)
        self._close()

    def _connect(self):
        self._connection = psycopg2.connect(self.dsn, application_name=self.name)
        self._connection.autocommit = True

    def _insert(self):
        number, self._next_id = self._next_id, self._next_id + 1
        self._busy_since = time.monotonic()
        try:
            with self._connection.cursor() as cursor:
                cursor.execute("INSERT INTO ledger (id, writer) VALUES (%s, %s)", (number, self.name))
            self.acknowledged.append((number, time.monotonic()))
        finally:
            self._busy_since = None

    def _failed(self, error):
        self.errors = self.errors[-999:] + [(time.monotonic(), " ".join(str(error).split()))]
        self._close()
        self._stop.wait(0.002)

    def _close(self):
        if self._connection is not None:
            with contextlib.suppress(psycopg2.Error):
                self._connection.close()
        self._connection = None

    def _cut_hung_calls(self):
        """A server that hangs sends no error: end a call that takes longer than the client's patience."""
        while not self._stop.wait(0.05):
            since, connection = self._busy_since, self._connection
            if since is None or connection is None or time.monotonic() - since < self.patience_s:
                continue
            with contextlib.suppress(OSError, psycopg2.Error):
                with socket.socket(fileno=os.dup(connection.fileno())) as wire:
                    wire.shutdown(socket.SHUT_RDWR)
