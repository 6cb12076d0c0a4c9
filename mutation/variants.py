"""Valid stacks of several sizes: from dev and prod, more hosts, other editions, arrays and tiers."""

import copy
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from blueprint import loading

REPOSITORY = Path(__file__).parents[1]

Config = dict[str, Any]


@dataclass(frozen=True, eq=False)
class Variant:
    """A stack file's configuration that describes a sound site."""

    name: str
    stack: str
    """The environment whose levels and thresholds apply."""
    config: Mapping[str, Any]


def variants() -> list[Variant]:
    """The stacks that the pack must accept, and whose every mutation it must refuse."""
    dev, prod = (_with_host_keys(loading.config_of(REPOSITORY / f"Pulumi.{stack}.yaml")) for stack in ("dev", "prod"))
    return [
        Variant("dev", "dev", dev),
        Variant("prod", "prod", prod),
        *(
            # `one-array` has the general thresholds: different datastores are all that one array can offer.
            Variant(name, "prod" if base is prod or two_arrays in changes else "one-array", _changed(base, *changes))
            for name, base, changes in (
                ("prod with DRS", prod, [with_drs]),
                ("dev without DRS", dev, [protected, without_drs]),
                ("prod, 4 hosts", prod, [hosts(4)]),
                ("prod with DRS, 8 hosts", prod, [with_drs, hosts(8)]),
                ("prod, three application servers", prod, [hosts(4), applications(3)]),
                ("dev, three application servers, two arrays", dev, [protected, hosts(4), applications(3), two_arrays]),
                ("dev, 8 hosts, two arrays", dev, [protected, hosts(8), two_arrays]),
            )
        ),
    ]


def with_drs(config: Config) -> None:
    """Enterprise Plus: rules keep tiers apart."""
    config["perenne:vcenter"]["edition"] = "enterprise-plus"


def without_drs(config: Config) -> None:
    """Essentials Plus: pins keep tiers apart."""
    config["perenne:vcenter"]["edition"] = "essentials-plus"


def protected(config: Config) -> None:
    """What holds data can't be deleted by mistake."""
    config["perenne:protect"] = True


def hosts(number: int) -> Callable[[Config], None]:
    """As many hosts, each with the next free addresses."""

    def change(config: Config) -> None:
        described = config["perenne:hosts"]
        while len(described) < number:
            last = list(described)[-1]
            name = _next_name(last)
            described[name] = {
                **described[last],
                "address": _after(described[last]["address"]),
                "storage": {path: _after(address) for path, address in described[last]["storage"].items()},
                **({"bmc": {**bmc, "address": _after(bmc["address"])}} if (bmc := described[last].get("bmc")) else {}),
                **({"vmotion": _after(vmotion)} if (vmotion := described[last].get("vmotion")) else {}),
            }
            config["perenne:host_keys"][name] = config["perenne:host_keys"][last]

    return change


def applications(number: int) -> Callable[[Config], None]:
    """As many application servers, each on a host that has none yet."""

    def change(config: Config) -> None:
        servers = config["perenne:servers"]
        present = [name for name, server in servers.items() if server["role"] == "application"]
        while len(present) < number:
            taken = {servers[name]["host"] for name in present}
            host = next(name for name in config["perenne:hosts"] if name not in taken)
            last, name = present[-1], _next_name(present[-1])
            servers[name] = {**servers[last], "host": host, "address": _after(servers[last]["address"])}
            present.append(name)

    return change


def two_arrays(config: Config) -> None:
    """The second LUN is on an array of its own."""
    storage = config["perenne:storage"]
    ((first, array),) = storage.items()
    moved = dict([array["luns"].popitem()])
    storage[_next_name(first)] = {
        "iqn": f"{array['iqn'][:-1]}2",
        "portals": {path: _after(address) for path, address in array["portals"].items()},
        "luns": {
            name: {
                **lun,
                "naa": re.sub(r"00000002$", "00000000", lun["naa"][::-1])[::-1].replace("30000001", "30000002"),
            }
            for name, lun in moved.items()
        },
    }
    _vote_on_own_disk(config)


def _vote_on_own_disk(config: Config) -> None:
    """The vote without data leaves the arrays, and the backups that it kept go to a server of their own."""
    servers, hosts = config["perenne:servers"], config["perenne:hosts"]
    name, witness = next((name, server) for name, server in servers.items() if server["role"] == "witness")
    local = f"{witness['host']}-local"
    hosts[witness["host"]]["local_datastore"] = local
    servers["bak01"] = {**witness, "role": "backup", "address": _after(witness["address"])}
    servers[name] = {**witness, "datastore": local}
    config["perenne:backup"]["servers"] = ["bak01"]


def _changed(base: Mapping[str, Any], *changes: Callable[[Config], None]) -> Config:
    config: Config = copy.deepcopy(dict(base))
    for change in changes:
        change(config)
    return config


def _with_host_keys(config: Mapping[str, Any]) -> Config:
    """`init` asks for the hosts' SSH keys; any key will do where nothing logs in."""
    key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGxpalUoSKGptm8qOEuffNamf8pxuKOxrnX6lFUDQcn8"
    return {**copy.deepcopy(dict(config)), "perenne:host_keys": dict.fromkeys(config["perenne:hosts"], key)}


def _next_name(name: str) -> str:
    match = re.search(r"\d+$", name)
    if match is None:
        raise ValueError(f"{name} ends in no number")
    return f"{name[: match.start()]}{int(match.group()) + 1:0{len(match.group())}}"


def _after(address: str) -> str:
    return str(ip_address(address) + 1)
