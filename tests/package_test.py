"""The four names of the package: import jaxalign; load, sample, score, export."""

import datetime
import importlib.metadata
import json
import pathlib
import re
import subprocess
import sys
import tomllib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxalign
from jaxalign.config import UserError
from jaxalign.data.text import Tokenizer
from jaxalign.models import llama2, phi2
from jaxalign.sharding.meshes import make_mesh

MODELS = {'llama2': llama2.Llama2, 'phi2': phi2.Phi2}
WORDS = 'the cat sat on a mat and was glad'.split()


def tiny(cls, tokenizer, **changes):
  module = sys.modules[cls.__module__]
  ids = dict(bos=tokenizer.bos, eos=(tokenizer.eos,), pad=tokenizer.pad)
  model = cls(module.tiny(vocab=64, **ids | changes), jax.random.key(0))
  model.tokenizer = tokenizer
  return model


@pytest.fixture
def tokenizer():
  return Tokenizer.from_vocab(WORDS)


@pytest.mark.parametrize('cls', MODELS.values(), ids=MODELS)
@pytest.mark.parametrize('sizes', [None, (2, 2, 2)])
def test_a_model_and_its_tokenizer_come_back(cls, sizes, tokenizer, tmp_path):
  model = tiny(cls, tokenizer)
  jaxalign.export(model, tmp_path / 'out')
  again = jaxalign.load(str(tmp_path / 'out'), mesh=make_mesh(*sizes) if sizes else None)
  assert again.tokenizer == tokenizer
  assert again.cfg == model.cfg
  for a, b in zip(jax.tree.leaves(model), jax.tree.leaves(again), strict=True):
    assert np.asarray(a).tobytes() == np.asarray(b).tobytes()
  ask = dict(length=12, temperature=0.0)
  prompts = ['the cat', 'a mat was']
  assert jaxalign.sample(again, prompts, **ask) == jaxalign.sample(model, prompts, **ask)


def test_a_model_without_a_tokenizer(tokenizer, tmp_path):
  model = tiny(llama2.Llama2, tokenizer)
  model.tokenizer = None
  jaxalign.export(model, tmp_path / 'out')
  names = {f.name for f in (tmp_path / 'out').iterdir()}
  assert names == {'config.json', 'generation_config.json', 'model.safetensors'}
  again = jaxalign.load(tmp_path / 'out')
  assert again.tokenizer is None
  with pytest.raises(UserError, match='no tokenizer'):
    jaxalign.sample(again, ['the cat'], length=2)


def test_the_type_is_the_askers_or_the_files(tokenizer, tmp_path):
  jaxalign.export(tiny(llama2.Llama2, tokenizer, weights='bfloat16'), tmp_path / 'out')
  assert jaxalign.load(tmp_path / 'out').cfg.weights == 'bfloat16'
  model = jaxalign.load(tmp_path / 'out', dtype='float32')
  assert (model.cfg.weights, model.cfg.dtype, model.embed_VD.dtype) == ('float32',) * 2 + (
    jnp.float32,
  )


def test_a_tokenizer_of_another_model(tokenizer, tmp_path):
  jaxalign.export(tiny(llama2.Llama2, tokenizer), tmp_path / 'out')
  Tokenizer.from_vocab([f'w{n}' for n in range(80)]).save(str(tmp_path / 'out'))
  with pytest.raises(UserError, match='83 tokens, its model 64'):
    jaxalign.load(tmp_path / 'out')


def test_transformers_reads_the_tokenizer_and_the_ids(tokenizer, tmp_path):
  transformers = pytest.importorskip('transformers')
  jaxalign.export(tiny(phi2.Phi2, tokenizer), tmp_path / 'out')
  theirs = transformers.AutoTokenizer.from_pretrained(tmp_path / 'out')
  assert theirs('the cat sat')['input_ids'] == tokenizer.encode('the cat sat')
  generation = json.loads((tmp_path / 'out/generation_config.json').read_text())
  assert generation['eos_token_id'] == theirs.eos_token_id == tokenizer.eos


def test_the_citation_names_this_version():
  """CITATION.cff is read by people and by GitHub; a release that forgets it says so here."""
  root = pathlib.Path(__file__).resolve().parents[1]
  project = tomllib.loads((root / 'pyproject.toml').read_text())['project']
  lines = (root / 'CITATION.cff').read_text().splitlines()
  told = dict(line.split(': ', 1) for line in lines if re.match(r'[\w-]+: ', line))
  assert told['version'] == project['version'] and told['license'] == project['license']
  assert told['title'].strip('"').startswith(f'{project["name"]}: ')
  assert datetime.date.fromisoformat(told['date-released'])
  assert told['cff-version'] == '1.2.0' and '  - name: The jaxalign authors' in lines


def test_the_version_is_what_pip_installed():
  assert jaxalign.__version__ == importlib.metadata.version('jaxalign')


def test_the_names_are_there_and_cost_nothing_until_used():
  asked = "import sys, jaxalign; print('jax' in sys.modules, dir(jaxalign))"
  answer = subprocess.run([sys.executable, '-c', asked], capture_output=True, text=True, check=True)
  assert answer.stdout.strip() == "False ['export', 'load', 'sample', 'score']"
  with pytest.raises(AttributeError, match='export, load, sample, score'):
    jaxalign.fit  # noqa: B018
