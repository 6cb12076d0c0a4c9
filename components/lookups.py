"""Every question to vCenter about what is already there."""

import pulumi
import pulumi_vsphere as vsphere


def datastore_id(
    name: pulumi.Input[str], datacenter_id: pulumi.Input[str], options: pulumi.InvokeOutputOptions
) -> pulumi.Output[str]:
    """Managed object id of a datastore that Perenne did not make, by its name."""
    return vsphere.get_datastore_output(name=name, datacenter_id=datacenter_id, opts=options).id


def library_item_id(
    library: pulumi.Input[str], name: pulumi.Input[str], options: pulumi.InvokeOutputOptions
) -> pulumi.Output[str]:
    """Id of an OVF template in a content library that Perenne did not make, both by their names."""
    found = vsphere.get_content_library_output(name=library, opts=options)
    return vsphere.get_content_library_item_output(name=name, library_id=found.id, type="ovf", opts=options).id


def network_id(
    name: pulumi.Input[str], datacenter_id: pulumi.Input[str], options: pulumi.InvokeOutputOptions
) -> pulumi.Output[str]:
    """Managed object id of a port group, by its name; `options` names the provider and what must exist before."""
    return vsphere.get_network_output(name=name, datacenter_id=datacenter_id, opts=options).id
