"""Rules about where servers run: what keeps two apart, and what doesn't."""

import pytest

from policies.judging.resource import UNKNOWN, Resource
from policies.rules import machines, placement
from tests.unit.policies.servers import problems, undecided
from tests.unit.policies.stacks import judged, made, vsphere

RULE = "vsphere:index/computeClusterVmHostRule:ComputeClusterVmHostRule"


def cluster(name: str = "site", *, drs: bool = True) -> Resource:
    return vsphere("ComputeCluster", name, name=name, drsEnabled=drs)


def host(number: int, home: Resource) -> Resource:
    return vsphere("Host", f"esx{number}", hostname=f"esx{number}", refers={"cluster": [home]})


def server(number: int, home: Resource | None = None, **properties: object) -> Resource:
    refers = {"resourcePoolId": [home]} if home else {}
    return vsphere("VirtualMachine", f"web{number}", name=f"web{number}", refers=refers, **properties)


def pinned(number: int, home: Resource, place: Resource) -> Resource:
    refers = {"resourcePoolId": [home], "hostSystemId": [place]}
    return vsphere("VirtualMachine", f"web{number}", name=f"web{number}", hostSystemId=UNKNOWN, refers=refers)


def apart(*servers: Resource, **properties: object) -> Resource:
    return vsphere("ComputeClusterVmAntiAffinityRule", "apart", refers={"virtualMachineIds": servers}, **properties)


def hosts_rule(
    number: int, home: Resource, one: Resource, *places: Resource, key: str = "affinityHostGroupName"
) -> list[Resource]:
    """A rule that names its groups, as many a program does."""
    return [
        vsphere("ComputeClusterVmGroup", f"vms{number}", name=f"vms{number}", refers={"virtualMachineIds": [one]}),
        vsphere("ComputeClusterHostGroup", f"esx{number}", name=f"esx{number}", refers={"hostSystemIds": places}),
        made(RULE, f"{number}", {"vmGroupName": f"vms{number}", key: f"esx{number}"}, {"computeClusterId": [home]}),
    ]


def test_what_keeps_two_servers_apart() -> None:
    home = cluster()
    first, second = (server(number, home) for number in (1, 2))
    places = [host(number, home) for number in (1, 2, 3)]
    site = [home, first, second, *places]
    assert problems(placement.apart, *site) == ["web1 and web2 of tier web may run on one host"]
    assert problems(placement.apart, *site, apart(first, second)) == []
    assert problems(placement.apart, *site, apart(first, second, enabled=False)) != []
    assert undecided(placement.apart, *site, apart(first, second, enabled=UNKNOWN))
    mine, theirs = hosts_rule(1, home, first, *places[:2]), hosts_rule(2, home, second, places[2])
    assert problems(placement.apart, *site, *mine, *theirs) == []
    assert problems(placement.apart, *site, *mine, *hosts_rule(2, home, second, *places[1:])) != []


def test_a_rule_that_leaves_a_server_the_other_hosts() -> None:
    home = cluster()
    places = [host(number, home) for number in (1, 2, 3)]
    first, second = (server(number, home) for number in (1, 2))
    mine = hosts_rule(1, home, first, *places[:2], key="antiAffinityHostGroupName")
    theirs = hosts_rule(2, home, second, *places[1:], key="antiAffinityHostGroupName")
    # The first may run on esx3 alone, the second on esx1 alone.
    assert problems(placement.apart, home, *places, first, second, *mine, *theirs) == []


def test_without_drs_pins_count_and_rules_do_not() -> None:
    home = cluster(drs=False)
    places = [host(number, home) for number in (1, 2)]
    sound = [pinned(number, home, places[number - 1]) for number in (1, 2)]
    assert problems(placement.apart, home, *places, *sound) == []
    together = [pinned(number, home, places[0]) for number in (1, 2)]
    assert problems(placement.apart, home, *places, *together, apart(*together)) != []
    late = [server(number, home, hostSystemId=UNKNOWN) for number in (1, 2)]
    assert undecided(placement.apart, home, *places, *late)


def test_a_cluster_that_is_looked_up() -> None:
    """Many a program makes servers only: nothing tells whether their cluster has DRS."""
    first, second = (server(number, resourcePoolId="resgroup-8") for number in (1, 2))
    assert problems(placement.apart, first, second, apart(first, second)) == []
    one, other = (server(number, hostSystemId=f"host-{number}") for number in (1, 2))
    assert problems(placement.apart, one, other) == []
    (violation,) = judged(placement.apart, first, second).violations
    assert "ComputeClusterVmAntiAffinityRule" in violation.change
    assert "hostSystemId" in violation.change


def test_servers_of_two_clusters_share_no_host() -> None:
    one, other = cluster("north"), cluster("south")
    assert problems(placement.apart, one, other, server(1, one), server(2, other)) == []


def test_more_servers_than_hosts() -> None:
    """Some must share; it is enough that each has another elsewhere."""
    home = cluster(drs=False)
    places = [host(number, home) for number in (1, 2, 3)]
    spread = [pinned(number, home, places[number % 2]) for number in range(4)]
    assert problems(placement.apart, home, *places, *spread) == []
    assert problems(placement.apart, home, *places, *(pinned(number, home, places[0]) for number in range(4))) != []


def test_a_message_about_a_thousand_servers_is_short() -> None:
    home = cluster()
    (problem,) = problems(placement.apart, home, *(server(number, home) for number in range(1_000)))
    assert problem.endswith(", and other pairs, of tier web may run on one host")
    assert len(problem) < 200


@pytest.mark.parametrize("kind", ["ComputeCluster", "Datacenter"])
def test_a_pool_that_depends_on_something_else_is_nobodys_fault(kind: str) -> None:
    """The pool of a cluster that is looked up in a datacenter of the program's own."""
    there = vsphere(kind, "there")
    assert problems(machines.in_a_cluster, there, server(1, there)) == []


def test_a_pool_of_a_single_host() -> None:
    home = cluster()
    place = host(1, home)
    found = problems(machines.in_a_cluster, home, place, server(1, place))
    assert found == ["its resource pool is that of the single host esx1"]
