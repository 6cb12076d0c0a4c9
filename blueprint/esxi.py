"""What an ESXi host is given over SSH: what pulumi-vsphere has no resource for."""

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from blueprint.settings import Settings

_TEMPLATES = Path(__file__).parent.parent / "components" / "host"
_ENVIRONMENT = Environment(
    loader=FileSystemLoader(_TEMPLATES),
    undefined=StrictUndefined,
    trim_blocks=True,
    autoescape=False,  # noqa: S701  # shell, not HTML; the values are checked by blueprint.settings
)


def iscsi_script(settings: Settings, host: str) -> str:
    """Render the script that connects `host` to every array; it reads what `chap_lines` gives on standard input."""
    return _ENVIRONMENT.get_template("iscsi.sh.j2").render(
        vmkernel_addresses=list(settings.hosts[host].storage.values()), arrays=settings.storage, luns=settings.luns
    )


def access_script() -> str:
    """Return the script that lets Perenne log in on a host; it reads `keys.host_access` on standard input."""
    return (_TEMPLATES / "access.sh").read_text()


def time_script(settings: Settings) -> str:
    """Render the script that has a host take its time from the site's sources."""
    return _ENVIRONMENT.get_template("time.sh.j2").render(sources=settings.ntp)


def rescan_script() -> str:
    """Return the script that makes a host see the VMFS volumes that another host made."""
    return (_TEMPLATES / "rescan.sh").read_text()


def chap_lines(secrets: dict[str, tuple[str, str]]) -> str:
    """Put CHAP secrets, (towards the array, from the array) by array, into the form that the iSCSI script reads."""
    return "".join(f"{array} {secret} {mutual}\n" for array, (secret, mutual) in secrets.items())
