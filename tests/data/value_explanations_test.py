"""The TFDS dataset of value explanations is prepared for real, and read back as it was."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from jaxalign.config import UserError
from jaxalign.data import value_explanations
from jaxalign.data.libraries import Tfds
from jaxalign.data.sources import EXPLANATION, Shipped
from tests.data.written import jsonl

ROW = dict(
  id='1', text='Why é?', value='care', type='memo', spec='mine', provenance='me', split='train'
)


def records(name, data_dir, split):
  source = Tfds(name=name, kind='document', columns=EXPLANATION, data_dir=data_dir, split=split)
  return [record for _, record in source.read()]


def python(code, tmp_path):
  """In a process of its own, in which a TensorFlow can be found, but not imported unnoticed."""
  (tmp_path / 'fake/tensorflow').mkdir(parents=True, exist_ok=True)
  (tmp_path / 'fake/tensorflow/__init__.py').write_text('raise SystemExit("TensorFlow, imported")')
  root = Path(__file__).resolve().parents[2]
  env = os.environ | dict(PYTHONPATH=f'{tmp_path / "fake"}{os.pathsep}{root}')
  command = [sys.executable, '-c', 'import sys\n' + code]
  return subprocess.run(command, env=env, capture_output=True, text=True, timeout=120)


def test_prepared_and_read_in_processes_without_tensorflow(tmp_path):
  done = python(
    'from jaxalign.data.value_explanations import prepare\n'
    f'open({str(tmp_path / "name")!r}, "w").write(prepare(data_dir={str(tmp_path)!r}))',
    tmp_path,
  )
  assert done.returncode == 0, done.stderr
  name = (tmp_path / 'name').read_text()
  assert list(tmp_path.glob('value_explanations/shipped-*/1.0.0/*.array_record-*'))
  done = python(  # and without this builder: the files say what they are
    'from jaxalign.data.libraries import Tfds\n'
    f'rows = list(Tfds(name={name!r}, kind="document", data_dir={str(tmp_path)!r}).read())\n'
    'assert len(rows) == 199, len(rows)\n'
    'assert "jaxalign.data.value_explanations" not in sys.modules',
    tmp_path,
  )
  assert done.returncode == 0, done.stderr
  assert 'TensorFlow, imported' in python('import tensorflow', tmp_path).stderr  # the trap works
  for split in ('train', 'validation'):  # TFDS shuffles once, when it writes
    shipped = [record for _, record in Shipped(name='value_explanations', split=split).read()]
    assert sorted(records(name, str(tmp_path), split), key=str) == sorted(shipped, key=str)


def test_a_corpus_of_ones_own(tmp_path):
  rows = [ROW, ROW | dict(id='2', split='held_out', text='line\n\nline')]
  path, data_dir = jsonl(tmp_path / 'my corpus.v2.jsonl', rows), str(tmp_path / 'data')
  name = value_explanations.prepare(data_dir=data_dir, path=path)
  assert name.startswith('value_explanations/my_corpus-')
  (train,), (held_out,) = (records(name, data_dir, split) for split in ('train', 'held_out'))
  assert dict(train.meta) | {'text': train.text} == rows[0]
  assert dict(held_out.meta) | {'text': held_out.text} == rows[1]
  with pytest.raises(UserError, match="Unknown split 'validation'"):
    records(name, data_dir, 'validation')


def test_a_changed_file_is_another_dataset(tmp_path):
  names = []
  for text in ('one', 'two', 'one'):
    path = jsonl(tmp_path / 'f.jsonl', [ROW | dict(text=text)])
    names.append(value_explanations.prepare(data_dir=str(tmp_path), path=path))
    assert [record.text for record in records(names[-1], str(tmp_path), 'train')] == [text]
  assert names[0] == names[2] != names[1]


@pytest.mark.parametrize(
  'rows, message',
  [
    ([dict(text='x')], 'no column id; columns there: text'),
    ([ROW, ROW | dict(text='')], '1 of 2 rows are bad, .*text is empty at .*f.jsonl:2'),
    ([], 'no rows'),
  ],
)
def test_nothing_is_prepared_from_a_bad_file(tmp_path, rows, message):
  path, data_dir = jsonl(tmp_path / 'f.jsonl', rows), tmp_path / 'data'
  with pytest.raises(UserError, match=message):
    value_explanations.prepare(data_dir=str(data_dir), path=path)
  assert list(data_dir.rglob('*.array_record*')) == list(data_dir.rglob('dataset_info.json')) == []


def test_one_file_and_it_is_there(tmp_path):
  with pytest.raises(UserError, match='does not exist'):
    value_explanations.texts(str(tmp_path / 'absent.jsonl'))
  for name in 'ab':
    jsonl(tmp_path / f'{name}.jsonl', [ROW])
  with pytest.raises(UserError, match='matches 2 files: give one'):
    value_explanations.texts(f'{tmp_path}/*.jsonl')
