"""A policy pack that refuses nothing: it keeps what it is shown in the file that PERENNE_SHOWN names."""

import os
import pickle
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))

from pulumi_policy import EnforcementLevel, PolicyPack, ReportViolation, StackValidationArgs, StackValidationPolicy

from policies.judging.shown import Shown

shown = Shown()


def keep(args: StackValidationArgs, _report: ReportViolation) -> None:
    """Write the resources down."""
    Path(os.environ["PERENNE_SHOWN"]).write_bytes(pickle.dumps(list(map(shown.resource, args.resources))))


policies = [shown.policy, StackValidationPolicy("keep", "Keeps what it is shown.", keep, EnforcementLevel.ADVISORY)]
PolicyPack("shown", policies)
