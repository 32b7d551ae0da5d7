"""Names and patterns become files, files become lines, and what cannot be read is named."""

import gzip
import os
import random

import pytest

from jaxalign.config import UserError
from jaxalign.data import files


def test_patterns_in_order(tmp_path):
  for name in ('b/2.txt', 'b/1.txt', 'a/3.txt', 'a/4.csv', 'x[1].txt'):
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text('x')
  (tmp_path / 'a/folder.txt').mkdir()
  names = lambda *paths: [f.name for f in files.matching(tuple(f'{tmp_path}/{p}' for p in paths))]
  assert names('*/*.txt') == ['3.txt', '1.txt', '2.txt']
  assert names('b/2.txt', 'a/?.csv') == ['2.txt', '4.csv']
  assert names('x[1].txt') == ['x[1].txt']  # a file of this name is itself, not a pattern
  assert [f.name for f in files.matching(f'{tmp_path}/a/3.txt')] == ['3.txt']


@pytest.mark.parametrize(
  'path, message',
  [
    ('absent.jsonl', 'absent.jsonl does not exist'),
    ('*.nothing', 'nothing matches no file'),
    ('', 'is a directory: name its files'),
    ('**/*.txt', r'\*\* is not expanded'),
  ],
)
def test_what_is_not_there(tmp_path, path, message):
  with pytest.raises(UserError, match=message):
    files.matching(f'{tmp_path}/{path}')


@pytest.mark.parametrize('path', ['', (), ('',)])
def test_no_path_at_all(path):
  with pytest.raises(UserError, match='path is empty'):
    files.matching(path)


@pytest.mark.parametrize('end', ['', '.gz'])
def test_lines(tmp_path, end):
  raw = b'\xef\xbb\xbfone\r\n\n  \ntwo\xe2\x80\xa8still two\nthree \xff'
  path = tmp_path / f'f.txt{end}'
  path.write_bytes(gzip.compress(raw) if end else raw)
  (file,) = files.matching(str(path))
  two, three = 'two\u2028still two'.encode(), b'three \xff'
  assert list(files.lines(file)) == [(1, b'one'), (2, b''), (3, b'  '), (4, two), (5, three)]
  assert list(files.rows(file)) == [(f'{path}:1', b'one'), (f'{path}:4', two), (f'{path}:5', three)]
  assert files.content(file) == raw[3:]


def test_a_broken_archive_is_one_line(tmp_path):
  whole = gzip.compress(random.Random(0).randbytes(10_000))
  for name, raw in dict(
    cut=whole[:5000], flipped=whole[:90] + b'XX' + whole[92:], plain=b'x\n'
  ).items():
    path = tmp_path / f'{name}.gz'
    path.write_bytes(raw)
    with pytest.raises(UserError, match=f'{name}.gz cannot be read to its end'):
      list(files.lines(*files.matching(str(path))))


def test_a_pipe_is_not_waited_for(tmp_path):
  os.mkfifo(tmp_path / 'a.jsonl')
  for name in ('a.jsonl', '*.jsonl'):
    with pytest.raises(UserError, match='is a pipe, not a file'):
      [row for file in files.matching(str(tmp_path / name)) for row in files.rows(file)]
  with pytest.raises(UserError, match='http:// cannot be opened here'):
    files.matching('http://x/y')
