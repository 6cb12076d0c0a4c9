"""The list of what the offline vSphere plugin can't exercise."""

from offline.vsphere_gap import NOT_EXERCISED, SCHEMA, Interface, gap, plugin_interface, sdk_interface


def test_list_is_that_of_the_installed_sdk() -> None:
    assert NOT_EXERCISED.read_text() == gap(sdk_interface(), plugin_interface(SCHEMA.read_text())).json()


def test_names_types_functions_and_nested_inputs() -> None:
    sdk = Interface(
        config={"user": None, "newSetting": None},
        resources={"old:Vm": {"name": None, "disks": {"label": None, "cache": None}}, "new:Zone": {"name": None}},
        functions={"old:getHost": {"name": None}, "new:getZone": {}},
    )
    plugin = Interface(
        config={"user": None},
        resources={"old:Vm": {"name": None, "disks": {"label": None}, "retired": None}},
        functions={"old:getHost": {"name": None}},
    )
    found = gap(sdk, plugin)
    assert found.resources == ["new:Zone"]
    assert found.functions == ["new:getZone"]
    assert found.inputs == {"pulumi:providers:vsphere": ["newSetting"], "old:Vm": ["disks.cache"]}


def test_sdk_is_read_down_to_nested_inputs() -> None:
    sdk = sdk_interface()
    vm = sdk.resources["vsphere:index/virtualMachine:VirtualMachine"]
    assert vm["memory"] is None
    clone = vm["clone"]
    assert clone is not None
    assert "customize" in clone
    assert sdk.functions["vsphere:index/getHost:getHost"] == {"datacenterId": None, "name": None}
    assert "vsphereServer" in sdk.config
