"""What goes on in the lab: its own machines as Docker sees them, hosts and virtual machines as vCenter does."""

from datetime import datetime

from pydantic import BaseModel, ConfigDict


class Model(BaseModel):
    """Base of every part; what a newer vCenter adds is left out."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Host(Model):
    """An ESXi host of vCenter's inventory."""

    name: str
    connection_state: str
    power_state: str
    in_maintenance_mode: bool = False


class Vm(Model):
    """A virtual machine with its guest's container; `failure` says why that can't follow it, if it can't."""

    name: str
    host: str
    power_state: str
    connection_state: str
    template: bool
    container: str = ""
    container_state: str = ""
    addresses: tuple[str, ...] = ()
    failure: str = ""


class HaEvent(Model):
    """Something that vSphere HA noticed or did."""

    time: datetime
    host: str
    vm: str
    event: str
    detail: str


class Inventory(Model):
    """vCenter's view, from its lab API."""

    hosts: tuple[Host, ...]
    vms: tuple[Vm, ...]
    ha_events: tuple[HaEvent, ...]


class Status(Model):
    """The lab's state; `vcenter` is None where vCenter doesn't answer."""

    condition: str
    """absent, healthy or broken."""
    machines: dict[str, str]
    """State of each of the lab's own containers by name: running, exited, paused, missing …"""
    generation: str | None
    url: str | None
    """Where a browser on this machine finds the site."""
    vcenter: Inventory | None
