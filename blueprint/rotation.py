"""In which steps a running site gets from its secrets to new ones, so that nothing stops in between.

    nothing  ──begin──▶  ACCEPT  ──advance──▶  USE  ──advance──▶  DROP  ──advance──▶  nothing

What a step changes is written into the stack file at once; then it is deployed. In ACCEPT servers take the new values
of `Way.OVERLAP` beside the old ones, which are still used; in USE the new values of all are used, and those old ones
still taken; in DROP they no longer are. The names in the encrypted configuration alone tell the step (`Stage`), so a
rotation that was interrupted, however hard, goes on where it was: what the file says is deployed again, which changes
nothing where it was done, and then comes the next step.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from blueprint.secrets import Kind, Secret, Stage, Way, other_login, password_of
from blueprint.settings import Settings

Make = Callable[[Secret, str], str]
"""Makes the value of a secret; the second argument is the authority that signs certificates."""


class Step(StrEnum):
    """What the stack file has just been told, and the next deployment does."""

    ACCEPT = "accept the new values beside the old ones"
    USE = "use the new values"
    DROP = "accept the old values no more"


@dataclass(frozen=True)
class Change:
    """What is written into the stack file at once."""

    values: dict[str, str] = field(default_factory=dict, repr=False)
    removed: tuple[str, ...] = ()
    logins: dict[str, str] = field(default_factory=dict)
    """Database roles by which services log in from now on, where that changes."""


def step_of(values: Mapping[str, str]) -> Step | None:
    """At which step a rotation is; None if there is none."""
    for stage, step in ((Stage.NEXT, Step.ACCEPT), (Stage.PREVIOUS, Step.USE), (Stage.RETIRED, Step.DROP)):
        if names_in(values, stage):
            return step
    return None


def names_in(values: Mapping[str, str], stage: Stage) -> list[str]:
    """The secrets of which there is a value in that stage."""
    return [key.removeprefix(stage) for key in values if key.startswith(stage)]


def rotated(values: Mapping[str, str]) -> list[str]:
    """The secrets that are being rotated."""
    return sorted({name for stage in Stage for name in names_in(values, stage)})


def chosen(needed: Iterable[Secret], only: Iterable[str]) -> list[Secret]:
    """The secrets to rotate: those of `only`, or all that cost nobody anything; a new authority signs all certificates.

    Raises:
        KeyError: There is no secret of a name in `only`.
    """
    by_name = {secret.name: secret for secret in needed}
    names = {by_name[name].name for name in only}
    if not names:
        names = {secret.name for secret in by_name.values() if not (secret.given or secret.way is Way.COSTLY)}
    if any(by_name[name].kind is Kind.CERTIFICATE_AUTHORITY for name in names):
        names |= {secret.name for secret in by_name.values() if secret.kind is Kind.CERTIFICATE and not secret.given}
    return [secret for secret in by_name.values() if secret.name in names]


def begin(wanted: Iterable[Secret], values: Mapping[str, str], make: Make) -> Change:
    """Make the new values; certificates are signed by the new authority if that is among them."""
    made: dict[str, str] = {}
    authority = values["tls-authority"]
    for secret in sorted(wanted, key=lambda one: one.kind is not Kind.CERTIFICATE_AUTHORITY):
        made[f"{Stage.NEXT}{secret.name}"] = value = make(secret, authority)
        if secret.kind is Kind.CERTIFICATE_AUTHORITY:
            authority = value
    return Change(made)


def must_be_deployed(needed: Iterable[Secret], values: Mapping[str, str]) -> bool:
    """Whether the present step changes anything on the site: in ACCEPT it does where both values are to be accepted."""
    if step_of(values) is not Step.ACCEPT:
        return step_of(values) is not None
    overlapping = {secret.name for secret in needed if secret.way is Way.OVERLAP}
    return bool(overlapping & set(names_in(values, Stage.NEXT)))


def advance(settings: Settings, needed: Iterable[Secret], values: Mapping[str, str]) -> Change:
    """From the present step, which has been deployed, to the next one."""
    match step_of(values):
        case Step.ACCEPT:
            return use(settings, needed, values, names_in(values, Stage.NEXT))
        case Step.USE:
            old = names_in(values, Stage.PREVIOUS)
            retired = {f"{Stage.RETIRED}{name}": values[f"{Stage.PREVIOUS}{name}"] for name in old}
            return Change(retired, tuple(f"{Stage.PREVIOUS}{name}" for name in old))
        case Step.DROP:
            return Change(removed=tuple(f"{Stage.RETIRED}{name}" for name in names_in(values, Stage.RETIRED)))
        case None:
            return Change()


def use(settings: Settings, needed: Iterable[Secret], values: Mapping[str, str], names: Iterable[str]) -> Change:
    """Put the new values of these secrets into the old ones' places."""
    overlapping = {secret.name for secret in needed if secret.way is Way.OVERLAP}
    changed: dict[str, str] = {}
    names = list(names)
    for name in names:
        changed[name] = values[f"{Stage.NEXT}{name}"]
        if name in values:
            changed[f"{Stage.PREVIOUS if name in overlapping else Stage.RETIRED}{name}"] = values[name]
    logins = {
        service: other_login(service, settings.login_of(service))
        for service in settings.services
        if password_of(service) in names
    }
    return Change(changed, tuple(f"{Stage.NEXT}{name}" for name in names), logins)
