"""
``python -I -S stopwatch.py LIMIT LOG COMMAND…``: run a command, print its seconds and its peak memory as JSON.

A program of its own, because Linux counts the memory of the process that starts another into the peak of the other
(getrusage(2): the value is inherited over fork, and kept over execve): a small starter adds nothing.
"""

import json
import os
import signal
import sys
import time

OUTPUT = os.O_WRONLY | os.O_CREAT | os.O_TRUNC


def main(limit: str, log: str, *command: str) -> None:
    began = time.perf_counter()
    actions = [
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, log, OUTPUT, 0o600),
        (os.POSIX_SPAWN_DUP2, 1, 2),
    ]
    child = os.posix_spawnp(command[0], command, os.environ, file_actions=actions)
    timed_out = False

    def stop(*_: object) -> None:
        nonlocal timed_out
        timed_out = True
        os.kill(child, signal.SIGKILL)

    signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, float(limit))
    _, status, used = os.wait4(child, 0)
    took = time.perf_counter() - began
    signal.setitimer(signal.ITIMER_REAL, 0)
    per_megabyte = 1024 * 1024 if sys.platform == "darwin" else 1024
    json.dump(
        {
            "seconds": took,
            "cpu": used.ru_utime + used.ru_stime,
            "peak_mb": used.ru_maxrss / per_megabyte,
            "code": os.waitstatus_to_exitcode(status),
            "timed_out": timed_out,
        },
        sys.stdout,
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
