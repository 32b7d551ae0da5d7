"""The doctor of the stages that learn text passes the shipped configs and finds what is broken."""

import dataclasses
import json
import pathlib

import jax
import jax.numpy as jnp
import pytest

from jaxalign import main, sealing
from jaxalign.config import AdamW, Schedule, UserError
from jaxalign.data import chat, sources
from jaxalign.data.text import Tokenizer, shipped
from jaxalign.models import adapters, llama2
from jaxalign.models.export import export
from jaxalign.stages import refusals, sft, trained
from jaxalign.stages.doctors import doctor, language_doctor
from jaxalign.stages.training import Corpus
from jaxalign.train.state import make_state

ROOT = pathlib.Path(__file__).resolve().parents[3]
ONE = doctor.Machine('one', 1, None)


def smoke(**changes):
  cfg = main.load(str(ROOT / 'configs/sft_llama2_7b.py:smoke'))
  return dataclasses.replace(cfg, **changes)


def states(cfg, machine=ONE):
  found = {check.name: check for check in sft.doctor(sealing.seal(cfg), None, machine)}
  return {name: check.state for name, check in found.items()}, found


@pytest.fixture
def cheap(monkeypatch):
  """Without the one step, which a test of its own makes."""
  monkeypatch.setattr(language_doctor, 'one_step', lambda cfg, examples: 'not here')


def test_a_good_config_passes_every_check():
  got, found = states(smoke())
  assert got.pop('memory') == 'skipped' and 'name a --slice' in found['memory'].why
  assert set(got.values()) == {'ok'} and {'mesh', 'init', 'train.0', 'one step'} <= set(got)
  assert '12 of 12 tensors moved' in found['one step'].why


def jsonl(path, *answers):
  asked = dict(role='user', content='why?')
  rows = [dict(messages=[asked, dict(role='assistant', content=a)]) for a in answers]
  path.write_text(''.join(json.dumps(row) + '\n' for row in rows))
  return (Corpus(source=sources.Jsonl(path=str(path), kind='conversation'), long='drop'),)


@pytest.mark.parametrize(
  'name, changes, says',
  [
    ('optimizer', dict(optim=AdamW(clip=None)), 'set it'),
    ('tokenizer', dict(model=llama2.tiny(vocab=1024, eos=(7,))), 'answers would never end'),
    ('train.0', dict(length=8), 'none fits length=8'),
  ],
)
def test_what_is_broken_fails_alone(cheap, name, changes, says):
  got, found = states(smoke(**changes), doctor.Machine('v5e', 1, 16 << 30))
  assert says in found[name].why
  assert [n for n, state in got.items() if state == 'FAIL'] == [name]


def test_what_hangs_on_a_failed_check_is_skipped(cheap):
  got, found = states(smoke(init='nowhere/at/all', tokenizer=None))
  assert (got['tokenizer'], got['format'], got['train.0']) == ('skipped',) * 3
  assert found['tokenizer'].why == 'needs init'


def test_corpora_that_teach_nothing(tmp_path):
  def check(*answers):
    return language_doctor.corpus(jsonl(tmp_path / 'c.jsonl', *answers)[0], shipped(), smoke())

  words, examples = check('because', 'so that')
  assert 'the first 2 texts' in words and len(examples) == 2
  with pytest.raises(UserError, match='c.jsonl'):
    check()
  pairs = Corpus(source=sources.Shipped(name='conversations', as_='pair'))
  with pytest.raises(UserError, match=':1 holds pairs: examples are wanted here'):
    language_doctor.corpus(pairs, shipped(), smoke())
  silent = dataclasses.replace(examples[0], weight=examples[0].weight & False)
  with pytest.raises(UserError, match='no token carries loss'):
    language_doctor.refuse_unlearnable('c.jsonl:1', silent, shipped(), 'example', chat.TRANSCRIPT)
  endless = dataclasses.replace(
    examples[0], tokens=examples[0].tokens[:-1], weight=examples[0].weight[:-1]
  )
  with pytest.raises(UserError, match='would never stop'):
    language_doctor.refuse_unlearnable('c.jsonl:1', endless, shipped(), 'example', chat.TRANSCRIPT)


def test_a_tokenizer_without_bos_and_a_format_with_it():
  bare = Tokenizer.from_vocab(['a', 'b'], bos=None)
  with pytest.raises(UserError, match='begins exchanges with BOS'):
    refusals.format_fits(smoke(format=chat.LLAMA2_CHAT), dict(tokenizer=bare))
  with pytest.raises(UserError, match='ends answers with EOS'):
    refusals.format_fits(smoke(), dict(tokenizer=Tokenizer.from_vocab(['a'], eos=None)))


def test_init_is_looked_at_and_not_read(tmp_path):
  cfg = smoke().model
  export(jax.jit(cfg.build)(jax.random.key(0)), tmp_path / 'base')
  start = str(tmp_path / 'base')
  assert 'every tensor is there' in refusals.init_fits(smoke(init=start), {})[0]
  with pytest.raises(UserError, match=r'depth=3 \(init has 4\)'):
    refusals.init_fits(smoke(init=start, model=dataclasses.replace(cfg, depth=3)), {})
  (tmp_path / 'run/checkpoints').mkdir(parents=True)
  sealing.write(smoke(), tmp_path / 'run/config.json')
  with pytest.raises(UserError, match='no checkpoint is there'):
    refusals.init_fits(smoke(init=str(tmp_path / 'run')), {})
  raw = json.loads((tmp_path / 'run/config.json').read_text()) | {'class': trained.REWARD}
  (tmp_path / 'run/config.json').write_text(json.dumps(raw))
  with pytest.raises(UserError, match='holds a reward model, which writes no text'):
    refusals.init_fits(smoke(init=str(tmp_path / 'run')), {})
  file = next((tmp_path / 'base').glob('*.safetensors'))
  file.write_bytes(file.read_bytes()[:-100])
  with pytest.raises(UserError, match='safetensors'):
    refusals.init_fits(smoke(init=start), {})


def test_one_step_finds_what_cannot_train():
  tokenizer = shipped()
  _, examples = language_doctor.corpus(smoke().train[0], tokenizer, smoke())
  build, given, loss = language_doctor.twin_of(smoke())

  def lost(*args):
    return {k: (t * jnp.nan, w) for k, (t, w) in loss(*args).items()}

  def begin(tx, mesh):
    return make_state(build, tx, 0, mesh)[1](), given, lost

  with pytest.raises(UserError, match='loss nan'):
    language_doctor.step_words(smoke(), language_doctor.rows_of(examples), begin, 7.0)


@pytest.mark.campaign
def test_one_step_of_an_adapter_and_of_frozen_weights():
  _, examples = language_doctor.corpus(smoke().train[0], shipped(), smoke())
  lora = smoke(lora=adapters.Lora(rank=2), init='x', microbatches=4)
  assert '8 of 8 tensors moved' in language_doctor.one_step(lora, examples)
  with pytest.raises(UserError, match='gradient 0'):
    language_doctor.one_step(smoke(optim=AdamW(lr=1e-3, frozen=('*',))), examples)


def test_the_microbatch_and_the_rate_are_counted_in_optimizer_steps(cheap):
  got, found = states(smoke(optim=AdamW(lr=1e-3, schedule=Schedule(warmup=60)), microbatches=4))
  assert got['optimizer'] == 'ok' and 'after 60 optimizer steps' in found['optimizer'].why
