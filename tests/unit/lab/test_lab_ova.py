"""The template's OVA, read the way that its readers do."""

import hashlib
import io
import struct
import tarfile
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from lab.ova import DISK_GIB, write_template

OVF = "{http://schemas.dmtf.org/ovf/envelope/1}"
RASD = "{http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_ResourceAllocationSettingData}"
SECTOR = 512


@pytest.fixture
def ova(tmp_path: Path) -> Path:
    path = tmp_path / "debian-12.ova"
    write_template(path, "debian-12", "debian12_64Guest")
    return path


def members(ova: Path) -> dict[str, bytes]:
    with tarfile.open(ova) as tar:
        return {member.name: tar.extractfile(member).read() for member in tar}  # type: ignore[union-attr]


def test_its_bytes_depend_on_the_arguments_alone(ova: Path, tmp_path: Path) -> None:
    write_template(tmp_path / "again.ova", "debian-12", "debian12_64Guest")

    assert (tmp_path / "again.ova").read_bytes() == ova.read_bytes()


def test_the_descriptor_comes_first_and_the_manifest_holds(ova: Path) -> None:
    files = members(ova)

    assert list(files) == ["debian-12.ovf", "debian-12.mf", "debian-12-disk1.vmdk"]
    for line in files["debian-12.mf"].decode().splitlines():
        name, digest = line.removeprefix("SHA256(").split(")= ")
        assert hashlib.sha256(files[name]).hexdigest() == digest
    assert files["debian-12.mf"].count(b"\n") == 2


def test_the_descriptor_has_one_disk_one_adapter_and_the_guests_type(ova: Path) -> None:
    files = members(ova)
    root = ET.fromstring(files["debian-12.ovf"])  # noqa: S314  # written by the code under test
    (system,) = root.findall(f"{OVF}VirtualSystem")
    types = [item.findtext(f"{RASD}ResourceType") for item in system.iter(f"{OVF}Item")]
    (disk,) = root.iter(f"{OVF}Disk")
    (file,) = root.iter(f"{OVF}File")

    assert system.findtext(f"{OVF}Name") == "debian-12"
    assert sorted(types, key=str) == ["10", "17", "3", "4", "6"]
    assert disk.get(f"{OVF}fileRef") == file.get(f"{OVF}id")
    assert disk.get(f"{OVF}capacity") == str(DISK_GIB)
    assert file.get(f"{OVF}size") == str(len(files["debian-12-disk1.vmdk"]))
    (operating_system,) = system.iter(f"{OVF}OperatingSystemSection")
    assert operating_system.get("{http://www.vmware.com/schema/ovf}osType") == "debian12_64Guest"


def test_a_name_may_have_letters_that_mean_something_in_xml(tmp_path: Path) -> None:
    write_template(tmp_path / "odd.ova", 'R&D <"12">', "debian12_64Guest")

    descriptor = next(iter(members(tmp_path / "odd.ova").values()))
    root = ET.fromstring(descriptor)  # noqa: S314  # written by the code under test

    assert root.findtext(f"{OVF}VirtualSystem/{OVF}Name") == 'R&D <"12">'


def test_the_disk_is_a_stream_whose_footer_leads_to_an_empty_directory(ova: Path) -> None:
    disk = io.BytesIO(members(ova)["debian-12-disk1.vmdk"])
    header = struct.Struct("<4sIIQQQQIQQQ?4sH")
    at_start = header.unpack(disk.read(header.size))
    disk.seek(-2 * SECTOR, io.SEEK_END)
    footer = header.unpack(disk.read(header.size))
    magic, version, _flags, capacity, grain, descriptor_at, descriptor_sectors, entries, *_, compression = footer

    assert (magic, version, compression) == (b"KDMV", 3, 1)
    assert at_start[9] == 2**64 - 1  # the directory is named in the footer
    assert at_start[:9] == footer[:9]
    assert capacity * SECTOR == DISK_GIB * 2**30
    disk.seek(descriptor_at * SECTOR)
    assert b'createType="streamOptimized"' in disk.read(descriptor_sectors * SECTOR)
    disk.seek((footer[9] - 1) * SECTOR)
    sectors, _size, kind = struct.unpack("<QII", disk.read(16))
    disk.seek(footer[9] * SECTOR)
    directory = disk.read(sectors * SECTOR)
    assert kind == 2
    assert len(directory) >= 4 * capacity / grain / entries
    assert not any(directory)
    disk.seek(-SECTOR, io.SEEK_END)
    assert not any(disk.read())  # end of stream
