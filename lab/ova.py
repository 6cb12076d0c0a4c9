"""The template that the lab's vCenter imports: an OVA with a virtual machine of one disk and one network adapter.

Its disk is empty: in the lab a guest's disks are those of the guest image, and the template carries what vCenter keeps
of it (OVF Specification, DMTF DSP0243 1.1.0; disk format: VMware, "Virtual Disk Format 5.0").
"""

import hashlib
import io
import struct
import tarfile
from pathlib import Path
from xml.sax.saxutils import escape, quoteattr

from machine.files import write

DISK_GIB = 4
"""The least that a server may have: a clone's disk can't be smaller than its template's."""

_SECTOR = 512
_GRAIN = 128
"""Sectors."""
_ENTRIES_PER_TABLE = 512
_OVERHEAD = 128
"""Sectors before the first grain, as VMware's own tools have it."""
_AT_END = 0xFFFFFFFFFFFFFFFF
"""The header's grain directory offset when the footer has the true one."""


def write_template(path: Path, name: str, guest_id: str) -> None:
    """Write the OVA of a template; its bytes depend on the arguments alone.

    Args:
        path: where to.
        name: of the virtual system.
        guest_id: the guest operating system in vSphere's words, such as debian12_64Guest.
    """
    disk = _stream_optimized_vmdk(f"{name}-disk1.vmdk")
    descriptor = _descriptor(name, guest_id, len(disk)).encode()
    members = {f"{name}.ovf": descriptor, f"{name}-disk1.vmdk": disk}
    manifest = "".join(f"SHA256({file})= {hashlib.sha256(data).hexdigest()}\n" for file, data in members.items())
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        # The descriptor comes first, the manifest next (DSP0243, section 5.3).
        ordered = {f"{name}.ovf": descriptor, f"{name}.mf": manifest.encode(), f"{name}-disk1.vmdk": disk}
        for file, data in ordered.items():
            member = tarfile.TarInfo(file)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    write(path, archive.getvalue())


