"""The image that servers are cloned from."""

from dataclasses import dataclass
from pathlib import Path

import pulumi
import pulumi_vsphere as vsphere

from blueprint.settings import Settings
from components.iscsi_datastore import IscsiDatastores

_PROJECT = Path(__file__).parent.parent


@dataclass(frozen=True)
class VmTemplateArgs:
    """Where the template comes from and where it is kept."""

    settings: Settings
    storage: IscsiDatastores


class VmTemplate(pulumi.ComponentResource):
    """An OVA in a content library on shared storage: unlike a powered-off VM, nobody starts it by mistake."""

    item: vsphere.ContentLibraryItem

    def __init__(self, name: str, args: VmTemplateArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("perenne:index:VmTemplate", name, {}, opts)
        template = args.settings.template
        first = next(iter(args.storage.datastores.values()))
        library = vsphere.ContentLibrary(
            f"{name}-library",
            name=f"perenne-{args.settings.cluster.name}",
            description="Images that Perenne clones servers from",
            storage_backings=[first.id],
            opts=pulumi.ResourceOptions(parent=self, depends_on=args.storage.ready),
        )
        url = template.ova if template.ova.startswith("https://") else str(_PROJECT / template.ova)
        self.item = vsphere.ContentLibraryItem(
            f"{name}-{template.name}",
            name=template.name,
            description="Debian 12 with cloud-init",
            library_id=library.id,
            type="ovf",
            file_url=url,
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.register_outputs({"item": self.item.id})
