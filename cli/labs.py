"""The embedded lab as the commands use it."""

from collections.abc import Mapping

from blueprint.keys import public_key
from cli.workspace import LAB, Stack, lab_name
from lab.equipment import LabSecrets
from lab.site import Lab


def lab_of(stack: Stack) -> Lab:
    """The lab that a stack lives in."""
    return Lab(stack.settings, lab_name(), LAB)


def lab_secrets(stack: Stack, values: Mapping[str, str]) -> LabSecrets:
    """What the lab's equipment is given: the same secrets that the program uses."""
    chap = {array: (values[f"chap-{array}"], values[f"chap-mutual-{array}"]) for array in stack.settings.storage}
    return LabSecrets(
        vcenter_password=values["vcenter-password"],
        esxi_password=values["esxi-password"],
        chap=chap,
        ssh_public_key=public_key(values["ssh-key"]),
    )
