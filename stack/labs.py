"""The embedded lab that a stack lives in."""

from collections.abc import Mapping

from blueprint.keys import public_key
from lab.equipment import LabSecrets, bmcs
from lab.site import Lab, Prepared
from stack.workspace import LAB, Stack, lab_name


def lab_of(stack: Stack) -> Lab:
    """The lab that a stack lives in."""
    return Lab(stack.settings, lab_name(), LAB)


def known_secrets(prepared: Prepared) -> dict[str, str]:
    """What the lab's equipment has already, of what else `init` would make or ask for."""
    return {"fencing-authorities": prepared.authority}


def lab_secrets(stack: Stack, values: Mapping[str, str]) -> LabSecrets:
    """What the lab's equipment is given: the same secrets that the program uses."""
    chap = {array: (values[f"chap-{array}"], values[f"chap-mutual-{array}"]) for array in stack.settings.storage}
    return LabSecrets(
        vcenter_password=values["vcenter-password"],
        esxi_password=values["esxi-password"],
        chap=chap,
        ssh_public_key=public_key(values["ssh-key"]),
        fencing_password=values.get("fencing-password", ""),
        bmc_passwords={host: values[f"bmc-{host}"] for host in bmcs(stack.settings)},
    )
