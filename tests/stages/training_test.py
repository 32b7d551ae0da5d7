"""Where a run's tokens lie: in its workdir, wherever that is carried."""

import dataclasses
import json
import pathlib
import shutil

import pytest
from etils import epath

from jaxalign import main, sealing
from jaxalign.config import UserError
from jaxalign.data import sources
from jaxalign.data.text import shipped
from jaxalign.stages import training

ROOT = pathlib.Path(__file__).resolve().parents[2]


@pytest.fixture
def opened(tmp_path):
  """opened(workdir) -> the corpus of a run there, out of a file that may be gone by then."""
  path = tmp_path / 'a.jsonl'
  path.write_text(''.join(json.dumps(dict(text=f'document {n}')) + '\n' for n in range(5)))
  corpus = training.Corpus(source=sources.Jsonl(path=str(path), kind='document'))
  cfg = main.load(str(ROOT / 'configs/explain_llama2_7b.py:smoke'))

  def do(workdir, **changes):
    made = sealing.seal(dataclasses.replace(cfg, train=(corpus,), **changes))
    return training.open_data(made, made.train, 'train', shipped(), epath.Path(workdir))[0]

  yield do


def homes(workdir):
  return json.loads((workdir / 'train.json').read_text())['homes']


def test_a_copied_workdir_reads_its_own_tokens(opened, tmp_path):
  one, other = tmp_path / 'one', tmp_path / 'other'
  tokens = opened(one).example(0).tokens.tolist()
  assert homes(one)[0].startswith('prepared/')
  shutil.copytree(one, other)
  (tmp_path / 'a.jsonl').unlink()
  for shard in one.glob('prepared/*/*'):  # the original is there still, and something else
    shard.write_bytes(b'changed')
  assert opened(other).example(0).tokens.tolist() == tokens
  shutil.rmtree(one)
  assert opened(other).directory == epath.Path(other / homes(other)[0])


def test_homes_as_they_were_written_once(opened, tmp_path):
  """Absolute ones: of the workdir itself, and of one that was copied."""
  one, other = tmp_path / 'one', tmp_path / 'other'
  opened(one)
  made = json.loads((one / 'train.json').read_text())
  made['homes'] = [str(one / made['homes'][0])]
  (one / 'train.json').write_text(json.dumps(made))
  shutil.copytree(one, other)
  (tmp_path / 'a.jsonl').unlink()
  assert opened(one).directory.is_relative_to(one)
  assert opened(other).directory.is_relative_to(other)


def test_what_the_user_chose_stays_where_it_is(opened, tmp_path):
  chosen = tmp_path / 'chosen'
  opened(tmp_path / 'one', prepared=str(chosen))
  (home,) = homes(tmp_path / 'one')
  assert home.startswith(f'{chosen}/')
  shutil.copytree(tmp_path / 'one', tmp_path / 'other')
  assert opened(tmp_path / 'other', prepared=str(chosen)).directory == epath.Path(home)


@pytest.mark.parametrize('text', ['', '{', '[]', '{"key": 1, "homes": 2}', '\0' * 99])
def test_a_torn_train_json_is_written_anew(opened, tmp_path, text):
  tokens = opened(tmp_path / 'one').example(0).tokens.tolist()
  (tmp_path / 'one/train.json').write_text(text)
  assert opened(tmp_path / 'one').example(0).tokens.tolist() == tokens
  assert homes(tmp_path / 'one')[0].startswith('prepared/')


def test_an_empty_name_is_named():
  for name in ('tokenizer', 'init'):
    cfg = main.load(str(ROOT / 'configs/explain_llama2_7b.py:smoke'))
    setattr(cfg, name, '')
    with pytest.raises(UserError, match=f'{name} is empty'):
      training.open_tokenizer(cfg)
