"""By what it shows that a fault took effect: looked for at what it hits, and not taken from whoever brought it about.

Scripts (bash, as root on a server) print a sentence, or fail. They ask a shell function `pids`, which the fault brings
along, for the ids of its processes.
"""

from drills.faults.fault import Scene
from machine.failure import Failure
from moves.hands import ContainerAction

_THERE = """
found=$(pids)
read -r main <<<"$found"
((main)) || { echo "there is no such process" >&2; exit 1; }
"""

KILLED = f"""{_THERE}
kill -KILL $found
while ps -o state= -p "$(echo $found)" | grep --quiet '[^Z]'; do sleep 0.05; done
echo "$(wc --words <<<"$found") processes are gone"
"""
"""Kills them, and waits until none is left."""

STOPPED = f"""{_THERE}
running() {{ ps -o state= -p "$(echo $(pids))" | grep --quiet '[^TZ]'; }}
while running; do kill -STOP $(pids) 2>/dev/null || true; done
echo "$(pids | wc --words) processes stand still"
"""
"""Stops them, and waits until none runs any more; one that was just being made is stopped, too."""

LOOKED_SECONDS = 2.1
"""How long `SLOWED` looks."""

# 0.07 s is no part of the 0.15 s and more after which a slowed process goes on: looks are spread over all of that time.
SLOWED = f"""{_THERE}
looks=0 stopped=0
for _ in {{1..30}}; do
    for one in $found; do
        {{ read -r state </proc/$one/stat; }} 2>/dev/null || continue
        looks=$((looks + 1))
        if [[ ${{state##*) }} == T* ]]; then stopped=$((stopped + 1)); fi
    done
    sleep 0.07
done
found="its processes stood still in $stopped of $looks looks"
((2 * stopped > looks)) || {{ echo "$found" >&2; exit 1; }}
echo "$found"
"""
"""Looks how often they stand still; that must be more often than not."""

_STATES: dict[ContainerAction, str] = {"kill": "exited", "pause": "paused"}


async def of_container(scene: Scene, action: ContainerAction, machine: str) -> str:
    """Kill or pause the container that stands for a machine; says its state.

    Raises:
        Failure: Docker can't, or the container is in another state than that.
    """
    state = await scene.hands.container(action, machine)
    if state != _STATES[action]:
        what = f"Docker was to {action} {machine}"
        raise Failure(what, f"its state is {state}", f"Look at {scene.stack.command('status')}.")
    return f"{machine} is {state}"
