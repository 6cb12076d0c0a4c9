#!/usr/bin/python3
"""Opens and closes the gate before WildFly: it is closed as long as there is any reason to (see `gate`).

One reason is its own business: a WildFly that starts answers before its applications are there, so its unit closes the
gate before every start, and this program takes the reason away once WildFly says that it is ready. As it looks at
nothing but the reasons, it may end and start at any time.
"""

import http.client
import subprocess
import sys
import time
from pathlib import Path

GATE = "/usr/local/lib/perenne/gate"
REASONS = Path("/run/perenne/closed")
STARTING = REASONS / "starting"
MARK = Path("/var/lib/perenne/drained")
LOOK_SECONDS = 0.1
AGAIN_SECONDS = 2.0
"""The kernel opens a gate that nobody has closed again for 10 s."""


def ready() -> bool:
    """Whether WildFly runs, has booted without errors and has every deployment, by its own word."""
    connection = http.client.HTTPConnection("127.0.0.1", 9990, timeout=2)
    try:
        connection.request("GET", "/health/ready")
        return connection.getresponse().status == http.client.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def start_is_over() -> bool:
    """Whether the WildFly that was starting is ready; not one that has been started since it was asked."""
    try:
        start = STARTING.stat()
        if not ready():
            return False
        now = STARTING.stat()
    except FileNotFoundError:
        return False
    return (start.st_ino, start.st_mtime_ns) == (now.st_ino, now.st_mtime_ns)


def closed() -> bool:
    """Whether there is a reason for the gate to be closed."""
    return MARK.exists() or (REASONS.is_dir() and any(REASONS.iterdir()))


def gate(what: str) -> bool:
    """Shut or open it; tells whether that could be done."""
    done = subprocess.run([GATE, what], stderr=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        print(f"gate {what} failed: {done.stderr.strip()}", file=sys.stderr, flush=True)
    return done.returncode == 0


def main() -> None:
    """Look for ever."""
    is_open: bool | None = None
    again = 0.0
    while True:
        if start_is_over():
            STARTING.unlink(missing_ok=True)
        if closed():
            if is_open is not False or time.monotonic() >= again:
                done = gate("shut")
                again = time.monotonic() + AGAIN_SECONDS
                if is_open is not False and done:
                    print("closed", flush=True)
                is_open = False
        elif is_open is not True and gate("open"):
            is_open = True
            print("open", flush=True)
        time.sleep(LOOK_SECONDS)


if __name__ == "__main__":
    main()
