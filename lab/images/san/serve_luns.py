#!/usr/bin/python3
"""Serves a storage array's LUNs by iSCSI with tgt, on every address of the container (port 3260).

/run/lab/san.json says what to serve; `naa` may be left out:

    {"iqn": "iqn.2026-11.int.vmlabs:san01",
     "luns": [{"name": "datastore01", "size_gib": 64, "naa": "naa.3000000100000001"}]}

/run/lab/chap.json says who may log in, and how the array proves itself; `chap_mutual` may be left out. It is read again
on SIGHUP, as on an array whose secrets are changed: sessions that are there go on.

    {"chap": {"user": "…", "secret": "…"},
     "chap_mutual": {"user": "…", "secret": "…"}}

tgt reports as a LUN's first NAA designator (VPD page 0x83) the digit 3 (locally assigned), seven digits for the number
of the target and eight for the number of the LUN. So the identifiers in the stack file give both numbers: they have to
agree in the first eight digits for LUNs of one array, and must differ there between arrays. Without `naa` the target is
number 1 and the LUNs are counted from 1.
"""

import json
import os
import re
import signal
import socket
import struct
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

CONFIGURATION = Path("/run/lab/san.json")
ACCOUNTS = Path("/run/lab/chap.json")
LUNS = Path("/var/lib/luns")  # sparse files
CONTROL = Path("/run/tgtd/socket.0")
START_SECONDS = 10
NAA = re.compile(r"naa\.3([0-9a-f]{7})([0-9a-f]{8})")

# tgt's control protocol (usr/tgtadm.h): mode, operation, driver, length, target, then fields that are not needed here.
REQUEST = struct.Struct("=II64sIiQQIIIIII")
RESPONSE = struct.Struct("=II")
MODE_ACCOUNT, OPERATION_NEW = 7, 0

Lun = dict[str, Any]


def main() -> int:
    """Serve until tgt ends; return its exit status."""
    san = json.loads(CONFIGURATION.read_text())
    luns = numbered(san["luns"])
    LUNS.mkdir(exist_ok=True)
    CONTROL.parent.mkdir(exist_ok=True)
    CONTROL.unlink(missing_ok=True)
    tgtd = subprocess.Popen(["tgtd", "--foreground"])
    await_control(tgtd)

    (target,) = {target for target, _, _ in luns}
    tgtadm("new", "target", tid=target, targetname=san["iqn"])
    for _, number, lun in luns:
        file = LUNS / lun["name"]
        with file.open("ab") as stream:
            os.truncate(stream.fileno(), lun["size_gib"] * 2**30)
        tgtadm("new", "logicalunit", tid=target, lun=number, backing_store=file)
    set_accounts(target)
    signal.signal(signal.SIGHUP, lambda *_: set_accounts(target))
    tgtadm("bind", "target", tid=target, initiator_address="ALL")
    print(f"{san['iqn']} serves {', '.join(lun['name'] for _, _, lun in luns)}", flush=True)
    return tgtd.wait()


def set_accounts(target: int) -> None:
    """Give the target the accounts of the file, instead of those that it has; nobody can log in for that instant."""
    accounts = json.loads(ACCOUNTS.read_text())
    for account, direction in ((accounts["chap"], ()), (accounts.get("chap_mutual"), ("--outgoing",))):
        if account:
            forget_account(account["user"])
            add_account(account)
            tgtadm("bind", "account", *direction, tid=target, user=account["user"])
    print("knows its CHAP accounts", flush=True)


def forget_account(user: str) -> None:
    """Take an account away, with what it is bound to; one that there is not is no error."""
    command = ["tgtadm", "--lld=iscsi", "--op=delete", "--mode=account", f"--user={user}"]
    subprocess.run(command, capture_output=True, check=False)


def numbered(luns: list[Lun]) -> list[tuple[int, int, Lun]]:
    """Give every LUN its target's number and its own, out of its NAA identifier."""
    numbers = []
    for position, lun in enumerate(luns, start=1):
        naa = lun.get("naa") or f"naa.30000001{position:08x}"
        if not (match := NAA.fullmatch(naa)):
            sys.exit(f"{CONFIGURATION}: LUN {lun['name']}: naa is {naa}; write naa.3, then 7 and 8 hexadecimal digits")
        numbers.append((int(match[1], 16), int(match[2], 16), lun))
    if len({target for target, _, _ in numbers}) != 1:
        sys.exit(f"{CONFIGURATION}: the LUNs of one array have the same first 8 digits in their naa")
    return numbers


def await_control(tgtd: subprocess.Popen[bytes]) -> None:
    """Wait until tgt takes commands."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and tgtd.poll() is None:
        asked = subprocess.run(["tgtadm", "--op", "show", "--mode", "system"], capture_output=True, check=False)
        if asked.returncode == 0:
            return
        time.sleep(0.05)
    sys.exit(f"tgtd takes no commands after {START_SECONDS} s")


def tgtadm(operation: str, mode: str, *flags: str, **options: object) -> None:
    """Run one tgtadm command."""
    values = [f"--{name.replace('_', '-')}={value}" for name, value in options.items()]
    subprocess.run(["tgtadm", "--lld=iscsi", f"--op={operation}", f"--mode={mode}", *flags, *values], check=True)


def add_account(account: dict[str, str]) -> None:
    """Tell tgt a CHAP account over its control socket: tgtadm would have the secret on its command line."""
    text = f"user={account['user']},password={account['secret']}\0".encode()
    length = REQUEST.size + len(text)
    with socket.socket(socket.AF_UNIX) as control:
        control.connect(str(CONTROL))
        control.sendall(REQUEST.pack(MODE_ACCOUNT, OPERATION_NEW, b"iscsi", length, 0, 0, 0, 0, 0, 0, 0, 0, 0) + text)
        error, _ = RESPONSE.unpack(control.recv(RESPONSE.size, socket.MSG_WAITALL))
    if error:
        sys.exit(f"tgt refuses the CHAP account {account['user']} (error {error})")


if __name__ == "__main__":
    sys.exit(main())
