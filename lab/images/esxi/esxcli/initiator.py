"""An iSCSI initiator on libiscsi: finds targets at a portal, logs in and asks the LUNs who they are.

The declarations follow libiscsi 1.19's iscsi.h and scsi-lowlevel.h, which are part of its binary interface.
"""

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from ctypes import POINTER, Structure, c_char, c_char_p, c_int, c_uint16, c_uint32, c_uint64, c_void_p
from dataclasses import dataclass
from functools import cache
from typing import Any

TIMEOUT_SECONDS = 5
DISCOVERY, NORMAL = 1, 2
"""enum iscsi_session_type"""
DISK = 0
"""Peripheral device type of a direct-access block device (SPC-4, table 139)."""
DEVICE_IDENTIFICATION = 0x83
NAA = 3
"""Designator type (SPC-4, table 531)."""
GOOD = 0
"""SCSI status (SAM-5, 5.3.1)."""
REPLY_BYTES = 4096


class InitiatorError(Exception):
    """The portal or the target refused, or did not answer; the message is libiscsi's."""


@dataclass(frozen=True)
class Chap:
    """Name and secret of one direction."""

    name: str
    secret: str


@dataclass(frozen=True)
class Login:
    """How to reach a portal, and as whom."""

    initiator: str
    interface: str
    """The network interface to send from."""
    portal: str
    """Address and port."""
    chap: Chap | None
    mutual_chap: Chap | None


@dataclass(frozen=True)
class Lun:
    """A LUN, as it describes itself."""

    number: int
    naa: str
    vendor: str
    model: str
    revision: str
    size_bytes: int


class _Portal(Structure):
    pass


_Portal._fields_ = [("next", POINTER(_Portal)), ("portal", c_char_p)]


class _Target(Structure):
    pass


_Target._fields_ = [("next", POINTER(_Target)), ("name", c_char_p), ("portals", POINTER(_Portal))]


class _Designator(Structure):
    pass


_Designator._fields_ = [
    ("next", POINTER(_Designator)),
    *((name, c_int) for name in ("protocol", "code_set", "piv", "association", "type", "length")),
    ("designator", POINTER(c_char)),
]


class _Identification(Structure):
    _fields_ = (*((name, c_int) for name in ("qualifier", "type", "page")), ("designators", POINTER(_Designator)))


class _Inquiry(Structure):
    _fields_ = (
        ("qualifier", c_int),
        ("type", c_int),
        ("flags", c_int * 20),
        ("vendor", c_char * 9),
        ("product", c_char * 17),
        ("revision", c_char * 5),
    )


class _ReportLuns(Structure):
    _fields_ = (("count", c_uint32), ("luns", c_uint16 * 256))


class _Capacity(Structure):
    _fields_ = (("last_block", c_uint64), ("block_bytes", c_uint32))


def discover(login: Login) -> list[tuple[str, str]]:
    """Return (target, portal) for all that the portal's SendTargets answer names.

    Raises:
        InitiatorError: The portal doesn't answer or refuses.
    """
    with _session(login, DISCOVERY, None) as (library, context):
        answer = first = library.iscsi_discovery_sync(context)
        if not first:
            raise InitiatorError(_error(context))
        found = []
        while answer:
            target = answer.contents
            portal = target.portals
            while portal:
                address = portal.contents.portal.decode().partition(",")[0]  # a portal group tag follows
                found.append((target.name.decode(), address))
                portal = portal.contents.next
            answer = target.next
        library.iscsi_free_discovery_data(context, first)
        return found


def luns(login: Login, target: str) -> list[Lun]:
    """Log in to the target and return its disks.

    Raises:
        InitiatorError: The portal doesn't answer, or the target refuses the login.
    """
    with _session(login, NORMAL, target) as (library, context):
        with _reply(library, context, library.iscsi_reportluns_sync(context, 0, REPLY_BYTES), _ReportLuns) as report:
            numbers = [report.luns[i] for i in range(min(report.count, 256))]
        return [lun for number in numbers if (lun := _lun(library, context, number))]


def _lun(library: Any, context: c_void_p, number: int) -> Lun | None:  # noqa: ANN401  # ctypes
    def inquire(page: int | None) -> int | None:
        task: int | None = library.iscsi_inquiry_sync(context, number, page is not None, page or 0, 255)
        return task

    with _reply(library, context, inquire(None), _Inquiry) as inquiry:
        if inquiry.type != DISK:
            return None
        vendor, model, revision = (
            text.decode().strip() for text in (inquiry.vendor, inquiry.product, inquiry.revision)
        )
    with _reply(library, context, inquire(DEVICE_IDENTIFICATION), _Identification) as identification:
        naa = _shortest_naa(identification)
    # Whoever logs in is told of the LUN's last reset first: a unit attention, which this takes (SAM-5, 5.14).
    library.scsi_free_scsi_task(library.iscsi_testunitready_sync(context, number))
    with _reply(library, context, library.iscsi_readcapacity16_sync(context, number), _Capacity) as capacity:
        size = (capacity.last_block + 1) * capacity.block_bytes
    return Lun(number, naa, vendor, model, revision, size)


