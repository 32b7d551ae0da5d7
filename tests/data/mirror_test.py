"""Corpora in a bucket: prepared from here, read anywhere, through a local copy."""

import json
import os

import numpy as np
import pytest
from etils import epath

from jaxalign.config import UserError
from jaxalign.data import chat, mirror, prepare
from jaxalign.data.prepared import Prepared
from jaxalign.data.sources import Jsonl
from jaxalign.data.text import shipped
from tests.data.written import jsonl


@pytest.fixture
def disk(tmp_path, monkeypatch):
  monkeypatch.setenv('JAXALIGN_CACHE', str(tmp_path / 'cache'))
  return tmp_path


def made(disk, bucket):
  path = jsonl(disk / 'a.jsonl', [{'text': text} for text in ('One text.', 'Another, longer.')])
  source = Jsonl(path=path, kind='document')
  return prepare.prepare(source, shipped(), chat.TRANSCRIPT, f'{bucket}/{disk.name}', length=64)


def there(disk, bucket):
  (home,) = epath.Path(f'{bucket}/{disk.name}').iterdir()
  return home


def test_what_is_prepared_into_a_bucket_is_read_on_another_machine(disk, bucket, monkeypatch):
  one = made(disk, bucket)
  assert {'manifest.json', 'lengths.npy'} < {p.name for p in there(disk, bucket).iterdir()}
  assert not list((disk / 'cache' / 'making').iterdir())
  monkeypatch.setenv('JAXALIGN_CACHE', str(disk / 'other'))
  two = Prepared(there(disk, bucket))
  assert two.directory != one.directory and two.manifest == one.manifest
  for n in range(2):
    np.testing.assert_array_equal(one.example(n).tokens, two.example(n).tokens)


def test_a_copy_is_made_once_and_again_when_the_corpus_changed(disk, bucket):
  one = made(disk, bucket)
  stamp = os.stat(one.directory / 'lengths.npy').st_mtime_ns
  assert made(disk, bucket).directory == one.directory
  assert os.stat(one.directory / 'lengths.npy').st_mtime_ns == stamp
  manifest = there(disk, bucket) / 'manifest.json'
  manifest.write_text(json.dumps(json.loads(manifest.read_text()) | dict(name='new')))
  again = Prepared(there(disk, bucket))
  assert again.directory != one.directory and again.manifest['name'] == 'new'


def test_two_processes_may_fetch_at_once(disk, bucket, monkeypatch):
  """The later one finds the place taken by the same corpus, and takes that."""
  made(disk, bucket)
  monkeypatch.setenv('JAXALIGN_CACHE', str(disk / 'other'))
  settle = mirror._settle

  def late(coming, home):
    monkeypatch.setattr(mirror, '_settle', settle)
    assert mirror.fetch(there(disk, bucket)) == home  # the other process, wholly
    coming.mkdir(exist_ok=True)
    (coming / 'manifest.json').write_text('{}')
    settle(coming, home)

  monkeypatch.setattr(mirror, '_settle', late)
  assert len(Prepared(there(disk, bucket))) == 2
  assert not list((disk / 'other' / 'prepared').glob('*.tmp'))


def test_what_is_not_finished_or_not_there_is_one_line(disk, bucket):
  made(disk, bucket)
  (there(disk, bucket) / 'manifest.json').unlink()
  for place in (there(disk, bucket), epath.Path(bucket) / 'nowhere'):
    with pytest.raises(UserError, match='cannot be copied to .*JAXALIGN_CACHE names another disk'):
      Prepared(place)
