"""Plugins that outlived their engine are told from others' processes."""

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from cli import plugins


@contextmanager
def orphan(name: str, folder: Path) -> Iterator[int]:
    """A process of that name and folder, whose parent has ended."""
    program = folder / name
    shutil.copy("/bin/sleep", program)
    started = ["sh", "-c", f"{program} 600 >/dev/null 2>&1 & echo $!"]
    process = int(subprocess.run(started, cwd=folder, stdout=subprocess.PIPE, check=True).stdout)
    try:
        yield process
    finally:
        os.kill(process, signal.SIGKILL)


def test_an_official_plugin_of_this_working_copy_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plugins, "PROGRAM", tmp_path)
    with orphan("pulumi-resource-vsphere", tmp_path) as process:
        assert process in plugins.orphans()


def test_another_working_copy_s_plugin_is_not(tmp_path: Path) -> None:
    with orphan("pulumi-resource-vsphere", tmp_path) as process:
        assert process not in plugins.orphans()


def test_another_program_in_this_working_copy_is_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plugins, "PROGRAM", tmp_path)
    with orphan("something-else", tmp_path) as process:
        assert process not in plugins.orphans()
