"""esxcli's formats, compared with what an ESXi host prints."""

import pytest

from lab.images.esxi.esxcli.output import FORMATTERS, Blocks, Result, Structure, Table, Text, plain

TABLE = Table(
    ("Adapter", "Target Address"),
    [{"Adapter": "vmhba64", "Target Address": "198.18.31.10:3260"}, {"Adapter": "vmhba65", "Target Address": ""}],
)
BLOCKS = Blocks(
    [("vmk0", {"Name": "vmk0", "Enabled": True, "MTU": 1500}), ("vmk1", {"Name": "vmk1", "Enabled": False})]
)
STRUCTURE = Structure({"Enabled": False, "Servers": ["198.18.10.1", "198.18.10.2"]})


@pytest.mark.parametrize(
    ("result", "printed"),
    [
        (Text(), ""),
        (Text("true"), "true\n"),
        (
            TABLE,
            "Adapter  Target Address\n-------  -----------------\nvmhba64  198.18.31.10:3260\nvmhba65\n",
        ),
        (Table(("Adapter",), []), ""),
        (
            BLOCKS,
            "vmk0\n   Name: vmk0\n   Enabled: true\n   MTU: 1500\n\nvmk1\n   Name: vmk1\n   Enabled: false\n",
        ),
        (STRUCTURE, "   Enabled: false\n   Servers: 198.18.10.1, 198.18.10.2\n"),
    ],
)
def test_plainly(result: Result, printed: str) -> None:
    assert plain(result) == printed


def test_as_csv_fields_are_sorted_and_every_line_ends_with_a_comma() -> None:
    assert FORMATTERS["csv"](TABLE) == "Adapter,TargetAddress,\nvmhba64,198.18.31.10:3260,\nvmhba65,,\n"
    assert FORMATTERS["csv"](BLOCKS) == "Enabled,MTU,Name,\ntrue,1500,vmk0,\nfalse,,vmk1,\n"


def test_as_json_values_keep_their_types() -> None:
    assert FORMATTERS["json"](Structure({"Is Local": False, "Size": 65536})) == (
        '{\n   "IsLocal": false,\n   "Size": 65536\n}\n'
    )
    assert FORMATTERS["json"](Blocks([])) == "[]\n"


def test_as_keyvalue_types_are_named() -> None:
    assert FORMATTERS["keyvalue"](STRUCTURE) == "Enabled.boolean=false\nServers.string[]=198.18.10.1, 198.18.10.2\n"
    assert FORMATTERS["keyvalue"](TABLE).splitlines()[1] == "Item[0].TargetAddress.string=198.18.31.10:3260"
