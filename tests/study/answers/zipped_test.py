"""Zip files of strangers: what is too much, torn or no zip is one line, and nothing is unpacked."""

import io
import struct
import zipfile

import pytest
from etils import epath

from jaxalign.config import UserError
from jaxalign.study.answers import zipped
from jaxalign.study.answers.zipped import Entries


def written(path, method=zipfile.ZIP_DEFLATED, **entries):
  with zipfile.ZipFile(path, 'w', method) as file:
    for name, data in entries.items():
      file.writestr(name, data)
  return epath.Path(path)


def content(path, name):
  with Entries(path, 'name another') as entries:
    return entries.content(name)


@pytest.mark.parametrize('method', [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA])
def test_an_entry_is_read_whole(tmp_path, method):
  path = written(tmp_path / 'a.eval', method, a=b'one', b=b'two' * 1000)
  assert content(path, 'b') == b'two' * 1000 and content(path, 'a') == b'one'


def test_a_bomb_is_refused_before_it_goes_off(tmp_path, monkeypatch):
  path = written(tmp_path / 'a.eval', bomb=bytes(20 << 20))
  with pytest.raises(UserError, match="'bomb' cannot be read .* bytes that become 20,971,520"):
    content(path, 'bomb')
  monkeypatch.setattr(zipped, '_LARGEST', 1000)
  with pytest.raises(UserError, match='it would be 20,971,520 bytes'):
    content(path, 'bomb')
  monkeypatch.setattr(zipped, '_LARGEST', 1 << 30)
  monkeypatch.setattr(zipped, '_MOST', 25)
  many = written(tmp_path / 'b.eval', a=bytes(10), b=bytes(10), c=bytes(10))
  with Entries(many, 'no') as entries, pytest.raises(UserError, match="'c' cannot be read"):
    for name in entries.names:
      entries.content(name)


def test_an_entry_that_says_less_than_it_holds_is_refused(tmp_path):
  path = written(tmp_path / 'a.eval', a=b'x' * 5000)
  data = bytearray(path.read_bytes())
  start = data.rindex(b'PK\x01\x02')
  data[start + 24 : start + 28] = struct.pack('<I', 10)  # its size in the directory
  path.write_bytes(bytes(data))
  with pytest.raises(UserError, match="'a' cannot be read"):
    content(path, 'a')


@pytest.mark.parametrize('data', [b'', b'PK', b'no zip at all' * 100])
def test_what_is_no_zip_is_one_line(tmp_path, data):
  path = epath.Path(tmp_path / 'a.eval')
  path.write_bytes(data)
  with pytest.raises(UserError, match='a.eval cannot be read .*: name another'):
    content(path, 'a')


def test_a_zip_that_is_cut_or_damaged_is_one_line(tmp_path):
  whole = (epath.Path(__file__).parent / 'logs' / 'a.eval').read_bytes()
  cut = epath.Path(tmp_path / 'cut.eval')
  cut.write_bytes(whole[:-200])
  with pytest.raises(UserError, match='cut.eval cannot be read'):
    content(cut, 'header.json')
  info = zipfile.ZipFile(io.BytesIO(whole)).getinfo('header.json')
  for at in (info.header_offset, info.header_offset + 60):  # its head, and its zstd
    damaged = bytearray(whole)
    damaged[at : at + 20] = bytes(20)
    cut.write_bytes(bytes(damaged))
    with pytest.raises(UserError, match="'header.json' cannot be read"):
      content(cut, 'header.json')
