"""The policy pack, as Pulumi runs it: `pulumi preview --policy-pack policies`."""

import sys
from pathlib import Path

# Pulumi runs this file by its path; the pack's modules are `policies.…`, here as in tests.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from pulumi_policy import PolicyPack

from policies.judging.configuration import ConfigurationError
from policies.judging.pack import NAME, pack
from policies.rules import RULES

try:
    PolicyPack(NAME, pack(RULES).policies)
except ConfigurationError as error:
    sys.exit(f"policies: the configuration can't be used, so nothing was judged:\n{error}")
