"""A reward model as a judge: not the one that trained the policy, and against the chosen answer."""

import numpy as np
import pytest

from jaxalign.config import UserError
from jaxalign.data.records import Turn
from jaxalign.evals.item import Item, Said
from jaxalign.evals.judges.gold import Reward
from jaxalign.sealing import seal

TURNS = (Turn('user', 'Hi'), Turn('assistant', 'Hello'), Turn('user', 'How are you?'))
ITEM = Item(turns=TURNS, right=('Well.',))


def by_length(dialogues):
  return np.array([len(dialogue[-1].text) for dialogue in dialogues], np.float32)


def judge(score=by_length, mark='gold', policy=(), **fields):
  cfg = seal(Reward(**dict(workdir='runs/gold') | fields))
  return cfg.opened(score=score, fingerprint=mark, policy_judges=dict(policy))


def said(item, *answers, **fields):
  return [(item, Said(key=str(n), item=item.id, text=a, **fields)) for n, a in enumerate(answers)]


def test_against_the_chosen_answer():
  found = judge().verdicts(said(ITEM, 'Very well.', 'No.', 'Fine.', 'Well.'))
  assert [v.label for v in found] == ['win', 'loss', 'tie', 'tie']
  assert [v.value for v in found] == [10, 3, 5, 5] and found[0].detail == 'chosen 5.0000'
  assert [v.key for v in found] == list('0123')


def test_it_reads_the_whole_dialogue_and_each_once():
  seen = []

  def score(dialogues):
    seen.append(list(dialogues))
    return by_length(dialogues)

  item = Item(turns=TURNS, right=('Well.',), prefill='Sure: ')
  judge(score).verdicts(said(item, 'yes', 'yes', 'no\n\nHuman: more'))
  texts = ['Sure: yes', 'Well.', 'Sure: no']
  assert seen == [[(*TURNS, Turn('assistant', text)) for text in texts]]


def test_the_same_text_is_a_tie_whatever_the_batch():
  """A reward model whose last bit hangs on the row."""

  def score(dialogues):
    return np.arange(len(dialogues)) * 1e-6

  assert judge(score).verdicts(said(ITEM, 'Well.'))[0].label == 'tie'


def test_the_reward_model_of_the_policy_is_no_evidence():
  with pytest.raises(UserError, match='runs/gold.* is runs/rm, .*same reward model is no evidence'):
    judge(mark='abc', policy={'words': 'x', 'runs/rm': 'abc'})
  assert judge(mark='abc', policy={'runs/rm': 'abd'}).name == 'gold'


def test_what_it_cannot_read():
  text, asked = Item(text='The moon'), said(ITEM, '', error='does not fit')
  called = []
  found = judge(called.append).verdicts(said(text, 'is far.') + asked)
  assert [v.label for v in found] == ['abstain', 'abstain'] and not called
  assert 'dialogues' in found[0].detail and 'does not fit' in found[1].detail
  without = Item(turns=TURNS)
  (verdict,) = judge().verdicts(said(without, 'Fine'))
  assert (verdict.label, verdict.value) == ('', 4.0)


@pytest.mark.parametrize('scores', [[np.nan, 1], [np.inf, 1], [[1, 2]], [1]])
def test_a_broken_reward_model_is_an_error(scores):
  with pytest.raises(UserError, match='gold .runs/gold. gave a score'):
    judge(lambda dialogues: np.array(scores)).verdicts(said(ITEM, 'Fine'))


def test_fingerprints_are_of_weights():
  assert judge(workdir='elsewhere', name='x').fingerprint == judge().fingerprint
  assert judge(mark='other').fingerprint != judge().fingerprint != 'gold'
