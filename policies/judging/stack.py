"""A whole stack, and how its resources refer to each other."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from typing import Any, TypeVar

from policies.judging.resource import Resource

Fact = TypeVar("Fact")


class Stack:
    """The resources of one stack.

    References are followed by the engine's property dependencies, which are known at the first preview, when ids are
    not; a literal id in a program is matched where ids are known.
    """

    def __init__(self, resources: Iterable[Resource]) -> None:
        self.resources = tuple(resources)
        self.by_urn: Mapping[str, Resource] = {resource.urn: resource for resource in self.resources}

        self._referring: dict[tuple[str, str], Mapping[str, list[Resource]]] = {}
        self._facts: dict[Callable[[Stack], Any], Any] = {}

    def once(self, read: Callable[["Stack"], Fact]) -> Fact:
        """What `read` finds in this stack, read once for all rules: 40 rules over 2,000 resources stay linear."""
        if read not in self._facts:
            self._facts[read] = read(self)
        fact: Fact = self._facts[read]
        return fact

    def of_type(self, *types: str) -> list[Resource]:
        """All resources of these types: vSphere ones by their last part (`ComputeCluster`), others by the token."""
        return [resource for one in types for resource in self._by_type.get(one, ())]

    def referred(self, resource: Resource, key: str) -> list[Resource]:
        """The resources that the property `key` of `resource` refers to."""
        found = [self.by_urn[urn] for urn in resource.property_dependencies.get(key, ()) if urn in self.by_urn]
        value = resource.properties.get(key)
        values = value if isinstance(value, list | tuple) else (value,)
        named = [self._by_id[one] for one in values if isinstance(one, str) and one in self._by_id]
        return list({one.urn: one for one in (*found, *named)}.values())

    def referrers(self, resource: Resource, key: str, *types: str) -> list[Resource]:
        """The resources of `types` whose property `key` refers to `resource`."""
        return [one for type_ in types for one in self._referrers(type_, key).get(resource.urn, ())]

    def _referrers(self, type_: str, key: str) -> Mapping[str, list[Resource]]:
        if (type_, key) not in self._referring:
            found = defaultdict(list)
            for one in self.of_type(type_):
                for target in self.referred(one, key):
                    found[target.urn].append(one)
            self._referring[type_, key] = found
        return self._referring[type_, key]

    @cached_property
    def components(self) -> list[Resource]:
        """The component resources: those of no provider."""
        return [one for one in self.resources if not one.provider and not one.type.startswith("pulumi:")]

    @cached_property
    def _by_type(self) -> Mapping[str, list[Resource]]:
        found = defaultdict(list)
        for resource in self.resources:
            found[resource.type].append(resource)
            if resource.type.startswith("vsphere:"):
                found[resource.type.rpartition(":")[2]].append(resource)
        return found

    @cached_property
    def _by_id(self) -> Mapping[str, Resource]:
        return {resource.id: resource for resource in self.resources if resource.id}
