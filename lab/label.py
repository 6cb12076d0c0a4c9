"""The labels by which what belongs to a lab is known in Docker."""

from enum import StrEnum


class Label(StrEnum):
    """Names of labels."""

    LAB = "perenne.lab"
    """The lab's name. Nothing without it is ever touched."""
    KIND = "perenne.kind"
    """vcenter, esxi, san, client, bmc, router, guest or network."""
    NAME = "perenne.name"
    """The short name: psexi02, lb01, guests …"""
    CLONE = "perenne.clone"
    """The working copy that the lab belongs to. Guests lack it: vCenter makes them."""
    FINGERPRINT = "perenne.fingerprint"
    """What a container or network was made from; another one means that it has to be made anew."""


class Kind(StrEnum):
    """What a container of the lab's own equipment stands for."""

    VCENTER = "vcenter"
    ESXI = "esxi"
    SAN = "san"
    CLIENT = "client"
    BMC = "bmc"