def _shortest_naa(identification: _Identification) -> str:
    """Return the LUN's NAA designator.

    tgt gives two: 8 bytes, and 16 that it derives from its vendor's name. The first is the one that can be told apart
    between arrays.
    """
    found = []
    designator = identification.designators
    while designator:
        each = designator.contents
        if each.type == NAA:
            found.append(ctypes.string_at(each.designator, each.length).hex())
        designator = each.next
    if not found:
        raise InitiatorError("the LUN has no NAA identifier")
    return f"naa.{min(found, key=len)}"


@contextmanager
def _session(login: Login, kind: int, target: str | None) -> Iterator[tuple[Any, c_void_p]]:
    library = _library()
    context = c_void_p(library.iscsi_create_context(login.initiator.encode()))
    try:
        library.iscsi_set_timeout(context, TIMEOUT_SECONDS)
        library.iscsi_set_noautoreconnect(context, 1)
        library.iscsi_set_tcp_syncnt(context, 1)  # give a silent portal up after 3 s, not after two minutes
        # libiscsi keeps the pointer and writes into the text.
        interface = ctypes.create_string_buffer(login.interface.encode())
        library.iscsi_set_bind_interfaces(context, interface)
        library.iscsi_set_session_type(context, kind)
        if target:
            library.iscsi_set_targetname(context, target.encode())
        if login.chap:
            library.iscsi_set_initiator_username_pwd(context, login.chap.name.encode(), login.chap.secret.encode())
        # Also for discovery, as on ESXi: an array that has CHAP for its targets alone, as tgt, can't prove itself then.
        if login.mutual_chap:
            library.iscsi_set_target_username_pwd(
                context, login.mutual_chap.name.encode(), login.mutual_chap.secret.encode()
            )
        if library.iscsi_connect_sync(context, login.portal.encode()) != 0:
            raise InitiatorError("The iSCSI initiator could not establish a network connection to the target.")
        if library.iscsi_login_sync(context) != 0:
            raise InitiatorError(_error(context))
        yield library, context
        library.iscsi_logout_sync(context)
    finally:
        library.iscsi_destroy_context(context)


@contextmanager
def _reply(library: Any, context: c_void_p, task: int | None, kind: type[Any]) -> Iterator[Any]:  # noqa: ANN401
    if not task:
        raise InitiatorError(_error(context))
    try:
        if (status := c_int.from_address(task).value) != GOOD:  # scsi_task begins with it
            raise InitiatorError(f"the target answers with SCSI status {status}")
        data = library.scsi_datain_unmarshall(task)
        if not data:
            raise InitiatorError("the target's answer makes no sense")
        yield ctypes.cast(data, POINTER(kind)).contents
    finally:
        library.scsi_free_scsi_task(task)


def _error(context: c_void_p) -> str:
    message: bytes | None = _library().iscsi_get_error(context)
    return (message or b"no answer").decode(errors="replace").strip()


@cache
def _library() -> Any:  # noqa: ANN401  # ctypes
    library = ctypes.CDLL("libiscsi.so.7")
    pointer = c_void_p
    signatures: dict[str, tuple[Any, tuple[Any, ...]]] = {
        "iscsi_create_context": (pointer, (c_char_p,)),
        "iscsi_destroy_context": (c_int, (pointer,)),
        "iscsi_get_error": (c_char_p, (pointer,)),
        "iscsi_set_timeout": (c_int, (pointer, c_int)),
        "iscsi_set_noautoreconnect": (None, (pointer, c_int)),
        "iscsi_set_tcp_syncnt": (None, (pointer, c_int)),
        "iscsi_set_bind_interfaces": (None, (pointer, c_char_p)),
        "iscsi_set_session_type": (c_int, (pointer, c_int)),
        "iscsi_set_targetname": (c_int, (pointer, c_char_p)),
        "iscsi_set_initiator_username_pwd": (c_int, (pointer, c_char_p, c_char_p)),
        "iscsi_set_target_username_pwd": (c_int, (pointer, c_char_p, c_char_p)),
        "iscsi_connect_sync": (c_int, (pointer, c_char_p)),
        "iscsi_login_sync": (c_int, (pointer,)),
        "iscsi_logout_sync": (c_int, (pointer,)),
        "iscsi_discovery_sync": (POINTER(_Target), (pointer,)),
        "iscsi_free_discovery_data": (None, (pointer, POINTER(_Target))),
        "iscsi_reportluns_sync": (pointer, (pointer, c_int, c_int)),
        "iscsi_inquiry_sync": (pointer, (pointer, c_int, c_int, c_int, c_int)),
        "iscsi_readcapacity16_sync": (pointer, (pointer, c_int)),
        "iscsi_testunitready_sync": (pointer, (pointer, c_int)),
        "scsi_datain_unmarshall": (pointer, (pointer,)),
        "scsi_free_scsi_task": (None, (pointer,)),
    }
    for name, (result, arguments) in signatures.items():
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library
