"""What the engine shows of a program, in the form that rules read.

The engine shows every resource twice: when the program asks for it, by what the program says; and with the whole stack
at the end, by what the provider makes of that. At a preview a provider leaves out much that it can't know yet, and with
it what the program did say. So what is missing of the second is taken from the first.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from pulumi_policy import EnforcementLevel, PolicyResource, ReportViolation, ResourceValidationArgs
from pulumi_policy import ResourceValidationPolicy as ResourcePolicy
from pulumi_policy.proxy import UnknownValueError

from policies.judging.resource import UNKNOWN, Resource

_NOT_SAID = "<computed>"
"""The vSphere provider's word where a program says nothing."""


class Shown:
    """Collects what the program says, and completes by it what the engine shows at the end."""

    def __init__(self) -> None:
        self._said: dict[str, Mapping[str, Any]] = {}

    @property
    def policy(self) -> ResourcePolicy:
        """The policy that listens. It reports nothing."""
        return ResourcePolicy(
            name="reading",
            description="Reads what the program says. Reports nothing.",
            validate=self._note,
            enforcement_level=EnforcementLevel.ADVISORY,
        )

    def resource(self, shown: PolicyResource) -> Resource:
        """A resource of the whole stack."""
        return Resource(
            urn=shown.urn,
            type=shown.resource_type,
            name=shown.name,
            properties=self._properties(shown),
            protect=bool(shown.opts.protect),
            ignore_changes=tuple(shown.opts.ignore_changes or ()),
            parent=shown.parent.urn if shown.parent else None,
            provider=shown.provider.urn if shown.provider else None,
            dependencies=tuple(one.urn for one in shown.dependencies),
            property_dependencies={
                key: tuple(one.urn for one in found) for key, found in shown.property_dependencies.items()
            },
        )

    def _note(self, args: ResourceValidationArgs, _report: ReportViolation) -> None:
        self._said[args.urn] = plain(args.props)

    def _properties(self, shown: PolicyResource) -> dict[str, Any]:
        found: dict[str, Any] = plain(shown.props)
        hidden = [key for key, referred in shown.property_dependencies.items() if referred]
        return dict.fromkeys(hidden, UNKNOWN) | dict(self._said.get(shown.urn, {})) | found


def plain(value: object) -> Any:  # noqa: ANN401 (a property may be anything)
    """Take the SDK's guards off: they raise at every unknown value, a rule wants to know which."""
    if isinstance(value, Mapping):
        found = {key: _item(value, key) for key in value}
        return {key: one for key, one in found.items() if one != _NOT_SAID}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_item(value, index) for index in range(len(value))]
    return value


def _item(container: Any, key: object) -> Any:  # noqa: ANN401 (a property may be anything)
    try:
        return plain(container[key])
    except UnknownValueError:
        return UNKNOWN
