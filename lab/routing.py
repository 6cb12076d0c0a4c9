"""The way between the servers' network and the management network, which a site's own gateway has.

The machine routes between Docker's bridges, but Docker drops what goes from one to another. What stands in its chain
DOCKER-USER comes before that (Docker, "Packet filtering and firewalls"). The rules are made from a container that
shares the machine's network, so that whoever may use Docker may have a lab.
"""

from docker import DockerClient
from docker.errors import ContainerError

from blueprint.settings import Settings
from lab.errors import LabError
from lab.label import Label

_SCRIPT = """\
for tool in iptables-nft iptables-legacy; do
    $tool --wait --list-rules DOCKER-USER >/dev/null 2>&1 || continue
    $tool --wait --list-rules DOCKER-USER | grep --extended-regexp -- '--comment "?{comment}"? ' | sed 's/^-A /-D /' |
        while read -r rule; do echo "$rule" | xargs $tool --wait; done
    {rules}
    exit 0
done
{without}
"""
_NO_CHAIN = 'echo "no iptables of this machine has Docker\'s chain DOCKER-USER" >&2; exit 1'
_RULE = "$tool --wait --insert DOCKER-USER --source {} --destination {} -m comment --comment {} --jump ACCEPT || exit 1"


def open_way(client: DockerClient, image: str, lab: str, settings: Settings) -> None:
    """Let servers and management reach each other.

    Raises:
        LabError: The machine's packet filter can't be changed.
    """
    guests, management = str(settings.networks.guests.cidr), str(settings.networks.management.cidr)
    rules = [_RULE.format(*pair, _comment(lab)) for pair in ((guests, management), (management, guests))]
    _run(client, image, lab, "\n    ".join(rules), without=_NO_CHAIN)


def close_way(client: DockerClient, image: str, lab: str) -> None:
    """Take the rules of a lab away; does no harm where there are none, nor Docker's chain: somebody has flushed it.

    Raises:
        LabError: The machine's packet filter can't be changed.
    """
    _run(client, image, lab, "", without="exit 0")


def _run(client: DockerClient, image: str, lab: str, rules: str, *, without: str) -> None:
    try:
        client.containers.run(
            image,
            ["-c", _SCRIPT.format(comment=_comment(lab), rules=rules, without=without)],
            entrypoint="sh",  # an image may have one that makes it a host or an array
            network_mode="host",
            cap_add=["NET_ADMIN"],
            labels={Label.LAB: lab, Label.KIND: "router", Label.NAME: "router"},
            remove=True,
            stderr=True,
        )
    except ContainerError as error:
        why = str(error.stderr or error)
        raise LabError("the lab's servers can't reach its management network", why, "Look at iptables.") from error


def _comment(lab: str) -> str:
    return f"perenne-lab-{lab}"
