"""The doctor of reward and dpo passes the shipped configs and finds pairs that teach nothing."""

import dataclasses
import pathlib

import pytest

from jaxalign import main, sealing
from jaxalign.config import AdamW, UserError
from jaxalign.data import sources
from jaxalign.data.text import shipped
from jaxalign.doors import examining
from jaxalign.stages import dpo, reward, training
from jaxalign.stages.doctors import doctor, language_doctor, pairs_doctor

CONFIGS = pathlib.Path(__file__).resolve().parents[3] / 'configs'
ONE = doctor.Machine('one', 1, 16 << 30)


def smoke(name='reward', **changes):
  return dataclasses.replace(main.load(str(CONFIGS / f'{name}_llama2_7b.py:smoke')), **changes)


@pytest.mark.parametrize('name, stage', [('reward', reward), ('dpo', dpo)])
def test_a_good_config_passes_every_check(name, stage):
  with examining.quickly_compiled():
    found = {c.name: c for c in stage.doctor(sealing.seal(smoke(name)), None, ONE)}
  assert {c.state for c in found.values()} == {'ok'}, found
  assert 'by chance 0.693' in found['one step'].why
  assert 'of the first' in found['pairs'].why
  assert ('frozen' in found['memory'].why) == (name == 'dpo')


def test_what_is_broken_fails(monkeypatch):
  monkeypatch.setattr(pairs_doctor, 'one_step', lambda cfg, examples, start: 'not here')
  prompts = (sources.Shipped(name='conversations', as_='prompt'),)
  odd = smoke(optim=AdamW(clip=None, decayed=('score_D',)))
  found = {c.name: c.state for c in reward.doctor(odd, None, ONE)}
  assert (found['optimizer'], found['weights']) == ('FAIL', 'ok')
  found = {c.name: c for c in reward.doctor(smoke(train=prompts), None, ONE)}
  assert found['train.0'].state == 'FAIL' and 'pairs are wanted' in found['train.0'].why
  assert found['pairs'].state == 'skipped'


def test_answers_that_become_equal_fail():
  """The source drops equal texts; a format that strips, or loses the answer, makes others equal."""
  source = training.corpora_of(smoke().train)[0]
  _, examples = language_doctor.corpus(source, shipped(), smoke(), 'pair')
  assert 'the longer answer' in pairs_doctor.differ(examples)
  with pytest.raises(UserError, match='32 of the first 32 pairs have two equal answers'):
    pairs_doctor.differ([examples[n // 2] for n in range(64)])


def test_a_loss_that_begins_far_from_chance_fails():
  source = training.corpora_of(smoke().train)[0]
  _, examples = language_doctor.corpus(source, shipped(), smoke(), 'pair')

  def start(*args):
    state, given, loss, rewards = reward.start(*args)
    return state, given, lambda *a: {k: (9 * t, w) for k, (t, w) in loss(*a).items()}, rewards

  with (
    examining.quickly_compiled(),
    pytest.raises(UserError, match='by chance, where 0.6931 is right'),
  ):
    pairs_doctor.one_step(smoke(), examples, start)
