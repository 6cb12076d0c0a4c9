"""The image that servers are cloned from."""

from dataclasses import dataclass

import pulumi
import pulumi_vsphere as vsphere

from blueprint.settings import Settings
from components import lookups
from components.iscsi_datastore import IscsiDatastores


@dataclass(frozen=True)
class VmTemplateArgs:
    """Where the template comes from and where it is kept."""

    settings: Settings
    storage: IscsiDatastores


class VmTemplate(pulumi.ComponentResource):
    """An OVA in a content library, which unlike a powered-off VM nobody starts by mistake.

    It is imported into a library of Perenne's on shared storage, or is in one that somebody else keeps.
    """

    id: pulumi.Output[str]
    """The library item's."""

    def __init__(self, name: str, args: VmTemplateArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("perenne:index:VmTemplate", name, {}, opts)
        template = args.settings.template
        if template.library:
            # Asked for when there is somewhere to put a clone: a first preview can be made without it.
            first = next(iter(args.storage.datastores.values()))
            library = first.id.apply(lambda _id: template.library)
            options = pulumi.InvokeOutputOptions(parent=self, depends_on=args.storage.ready)
            self.id = lookups.library_item_id(library, template.name, options)
        else:
            self.id = self._imported(name, args)
        self.register_outputs({"item": self.id})

    def _imported(self, name: str, args: VmTemplateArgs) -> pulumi.Output[str]:
        template = args.settings.template
        first = next(iter(args.storage.datastores.values()))
        library = vsphere.ContentLibrary(
            f"{name}-library",
            name=f"perenne-{args.settings.cluster.name}",
            description="Images that Perenne clones servers from",
            storage_backings=[first.id],
            opts=pulumi.ResourceOptions(parent=self, depends_on=args.storage.ready),
        )
        item = vsphere.ContentLibraryItem(
            f"{name}-{template.name}",
            name=template.name,
            description="Debian 12 with cloud-init",
            library_id=library.id,
            type="ovf",
            # A path from the project's folder, where providers run: with this machine's own before it, another machine
            # would import the image anew.
            file_url=template.ova,
            opts=pulumi.ResourceOptions(parent=self),
        )
        return item.id
