"""Pulumi's engine for one stack: its environment, its state, and its runs."""

import json
import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cli import plugins, signals
from cli.console import Progress
from cli.events import Deployment, Stream, name_of
from cli.signals import Interrupted
from cli.toolchain import Pulumi
from machine import processes
from machine.failure import Failure
from policies.judging.report import VARIABLE as REPORT
from stack.workspace import PRIVATE, PROGRAM, REPOSITORY, STATE, Stack

PROJECT = "perenne"
POLICIES = ("--policy-pack", str(REPOSITORY / "policies"))
"""Options of every preview and update: the rules judge it, and what they refuse is not deployed."""

_TAIL_CHARACTERS = 500
_ENDING_SECONDS = 120.0
"""How long an engine whose ./perenne was killed may take to finish what it was doing."""

_LOOK_SECONDS = 0.1
"""How often a running engine's events are looked for."""

_NO_SIDECARS = "metadata=skip"
"""Of a file backend: no `.attrs` beside each file, which Pulumi writes in place (gocloud.dev/blob/fileblob, setAttrs).
An engine that is killed meanwhile leaves an empty one, and none reads the state beside it any more: "failed to load
checkpoint: EOF" (found by tests/benchmarks/interruptions.py)."""

_READ_SUFFIXES = (".json", ".json.gz", ".json.zst", ".pulumi-tags")
"""What the names of a stack's files end with that every run reads: its state, compressed or not, and its tags."""


def environment_of(stack: Stack, pulumi: Pulumi, extra: Mapping[str, str]) -> dict[str, str]:
    """What the engine needs beside this process's own environment; the same that `./perenne env` prints.

    A real stack's own choice of backend and passphrase stays; a lab's state is always this working copy's.
    """
    folders = [str(pulumi.folder), *(one for one in os.environ["PATH"].split(os.pathsep) if one != str(pulumi.folder))]
    environment = {
        "PATH": os.pathsep.join(folders),
        "PULUMI_SKIP_UPDATE_CHECK": "true",
    }
    if pulumi.home:
        environment["PULUMI_HOME"] = str(pulumi.home)
    if stack.is_lab or not os.environ.get("PULUMI_BACKEND_URL"):
        environment["PULUMI_BACKEND_URL"] = f"{STATE.as_uri()}?{_NO_SIDECARS}"
    given = {"PULUMI_CONFIG_PASSPHRASE", "PULUMI_CONFIG_PASSPHRASE_FILE"} & os.environ.keys()
    if stack.is_lab or not given:
        environment["PULUMI_CONFIG_PASSPHRASE_FILE"] = str(stack.passphrase_file)
    for name, value in extra.items():
        own = os.environ.get(name, "")
        adds_up = name.lower() == "no_proxy" and own and value not in own
        environment[name] = f"{own},{value}" if adds_up else value
    return environment


