"""Waiting with a deadline: nothing in the lab, the demo or the tests sleeps for a fixed time."""

import time


class DeadlineExceeded(AssertionError):
    """What was waited for did not happen in time."""


def wait_until(condition, deadline_s, what="the condition", interval_s=0.02):
    """Calls condition() until it returns something true, and returns that.

    Exceptions count as "not yet"; the last one is part of the message when the deadline passes.
    """
    end = time.monotonic() + deadline_s
    last_error = None
    last_value = None
    while True:
        try:
            last_value = condition()
            last_error = None
            if last_value:
                return last_value
        except Exception as error:  # a server that starts or dies raises all kinds of errors
            last_error = error
        if time.monotonic() >= end:
            detail = f"last error: {last_error!r}" if last_error else f"last value: {last_value!r}"
            raise DeadlineExceeded(f"{what}: not within {deadline_s:g} s; {detail}") from last_error
        time.sleep(interval_s)


def holds_for(condition, seconds, what="the condition", interval_s=0.05):
    """Asserts that condition() stays true for so many seconds (to show that something does NOT happen)."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if not condition():
            raise AssertionError(f"{what}: no longer true {seconds - (end - time.monotonic()):.2f} s after the start")
        time.sleep(interval_s)