def _stream_optimized_vmdk(name: str) -> bytes:
    """Write a disk without a single grain: every entry of its grain directory is zero."""
    capacity = DISK_GIB * 2**30 // _SECTOR
    tables = -(-capacity // (_GRAIN * _ENTRIES_PER_TABLE))
    directory = bytes(4 * tables)
    directory += bytes(-len(directory) % _SECTOR)
    directory_sectors = len(directory) // _SECTOR
    descriptor = f"""\
# Disk DescriptorFile
version=1
CID=7065726e
parentCID=ffffffff
createType="streamOptimized"

# Extent description
RDONLY {capacity} SPARSE "{name}"

# The Disk Data Base
#DDB
ddb.adapterType = "lsilogic"
ddb.geometry.cylinders = "{capacity // (255 * 63)}"
ddb.geometry.heads = "255"
ddb.geometry.sectors = "63"
ddb.virtualHWVersion = "20"
""".encode()
    descriptor_sectors = 20
    descriptor = descriptor.ljust(descriptor_sectors * _SECTOR, b"\0")

    def header(directory_offset: int) -> bytes:
        flags = 1 | 1 << 16 | 1 << 17  # line endings can be tested; grains are compressed; there are markers
        fields = (b"KDMV", 3, flags, capacity, _GRAIN, 1, descriptor_sectors, _ENTRIES_PER_TABLE)
        start = struct.pack("<4sIIQQQQI", *fields) + struct.pack("<QQQ?", 0, directory_offset, _OVERHEAD, False)
        deflate = 1
        return (start + b"\n \r\n" + struct.pack("<H", deflate)).ljust(_SECTOR, b"\0")

    def marker(kind: int, sectors: int) -> bytes:
        return struct.pack("<QII", sectors, 0, kind).ljust(_SECTOR, b"\0")

    end_of_stream, grain_directory, footer = 0, 2, 3
    return b"".join(
        (
            (header(_AT_END) + descriptor).ljust(_OVERHEAD * _SECTOR, b"\0"),
            marker(grain_directory, directory_sectors),
            directory,
            marker(footer, 1),
            header(_OVERHEAD + 1),
            marker(end_of_stream, 0),
        )
    )


_RASD = "http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_ResourceAllocationSettingData"
_VSSD = "http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_VirtualSystemSettingData"
_DEBIAN_64_BIT = 96
"""CIM_OperatingSystem.OSType."""


def _descriptor(name: str, guest_id: str, disk_bytes: int) -> str:
    quoted, disk = quoteattr(name), quoteattr(f"{name}-disk1.vmdk")
    return f"""\
<?xml version="1.0" encoding="UTF-8"?>
<Envelope xmlns="http://schemas.dmtf.org/ovf/envelope/1" xmlns:ovf="http://schemas.dmtf.org/ovf/envelope/1"
    xmlns:rasd="{_RASD}" xmlns:vssd="{_VSSD}" xmlns:vmw="http://www.vmware.com/schema/ovf">
  <References>
    <File ovf:href={disk} ovf:id="file1" ovf:size="{disk_bytes}"/>
  </References>
  <DiskSection>
    <Info>Virtual disks</Info>
    <Disk ovf:capacity="{DISK_GIB}" ovf:capacityAllocationUnits="byte * 2^30" ovf:diskId="vmdisk1" ovf:fileRef="file1"
        ovf:format="http://www.vmware.com/interfaces/specifications/vmdk.html#streamOptimized" ovf:populatedSize="0"/>
  </DiskSection>
  <NetworkSection>
    <Info>Networks</Info>
    <Network ovf:name="VM Network">
      <Description>The network of the servers</Description>
    </Network>
  </NetworkSection>
  <VirtualSystem ovf:id={quoted}>
    <Info>A virtual machine</Info>
    <Name>{escape(name)}</Name>
    <OperatingSystemSection ovf:id="{_DEBIAN_64_BIT}" vmw:osType={quoteattr(guest_id)}>
      <Info>The guest operating system</Info>
    </OperatingSystemSection>
    <VirtualHardwareSection ovf:transport="com.vmware.guestInfo">
      <Info>Virtual hardware</Info>
      <System>
        <vssd:ElementName>Virtual Hardware Family</vssd:ElementName>
        <vssd:InstanceID>0</vssd:InstanceID>
        <vssd:VirtualSystemIdentifier>{escape(name)}</vssd:VirtualSystemIdentifier>
        <vssd:VirtualSystemType>vmx-20</vssd:VirtualSystemType>
      </System>
      <Item>
        <rasd:AllocationUnits>hertz * 10^6</rasd:AllocationUnits>
        <rasd:ElementName>1 virtual CPU</rasd:ElementName>
        <rasd:InstanceID>1</rasd:InstanceID>
        <rasd:ResourceType>3</rasd:ResourceType>
        <rasd:VirtualQuantity>1</rasd:VirtualQuantity>
      </Item>
      <Item>
        <rasd:AllocationUnits>byte * 2^20</rasd:AllocationUnits>
        <rasd:ElementName>512 MiB of memory</rasd:ElementName>
        <rasd:InstanceID>2</rasd:InstanceID>
        <rasd:ResourceType>4</rasd:ResourceType>
        <rasd:VirtualQuantity>512</rasd:VirtualQuantity>
      </Item>
      <Item>
        <rasd:Address>0</rasd:Address>
        <rasd:ElementName>SCSI controller 0</rasd:ElementName>
        <rasd:InstanceID>3</rasd:InstanceID>
        <rasd:ResourceSubType>VirtualSCSI</rasd:ResourceSubType>
        <rasd:ResourceType>6</rasd:ResourceType>
      </Item>
      <Item>
        <rasd:AddressOnParent>0</rasd:AddressOnParent>
        <rasd:ElementName>Hard disk 1</rasd:ElementName>
        <rasd:HostResource>ovf:/disk/vmdisk1</rasd:HostResource>
        <rasd:InstanceID>4</rasd:InstanceID>
        <rasd:Parent>3</rasd:Parent>
        <rasd:ResourceType>17</rasd:ResourceType>
      </Item>
      <Item>
        <rasd:AddressOnParent>7</rasd:AddressOnParent>
        <rasd:AutomaticAllocation>true</rasd:AutomaticAllocation>
        <rasd:Connection>VM Network</rasd:Connection>
        <rasd:ElementName>Network adapter 1</rasd:ElementName>
        <rasd:InstanceID>5</rasd:InstanceID>
        <rasd:ResourceSubType>VmxNet3</rasd:ResourceSubType>
        <rasd:ResourceType>10</rasd:ResourceType>
      </Item>
    </VirtualHardwareSection>
  </VirtualSystem>
</Envelope>
"""
