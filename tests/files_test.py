"""Whatever lies where a file should: one line, at once."""

import os
import socket

import pytest

from jaxalign import files
from jaxalign.config import UserError


@pytest.mark.parametrize(
  'place, says',
  [
    (
      'http://x/y',
      r'^--workdir=http://x/y: http:// cannot be opened here: name a local',
    ),
    ('file:///tmp/x', r'file:// cannot be opened here'),
    ('GS://x', r'GS:// cannot be opened here'),
    ('a\0b', r"^'--workdir=a\\x00b' holds a control character"),
    ('a\nb', r"^'--workdir=a\\nb' holds a control character"),
    ('x' * 300, r'leads nowhere \(File name too long\): name another place'),
  ],
)
def test_a_place_that_cannot_be_is_named(place, says):
  with pytest.raises(UserError, match=says):
    files.place(place, '--workdir')


def test_links_in_a_circle_lead_nowhere(tmp_path):
  (tmp_path / 'a').symlink_to(tmp_path / 'b')
  (tmp_path / 'b').symlink_to(tmp_path / 'a')
  with pytest.raises(UserError, match='leads nowhere'):
    files.place(tmp_path / 'a')


def test_buckets_and_odd_names_are_places(tmp_path, bucket):
  assert str(files.place(f'{bucket}/run')) == f'{bucket}/run'
  for name in ('a b', "it's", 'größe 🙂', '$x;rm'):
    assert str(files.place(tmp_path / name)) == str(tmp_path / name)


def test_pipes_sockets_and_devices_are_not_waited_for(tmp_path):
  os.mkfifo(tmp_path / 'pipe')
  with socket.socket(socket.AF_UNIX) as listener:
    listener.bind(str(tmp_path / 'socket'))
  for path, what in ((tmp_path / 'pipe', 'a pipe'), (tmp_path / 'socket', 'a socket'),
                     ('/dev/zero', 'a device')):  # fmt: skip
    for read in (files.refuse_irregular, files.read_json, files.whole_lines):
      with pytest.raises(UserError, match=f'is {what}, not a file'):
        read(path)
  files.refuse_irregular(tmp_path)
  files.refuse_irregular(tmp_path / 'absent')


@pytest.mark.parametrize(
  'data, says',
  [
    (b'{"a": 1', 'cannot be read .no JSON: '),
    (b'{"a": "\xff"}', "cannot be read .no JSON: 'utf-8' codec"),
    (b'\0' * 64, 'cannot be read .no JSON: '),
    (b'[' * 100_000, 'cannot be read .its JSON nests too deeply'),
    (b'[1]', 'cannot be read .it has no key'),
    (b'{}', 'cannot be read .it has no key'),
  ],
)
def test_json_that_is_none_is_one_line(tmp_path, data, says):
  path = tmp_path / 'x.json'
  path.write_bytes(data)
  with pytest.raises(UserError, match=f'^{path} {says}.*: put it back$') as error:
    files.read_object(path, 'key', remedy='put it back')
  assert '\n' not in str(error.value)
  path.unlink()
  path.mkdir()
  with pytest.raises(UserError, match=r'cannot be read \(Is a directory\)'):
    files.read_json(path)


@pytest.mark.parametrize(
  'end', [b'{"step": 3, "lo', b'\xff', b'\0' * 4096, b'{"step": 3}', b'{"step": 3}\xff\n', b'3\n',
          b'[]\n', b'{"step": "x"}\n', b'[' * 50_000 + b'\n', b'\xe2\x80']
)  # fmt: skip
def test_lines_that_a_kill_or_a_power_cut_tore_are_left_out(tmp_path, end):
  path = tmp_path / 'metrics.jsonl'
  whole = '{"step": 1, "text": "a\u2028b"}\n{"step": 2}\n'
  path.write_bytes(whole.encode() + end)
  assert ''.join(line for line, _ in files.whole_lines(path)) == whole
  assert [record['step'] for _, record in files.whole_lines(path)] == [1, 2]


def test_rows_must_all_be_whole(tmp_path):
  path = tmp_path / 'outcomes.jsonl'
  path.write_bytes(b'{"a": 1}\n\n{"a": 2}\n')
  assert files.rows(path, 'run it again') == [(1, dict(a=1)), (3, dict(a=2))]
  path.write_bytes(b'{"a": 1}\n{"a": \xff}\n')
  with pytest.raises(UserError, match='outcomes.jsonl, line 2 cannot be read .*: run it again$'):
    files.rows(path, 'run it again')
