"""NumPy's archive of arrays: `xyz` or `points` (N, 3), or `x` `y` `z`, and `intensity`, `timestamp`, `ring`.

A zip file tells the size of its members before they are unpacked; what they claim is weighed first.
"""

from __future__ import annotations

import struct
import zipfile
import zlib
from typing import Any

from numpy.typing import NDArray

from volest.errors import ScanError
from volest.io.cloud import COORDINATES, CloudBuilder, match_roles
from volest.io.npy import coordinate_columns, read_array
from volest.io.scanfile import ScanFile
from volest.pointcloud import PointCloud

__all__ = ["read_npz"]

MAX_DIRECTORY_BYTES = 1 << 20
END_OF_DIRECTORY = struct.Struct("<4s4HIIH")
BLOCKS = ("xyz", "points")
DAMAGE = (
    *(zipfile.BadZipFile, zlib.error, struct.error, EOFError, OSError),
    *(NotImplementedError, OverflowError, RuntimeError, ValueError),
)
"""What zipfile raises on archives that are damaged, encrypted or packed by other means."""


def read_npz(scan: ScanFile) -> PointCloud:
    """The points of a .npz file."""
    try:
        _check_directory(scan)
        with zipfile.ZipFile(scan.stream) as archive:
            return _read_archive(scan, archive)
    except ScanError:
        raise
    except DAMAGE as error:
        scan.fail(f"found a damaged archive ({str(error)[:100]}), expected an .npz file")


def _check_directory(scan: ScanFile) -> None:
    """Refuse a zip file whose list of members is missing or too long to be an .npz file's."""
    length = min(scan.size, END_OF_DIRECTORY.size + 0xFFFF)
    scan.stream.seek(scan.size - length)
    tail = scan.read(length, "the end")
    place = tail.rfind(b"PK\x05\x06")
    if place < 0 or length - place < END_OF_DIRECTORY.size:
        scan.fail("found no end of a zip directory, expected an .npz file; it may be cut short")
    size = END_OF_DIRECTORY.unpack_from(tail, place)[5]
    scan.stream.seek(max(0, scan.size - length + place - 20))
    is_zip64 = scan.stream.read(4) == b"PK\x06\x07"
    if size > MAX_DIRECTORY_BYTES or is_zip64:
        scan.fail(f"found a zip directory of more than {MAX_DIRECTORY_BYTES} bytes, expected a few arrays")


def _read_archive(scan: ScanFile, archive: zipfile.ZipFile) -> PointCloud:
    members = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
    names = list(members)
    roles = {role: names[place] for role, place in match_roles(scan, names).items()}
    block = next((name for name in names if name.lower() in BLOCKS), names[0] if len(names) == 1 else None)
    if block is None and not all(axis in roles for axis in COORDINATES):
        scan.fail(f"found the arrays {' '.join(names)[:200]!r}, expected xyz (N, 3), or x y z")
    if block is not None:
        roles = {role: name for role, name in roles.items() if role not in COORDINATES}
    wanted = {*roles.values(), *([block] if block is not None else [])}
    scan.check_unpacking(scan.size, sum(members[name].file_size for name in wanted))
    arrays = {name: _unpack(scan, archive, members[name]) for name in wanted}
    columns = {} if block is None else coordinate_columns(scan, arrays[block])
    columns |= {role: arrays[name] for role, name in roles.items()}
    return _cloud(scan, columns)


def _unpack(scan: ScanFile, archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> NDArray[Any]:
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        scan.fail(f"found compression {info.compress_type} in {info.filename[:40]!r}, expected none or deflate")
    with archive.open(info) as member:
        file = ScanFile(f"{scan.name}: {info.filename[:40]}", member, info.file_size)  # type: ignore[arg-type]
        array = read_array(file)
        if file.left():  # read to the end, the checksum has been compared
            file.fail(f"found {file.left()} bytes behind the array, expected none")
    return array


def _cloud(scan: ScanFile, columns: dict[str, NDArray[Any]]) -> PointCloud:
    columns = {role: column.reshape(-1) for role, column in columns.items()}
    count = len(columns["x"])
    for role, column in columns.items():
        if len(column) != count:
            scan.fail(f"found {len(column)} numbers of {role}, expected {count}, one a point")
    scan.check_count(count)
    builder = CloudBuilder(scan, count, {role: column.dtype for role, column in columns.items()})
    builder.add(columns)
    return builder.finish()
