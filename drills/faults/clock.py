"""A clock that is wrong."""

from drills.faults.fault import Fault, Hit, Scene, aim_at
from drills.faults.steps import on_server
from stack.workspace import Stack

WRONG_SECONDS = 30.0


def faults() -> tuple[Fault, ...]:
    """The primary's clock."""
    return (
        Fault(
            name="step-clock",
            title="The primary's clock is wrong by a minute",
            aim=aim_at(lambda scene: scene.standing.primary, "the primary"),
            inject=_step_clock,
            lasts=WRONG_SECONDS,
            unavailable=_no_clock,
            primary_stays=True,
            proves=("NET-03",),
            notes=("Nobody has tried it yet: the lab can't.",),
        ),
    )


def _no_clock(stack: Stack) -> str:
    return "the lab's guests are containers and share the machine's clock" if stack.is_lab else ""


async def _step_clock(scene: Scene, hit: Hit) -> str:
    server = hit.machine
    scene.promise(
        on_server(
            server,
            does=f"set {server}'s clock",
            by_hand=f"On {server}: systemctl start chrony && chronyc waitsync 10 && chronyc makestep",
            script="systemctl start chrony\nchronyc waitsync 10\nchronyc makestep\n",
        )
    )
    return await scene.hands.shell(server, "systemctl stop chrony\ndate --set '+60 seconds'\n")
