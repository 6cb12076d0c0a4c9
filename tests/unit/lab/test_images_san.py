"""The numbers that the san image gives to targets and LUNs."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

SCRIPT = Path(__file__).parents[3] / "lab" / "images" / "san" / "serve_luns.py"


@pytest.fixture
def serve_luns() -> ModuleType:
    spec = importlib.util.spec_from_file_location("serve_luns", SCRIPT)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_numbers_come_from_the_identifiers(serve_luns: ModuleType) -> None:
    luns = [{"name": "a", "naa": "naa.3000000200000001"}, {"name": "b", "naa": "naa.300000020000000a"}]

    assert [(target, lun) for target, lun, _ in serve_luns.numbered(luns)] == [(2, 1), (2, 10)]


def test_without_identifiers_luns_are_counted(serve_luns: ModuleType) -> None:
    assert [(target, lun) for target, lun, _ in serve_luns.numbered([{"name": "a"}, {"name": "b"}])] == [(1, 1), (1, 2)]


@pytest.mark.parametrize(
    ("luns", "message"),
    [
        ([{"name": "a", "naa": "naa.6000000000000001"}], "LUN a"),
        (
            [{"name": "a", "naa": "naa.3000000100000001"}, {"name": "b", "naa": "naa.3000000200000002"}],
            "same first 8 digits",
        ),
    ],
)
def test_identifiers_that_tgt_cannot_give_are_refused(
    serve_luns: ModuleType, luns: list[dict[str, str]], message: str
) -> None:
    with pytest.raises(SystemExit, match=message):
        serve_luns.numbered(luns)


def test_the_control_request_has_the_size_of_tgts_structure(serve_luns: ModuleType) -> None:
    assert serve_luns.REQUEST.size == 120  # sizeof(struct tgtadm_req) on 64-bit Linux
