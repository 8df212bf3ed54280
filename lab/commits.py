"""Who can commit when: a witness at each server, which asks through its Unix socket and so sees it from the inside, whatever
the network does."""

import contextlib
import threading
import time

import psycopg2

# A transaction in the WAL for which no table is needed; NULL from a standby.
COMMIT = "SELECT CASE WHEN NOT pg_is_in_recovery() THEN pg_logical_emit_message(true, 'lab', 'witness') END"


class Witness:
    """Commits at one server again and again, and keeps the monotonic time of each acknowledgement."""

    def __init__(self, node, interval_ms=10):
        self.node, self.interval_s = node, interval_ms / 1000
        self.acknowledged = []
        self._stop = threading.Event()
        self._connection = None
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self):
        self._thread.start()
        return self

    def stop(self):
        self._stop.set()
        self._thread.join(2)  # one that hangs in a server that stands still ends with it
        return self

    def last(self):
        return self.acknowledged[-1] if self.acknowledged else None

    def first_after(self, moment):
        return next((at for at in self.acknowledged if at > moment), None)

    def count_after(self, moment):
        return sum(1 for at in self.acknowledged if at > moment)

    def _run(self):
        while not self._stop.is_set():
            try:
                if self._connection is None:
                    self._connection = self.node.connect(timeout_s=2)
                with self._connection.cursor() as cursor:
                    cursor.execute(COMMIT)
                    committed = cursor.fetchone()[0] is not None
                if committed:
                    self.acknowledged.append(time.monotonic())
            except psycopg2.Error:
                self._close()
            self._stop.wait(self.interval_s)
        self._close()

    def _close(self):
        if self._connection is not None:
            with contextlib.suppress(psycopg2.Error):
                self._connection.close()
        self._connection = None


class Witnesses:
    """One at each server of a cluster."""

    def __init__(self, cluster, interval_ms=10):
        self.of = {node.name: Witness(node, interval_ms) for node in cluster}

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()

    def start(self):
        for witness in self.of.values():
            witness.start()
        return self

    def stop(self):
        for witness in self.of.values():
            witness.stop()
        return self

    def __getitem__(self, node):
        return self.of[node.name]

    def two_primaries_s(self, old, new, since=0.0):
        """For how long both acknowledged commits after `since`: from the first of `new` to the last of `old`. 0 when `new`
        began only after `old` had ended; None while `new` has not begun."""
        first = self[new].first_after(since)
        last = self[old].last()
        if first is None:
            return None
        return max(0.0, last - first) if last else 0.0
