"""What Debian has for a server, and its installation."""

from machine.failure import Failure
from moves.site import Site

_LOOK_SECONDS = 300.0
_UPGRADE_SECONDS = 3600.0

_APT = """
export DEBIAN_FRONTEND=noninteractive
log=/var/log/perenne-patch.log
apt() {
    if ! apt-get --quiet --yes -o DPkg::Lock::Timeout=300 -o Dpkg::Options::=--force-confold "$@" \\
        </dev/null >>"$log" 2>&1; then
        tail --lines=5 "$log" >&2
        exit 1
    fi
}
"""
"""Of a configuration file the present one stays: it is Perenne's. Output goes to a file: a lost connection does not end
dpkg half-way."""

_LOOK = f"""{_APT}
apt --error-on=any update
if [[ -z $(apt-get indextargets) ]]; then
    echo "it has no package source (/etc/apt/sources.list)" >&2
    exit 1
fi
apt-get --quiet --quiet --simulate --with-new-pkgs upgrade </dev/null | awk '/^Inst / {{ print $2 }}'
"""
# Kernels come as new packages.
_UPGRADE = f"{_APT}\napt --with-new-pkgs upgrade\n"
# Takes dpkg's lock, and refuses where dpkg was stopped half-way.
_AT_REST = f"{_APT}\napt -o DPkg::Lock::Timeout={_UPGRADE_SECONDS:.0f} check\n"
_REBOOT_REQUIRED = "if [ -e /run/reboot-required ]; then echo yes; fi\n"


async def waiting(site: Site, name: str) -> list[str]:
    """The packages of which there is a newer version for a server; nothing is installed.

    Raises:
        Failure: The server reaches no package source.
    """
    try:
        return (await site.hands.shell(name, _LOOK, seconds=_LOOK_SECONDS)).split()
    except Failure as failure:
        without = site.stack.command("patch", "--no-packages")
        remedy = f"Give it a way to its package sources, or leave packages out: {without}"
        raise Failure(f"{name} can't look for newer packages", failure.why, remedy) from failure


async def until_at_rest(site: Site, name: str) -> None:
    """Wait until nothing installs packages on a server: an earlier patch whose connection was lost may still.

    Raises:
        Failure: It does not end, or was stopped half-way; the server stays drained.
    """
    try:
        await site.hands.shell(name, _AT_REST, seconds=_UPGRADE_SECONDS)
    except Failure as failure:
        remedy = f"Mend it there ({site.stack.command('ssh', name)}; /var/log/perenne-patch.log), then run this again."
        raise Failure(f"{name}, which is drained, can't be restarted now", failure.why, remedy) from failure


async def upgrade(site: Site, name: str) -> None:
    """Install what `waiting` found.

    Raises:
        Failure: It failed; the server stays drained.
    """
    try:
        await site.hands.shell(name, _UPGRADE, seconds=_UPGRADE_SECONDS)
    except Failure as failure:
        remedy = f"Mend it there ({site.stack.command('ssh', name)}; /var/log/perenne-patch.log), then run this again."
        raise Failure(f"packages could not be installed on {name}, which is drained", failure.why, remedy) from failure


async def needs_restart(site: Site, name: str) -> bool:
    """Whether the server itself says that it has to be restarted."""
    return await site.hands.shell(name, _REBOOT_REQUIRED) == "yes"
