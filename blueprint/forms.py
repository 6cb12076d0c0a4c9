"""Forms of text in a stack file: each as the pattern that checks it, and in words for who wrote something else."""

from typing import NamedTuple


class Form(NamedTuple):
    """What a piece of text must look like."""

    pattern: str
    words: str
    """What to write, as the end of a sentence."""


NAME = Form(
    r"^[a-z][a-z0-9-]{0,14}$", "a name such as lb01: a lower-case letter, then letters, digits and -, at most 15 in all"
)
DOMAIN = Form(r"^[a-z0-9-]+(\.[a-z0-9-]+)+$", "a DNS name such as vmlabs.int: lower-case letters, digits, - and dots")
SHA256 = Form(r"^[0-9a-f]{64}$", "the 64 lower-case hexadecimal digits that sha256sum prints")
NAA_ID = Form(
    r"^naa\.[0-9a-f]{16}([0-9a-f]{16})?$",
    "the device's id as ESXi shows it: naa. and 16 or 32 lower-case hexadecimal digits",
)
IQN = Form(
    r"^iqn\.\d{4}-\d{2}\.[a-z0-9.-]+(:[A-Za-z0-9.:_-]+)?$",
    "an iSCSI qualified name such as iqn.2026-11.int.vmlabs:san01",
)
CONTEXT_PATH = Form(
    r"^/[A-Za-z0-9._~-]+(/[A-Za-z0-9._~-]+)*$", "a path such as /crm: / at its beginning, none at its end"
)
INVENTORY_NAME = Form(r"^[^/\\%]{1,80}$", "a name of 1 to 80 characters without / \\ and %, which vCenter escapes")
UPLINK = Form(r"^vmnic[0-9]+$", "a physical adapter as ESXi names it, such as vmnic2")
SERVER = Form(
    r"^[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?(:[0-9]{1,5})?$", "a name or address, without https:// and without a path"
)
THUMBPRINT = Form(
    r"^([0-9A-F]{2}(:[0-9A-F]{2}){19})?$", "20 pairs of upper-case hexadecimal digits with colons between them (SHA-1)"
)
VERSION = Form(r"^[0-9]+\.[0-9.]+\.[A-Za-z0-9]+$", "a release such as 36.0.1.Final")
URL = Form(r"^(https://\S+)?$", "an https URL")
SSH_KEY = Form(
    r"^(ssh-|ecdsa-|sk-)[a-z0-9@.-]+ [A-Za-z0-9+/=]+( .*)?$", "a public SSH key in one line, such as ssh-ed25519 AAAA…"
)

WORDS = {
    form.pattern: form.words
    for form in (
        NAME,
        DOMAIN,
        SHA256,
        NAA_ID,
        IQN,
        CONTEXT_PATH,
        INVENTORY_NAME,
        UPLINK,
        SERVER,
        THUMBPRINT,
        VERSION,
        URL,
        SSH_KEY,
    )
}
"""What to write where a pattern was not met."""