@dataclass
class Engine:
    """Runs Pulumi for one stack.

    Args:
        stack: The stack.
        pulumi: The engine's files.
        extra: More environment (a lab's certificates, for one).
        folder: Where the program and its stack file are.
    """

    stack: Stack
    pulumi: Pulumi
    extra: Mapping[str, str] = field(default_factory=dict)
    folder: Path = PROGRAM

    @property
    def environment(self) -> dict[str, str]:
        """The whole environment of its runs."""
        environment = os.environ | environment_of(self.stack, self.pulumi, self.extra)
        if "PULUMI_CONFIG_PASSPHRASE_FILE" in environment and self.stack.is_lab:
            environment.pop("PULUMI_CONFIG_PASSPHRASE", None)  # it would win
        return dict(environment)

    @property
    def has_state(self) -> bool:
        """Whether the stack is in a backend on this machine."""
        return self._state_file.exists()

    def ensure_stack(self) -> None:
        """Have the stack in the backend.

        Raises:
            Failure: The engine refuses.
        """
        STATE.mkdir(parents=True, exist_ok=True)
        if self.has_state:
            return
        done = self._run("stack", "select", "--create", self.stack.name, "--non-interactive")
        if done.returncode:
            raise _failure(f"stack {self.stack.name} can't be made", done)

    def state(self) -> dict[str, Any]:
        """The stack's deployment as `pulumi stack export` has it; secrets in it stay encrypted.

        Raises:
            Failure: The engine can't read it.
        """
        return self._export()

    def state_in_clear(self) -> dict[str, Any]:
        """The same with secrets in clear, for this process only.

        Raises:
            Failure: The engine can't read it.
        """
        return self._export("--show-secrets")

    def set_state(self, document: Mapping[str, Any]) -> None:
        """Replace the stack's deployment.

        Raises:
            Failure: The engine refuses.
        """
        done = self._run("stack", "import", "--stack", self.stack.name, text=json.dumps(document))
        if done.returncode:
            raise _failure(f"the state of stack {self.stack.name} can't be written", done)

    def release(self, progress: Callable[[str], None]) -> None:
        """Take a lock whose engine is dead off the stack, and what else it left; wait for one that is still finishing.

        Raises:
            Failure: Another engine works on the stack and does not end.
        """
        self._drop_broken_sidecars(progress)
        stale = False
        for file in self._locks():
            holder = json.loads(file.read_text())
            process = int(holder["pid"])
            if holder["hostname"] != socket.gethostname():
                remedy = f"If it is gone: pulumi cancel --stack {self.stack.name}"
                raise Failure(
                    f"stack {self.stack.name} is locked", f"by {holder['hostname']}, process {process}", remedy
                )
            if processes.is_alive(process, "pulumi"):
                progress(f"process {process} still works on the stack; waiting for it to end")
                if not processes.wait_for_end(process, _ENDING_SECONDS):
                    remedy = f"Wait for it, or interrupt it: kill -INT {process}"
                    raise Failure(f"stack {self.stack.name} is locked", f"process {process} works on it", remedy)
            stale = True
        if stale and self._locks():
            progress("an earlier run was killed; its lock is taken off")
            processes.end(plugins.orphans())
            done = self._run("cancel", "--yes", self.stack.name)
            if done.returncode:
                raise _failure(f"the lock of stack {self.stack.name} can't be taken off", done)

    def preview(self, *options: str) -> int:
        """Show a preview in Pulumi's own words; returns its exit code."""
        return self.attended("preview", "--stack", self.stack.name, *POLICIES, *options)

    def changes(self) -> str:
        """What an update would change, in a few words; empty if nothing."""
        done = self._run("preview", "--stack", self.stack.name, "--json", "--non-interactive")
        try:
            steps = json.loads(done.stdout)["steps"]
        except (ValueError, KeyError):
            return f"it failed: {done.stderr.strip()[-_TAIL_CHARACTERS:] or f'status {done.returncode}'}"
        return ", ".join(_told(step) for step in steps if step["op"] not in {"same", "read"})

    def steps(self) -> list[dict[str, Any]]:
        """What an update would do after it looked at what is really there: Pulumi's steps, secrets masked.

        Raises:
            Failure: The preview fails.
        """
        done = self._run("preview", "--refresh", "--stack", self.stack.name, "--json", "--non-interactive")
        try:
            document = json.loads(done.stdout)
        except ValueError:
            document = {}
        if done.returncode or "steps" not in document:
            found = [one["message"].strip() for one in document.get("diagnostics", ()) if one["severity"] == "error"]
            why = "\n".join(found) or done.stderr.strip()[-_TAIL_CHARACTERS:] or f"status {done.returncode}"
            raise Failure(
                f"what is there of stack {self.stack.name} can't be looked at", why, "Mend that, then try again."
            )
        return list(document["steps"])

    def attended(self, *arguments: str) -> int:
        """Run Pulumi on the user's terminal, which asks what it has to; returns its exit code."""
        # By SIGINT it ends in good order.
        return signals.run(self._command(arguments), signal.SIGINT, cwd=self.folder, env=self.environment)

    def up(self, deployment: Deployment, progress: Progress, report: Path, options: Sequence[str] = ()) -> bool:
        """Preview, then update, without asking; returns whether both succeeded.

        The policy pack writes its judgement to `report`; `options` are `pulumi up`'s.

        A first Ctrl-C lets the engine finish what is in progress; a second one stops it at once.

        Raises:
            Interrupted: By the user, after the engine has ended.
        """
        return self._follow(["up", "--yes", *options], report, deployment, progress)

    def preview_judged(self, deployment: Deployment, progress: Progress, report: Path) -> bool:
        """Preview for the policy pack's sake, which writes its judgement to `report`; returns whether all went well.

        Raises:
            Interrupted: By the user, after the engine has ended.
        """
        return self._follow(["preview"], report, deployment, progress)

    def _follow(self, arguments: Sequence[str], report: Path, deployment: Deployment, progress: Progress) -> bool:
        """Run Pulumi with the policy pack, follow its events, and return whether it succeeded."""
        options = ("--non-interactive", "--json", "--stack", self.stack.name, *POLICIES)
        environment = {"PULUMI_ENABLE_STREAMING_JSON_PREVIEW": "true", REPORT: str(report)}
        interrupted = False
        with (
            Stream() as stream,
            subprocess.Popen(
                self._command([*arguments, *options]),
                cwd=self.folder,
                env=self.environment | environment,
                stdin=subprocess.DEVNULL,
                stdout=stream.fileno(),
                stderr=subprocess.STDOUT,
                process_group=0,  # a Ctrl-C reaches it once only, through here
            ) as process,
        ):
            has_ended = False
            while not has_ended:
                try:
                    has_ended = processes.wait_for_end(process.pid, _LOOK_SECONDS)
                    for line in stream.lines():
                        _take(line, deployment, progress)
                except KeyboardInterrupt:
                    interrupted = True
                    progress("interrupting: what is in progress is finished first (Ctrl-C again: at once)")
                    process.send_signal(signal.SIGINT)
            status = process.wait()
        if interrupted:
            raise Interrupted("the deployment")
        return status == 0

    def _export(self, *options: str) -> dict[str, Any]:
        done = self._run("stack", "export", "--stack", self.stack.name, *options)
        if done.returncode:
            raise _failure(f"the state of stack {self.stack.name} can't be read", done)
        document: dict[str, Any] = json.loads(done.stdout)
        return document

    def _command(self, arguments: Sequence[str]) -> list[str]:
        # When ./perenne is killed, the engine is interrupted, and ends in good order; also where a shell has started
        # ./perenne in the background, which would have both ignore interrupts. A closed terminal would end the engine
        # at once: it knows of SIGINT and SIGTERM alone, and that one is for ./perenne to pass on.
        tied = ["env", "--ignore-signal=HUP", "--default-signal=INT", "setpriv", "--pdeathsig", "INT"]
        return [*tied, str(self.pulumi.executable), *arguments]

    def _run(self, *arguments: str, text: str | None = None) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            self._command(arguments),
            cwd=self.folder,
            env=self.environment,
            input=text or "",
            capture_output=True,
            text=True,
            check=False,
        )

    @property
    def _backend(self) -> Path | None:
        """The backend's folder, if it is one on this machine."""
        url = self.environment["PULUMI_BACKEND_URL"]
        path = url.removeprefix("file://").partition("?")[0]
        return Path(path).expanduser() / ".pulumi" if url.startswith("file://") else None

    def _drop_broken_sidecars(self, progress: Callable[[str], None]) -> None:
        """Remove what `_NO_SIDECARS` is about from a backend of the user's own; it is a checksum, and may be away.

        Only beside what a run reads (Pulumi 3.259, backend/diy): its history and older states grow, and stay unread.
        """
        if self._backend is None:
            return
        own = [self._state_file.with_name(f"{self.stack.name}{suffix}.attrs") for suffix in _READ_SUFFIXES]
        for file in (self._backend / "meta.yaml.attrs", *own):
            try:
                json.loads(file.read_bytes())
            except FileNotFoundError:
                continue
            except ValueError:
                progress(f"{file.name} was half written by a run that was killed: it is removed")
                file.unlink(missing_ok=True)

    @property
    def _state_file(self) -> Path:
        return (self._backend or PRIVATE / "none") / "stacks" / PROJECT / f"{self.stack.name}.json"

    def _locks(self) -> list[Path]:
        if self._backend is None:
            return []
        return sorted((self._backend / "locks" / "organization" / PROJECT / self.stack.name).glob("*.json"))


