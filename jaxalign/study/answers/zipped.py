"""Entries of a zip file of somebody else: read one by one into memory, with bounds, never unpacked.

Python reads zstd in zip files from 3.14 on; pyarrow, which datasets brings, reads it before.
"""

import struct
import zipfile
import zlib

import pyarrow
from etils import epath

from jaxalign import files
from jaxalign.config import UserError

_ZSTD = 93
_LARGEST = 256 << 20  # bytes of an entry
_MOST = 4 << 30  # of all that are read
_SMALL = 1 << 20  # an entry that may be as dense as it likes
_DENSEST = 400  # bytes of text in a byte of the file
_LOCAL = struct.Struct('<4s22xHH')  # signature, lengths of name and extra


class Entries:
  """Entries of one file, by name."""

  def __init__(self, path: epath.Path, remedy: str) -> None:
    files.refuse_irregular(path)
    self._path, self._remedy, self._read = path, remedy, 0
    try:
      self._file = open(path, 'rb')
      self._zip = zipfile.ZipFile(self._file)
    except (OSError, ValueError, zipfile.BadZipFile, NotImplementedError) as error:
      raise UserError(f'{path} cannot be read ({error}): {remedy}') from error

  def __enter__(self) -> 'Entries':
    return self

  def __exit__(self, *_: object) -> None:
    self._zip.close()
    self._file.close()

  @property
  def names(self) -> list[str]:
    return self._zip.namelist()

  def content(self, name: str) -> bytes:
    """The bytes of an entry, as many as it says and no more."""
    entry = self._zip.getinfo(name)
    self._read += entry.file_size
    if entry.file_size > _LARGEST or self._read > _MOST:
      raise self._refused(name, f'it would be {entry.file_size:,} bytes')
    if entry.file_size > max(_SMALL, _DENSEST * entry.compress_size):
      raise self._refused(name, f'{entry.compress_size:,} bytes that become {entry.file_size:,}')
    try:
      found = self._zstd(entry) if entry.compress_type == _ZSTD else self._plain(entry)
    except (OSError, ValueError, RuntimeError, NotImplementedError, zlib.error) as error:
      raise self._refused(name, str(error)) from error
    except (zipfile.BadZipFile, EOFError, struct.error) as error:
      raise self._refused(name, str(error) or 'it is cut off') from error
    if zlib.crc32(found) != entry.CRC:
      raise self._refused(name, 'it is not what its checksum says')
    return found

  def _plain(self, entry):
    with self._zip.open(entry) as file:
      return file.read(entry.file_size + 1)

  def _zstd(self, entry):
    self._file.seek(entry.header_offset)
    signature, name, extra = _LOCAL.unpack(self._file.read(_LOCAL.size))
    if signature != b'PK\x03\x04':
      raise ValueError('it is not where it should be')
    self._file.seek(name + extra, 1)
    data = pyarrow.BufferReader(self._file.read(entry.compress_size))
    with pyarrow.CompressedInputStream(data, 'zstd') as stream:
      return stream.read(entry.file_size + 1)

  def _refused(self, name, why):
    return UserError(f'{self._path}: {name!r:.100} cannot be read ({why}): {self._remedy}')
