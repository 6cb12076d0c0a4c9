"""`./perenne env`: what the user's own shell needs for plain `pulumi preview` and `pulumi up`."""

import shlex

from cli import toolchain
from cli.console import say
from cli.engine import Engine, environment_of
from stack.labs import lab_of
from stack.workspace import Stack, have_private


def env(stack: Stack) -> str:
    """Lines for `eval`; Pulumi and the stack in its backend are there when it returns."""
    have_private()
    extra = lab_of(stack).prepare().environment if stack.is_lab else {}
    pulumi = toolchain.ensure(lambda line: say(line, "dim"))
    if stack.passphrase_file.exists() or not stack.is_lab:
        Engine(stack, pulumi, extra).ensure_stack()
    exports = environment_of(stack, pulumi, extra)
    return "\n".join(f"export {name}={shlex.quote(value)}" for name, value in sorted(exports.items()))