def _told(step: Mapping[str, Any]) -> str:
    """A step of a preview in a few words, with the properties that make it necessary; values may be secret."""
    reasons = ", ".join(step.get("diffReasons") or [])
    return f"{step['op']} {name_of(step['urn'])}" + (f" ({reasons})" if reasons else "")


def interrupt(stack: Stack) -> None:
    """End an engine that still works on a lab's stack after its ./perenne was killed."""
    for file in (STATE / ".pulumi" / "locks" / "organization" / PROJECT / stack.name).glob("*.json"):
        process = int(json.loads(file.read_text())["pid"])
        if processes.is_alive(process, "pulumi"):
            processes.end([process])


def forget_state(stack: Stack) -> None:
    """Remove a lab's state without asking the engine: nothing that it describes exists any more."""
    stack.generation_file.unlink(missing_ok=True)
    stack.drained_file.unlink(missing_ok=True)
    folder = STATE / ".pulumi"
    for file in (folder / "stacks" / PROJECT).glob(f"{stack.name}.json*"):
        file.unlink()
    for kind in ("backups", "history"):
        shutil.rmtree(folder / kind / PROJECT / stack.name, ignore_errors=True)
    shutil.rmtree(folder / "locks" / "organization" / PROJECT / stack.name, ignore_errors=True)


def _take(line: str, deployment: Deployment, progress: Progress) -> None:
    text = line.strip()
    if not text.startswith("{"):
        progress.display.log(f"{progress.name}: {text}")
        if text.startswith("error:"):
            deployment.errors.append(text.removeprefix("error:").strip())
        return
    if worth := deployment.read(text):
        progress.display.log(f"{progress.name}: {worth}")
    progress.replace(deployment.progress)


def _failure(what: str, done: "subprocess.CompletedProcess[str]") -> Failure:
    lines = [line for line in done.stderr.splitlines() if not line.startswith("warning: using pulumi-")]
    why = "\n".join(lines[-10:]) or f"pulumi ended with status {done.returncode}"
    return Failure(what, why, "Mend that, then run this again.")
