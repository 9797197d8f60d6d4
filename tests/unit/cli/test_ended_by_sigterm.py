"""SIGTERM reaches one process alone, and still ends what it started, also where Ctrl-C was ignored from the start."""

from __future__ import annotations

import signal
import subprocess
import sys

# As `dagster dev` does it: SIGTERM is treated as Ctrl-C is.
STARTED = """
import signal, time
signal.signal(signal.SIGTERM, signal.getsignal(signal.SIGINT))
print("started", flush=True)
try:
    time.sleep(60)
except KeyboardInterrupt:
    print("ended in order", flush=True)
"""
STARTING = f"""
import subprocess, sys
from dagster_project.cli.development import ended_by_sigterm, run_until_ended
with ended_by_sigterm():
    sys.exit(run_until_ended(subprocess.Popen([sys.executable, "-c", {STARTED!r}])))
"""


def test_sigterm_is_handed_on_to_what_was_started() -> None:
    starting = subprocess.Popen(
        [sys.executable, "-c", STARTING],
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN),  # as a shell starts it in the background
    )
    try:
        assert starting.stdout is not None
        assert starting.stdout.readline() == "started\n"
        starting.send_signal(signal.SIGTERM)
        assert starting.communicate(timeout=60)[0] == "ended in order\n"
        assert starting.returncode == 0
    finally:
        starting.kill()
        starting.wait()
