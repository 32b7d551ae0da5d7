"""HH-RLHF: counts, what is left out, the baseline of length, and simulated models and judges."""

import dataclasses
import math

import pytest

from jaxalign.config import UserError
from jaxalign.evals.item import Decode
from jaxalign.evals.suites import hh
from tests.evals.suites.simulated import judged, mean, scored, unasked

# (rows, prompts that differ, identical answers, asked, longer wins)
PUBLISHED = {
  'harmless-base': (2312, 5, 0, 2303, 0.445),
  'helpful-base': (2354, 9, 2, 2341, 0.598),
  'helpful-online': (1137, 0, 2, 1131, 0.429),
  'helpful-rejection-sampled': (2749, 3, 32, 2714 + 32, 0.567),
}
REFUSAL = 'refusal, where one of the two refuses'
REFUSING_WINS = {'harmless-base': 0.65, 'helpful-base': 0.37}


@pytest.mark.parametrize('subset', PUBLISHED)
def test_the_four_test_files(shared, subset):
  rows, differ, same, asked, longer = PUBLISHED[subset]
  suite = hh.Preference(subset=subset, path=str(shared(f'hh-rlhf/{subset}/test.jsonl.gz')))
  counts = suite.counts()
  names = ('rows', 'prompts that differ', 'identical answers')
  assert tuple(counts.pop(name) for name in names) == (rows, differ, same)
  items = suite.items()
  assert len(items) == asked == rows - differ - sum(counts.values())
  baselines = dict(suite.measures()[0].baselines)
  assert round(baselines['longer'], 3) == longer
  if subset in REFUSING_WINS:
    assert baselines[REFUSAL] == pytest.approx(REFUSING_WINS[subset], abs=0.03)
  ties = [item for item in items if item.choices[0] == item.choices[1]]
  assert len(ties) == same


def test_a_tie_counts_half_and_identical_answers_are_one(shared):
  path = str(shared('hh-rlhf/helpful-base/test.jsonl.gz'))
  suite = hh.Preference(subset='helpful-base', path=path)
  items = suite.items()
  name = 'hh_preference_helpful-base'
  rows = suite.rows(scored(items, lambda item, choice: -4.0))
  assert mean(rows, f'{name}/accuracy') == 0.5
  best = suite.rows(scored(items, lambda item, choice: float(choice == item.right[0])))
  assert mean(best, f'{name}/accuracy') == pytest.approx(1 - 2 * 0.5 / len(items))


def test_sums_and_means_of_tokens_differ():
  suite = hh.Preference(subset='harmless-base', limit=8)
  items = suite.items()
  of = lambda item, choice: (-8.0, 8) if choice == item.right[0] else (-6.0, 2)
  rows = suite.rows(scored(items, of))
  assert mean(rows, 'hh_preference_harmless-base/accuracy') == 0
  assert mean(rows, 'hh_preference_harmless-base/accuracy_token') == 1
  with pytest.raises(UserError, match='was scored nan'):
    suite.rows(scored(items, lambda item, choice: math.nan))
  assert mean(suite.rows([unasked(items[0])]), 'hh_preference_harmless-base/unasked') == 1


def test_what_is_gained_on_a_reference():
  suite = hh.Preference(subset='helpful-base', limit=8)
  items = suite.items()
  name = f'{suite.name}/implicit'
  rows = suite.rows(scored(items, lambda item, choice: -5.0))
  assert not [row for row in rows if row.measure == name]  # without a reference nothing is said

  def gained(own, theirs):
    policy = scored(items, lambda item, choice: own[choice == item.right[0]])
    base = scored(items, lambda item, choice: theirs[choice == item.right[0]])
    both = [dataclasses.replace(a, reference=b.said) for a, b in zip(policy, base)]
    return mean(suite.rows(both), name)

  # The chosen answer is the less likely one of both models, and gained: (rejected, chosen).
  assert gained((-2.0, -9.0), (-2.5, -12.0)) == 1
  assert gained((-2.0, -9.0), (-9.0, -2.0)) == 0
  assert gained((-2.0, -9.0), (-3.0, -10.0)) == 0.5
  with pytest.raises(UserError, match='was scored nan'):
    gained((-2.0, -9.0), (-2.0, math.nan))


def test_vader_on_real_pairs(shared):
  pytest.importorskip('vaderSentiment')
  for subset, wanted in (('helpful-base', 0.540), ('harmless-base', 0.474)):
    path = str(shared(f'hh-rlhf/{subset}/test.jsonl.gz'))
    known = hh.Preference(subset=subset, path=path, vader=True).measures()[0].baselines
    assert dict(known)['more positive (VADER)'] == pytest.approx(wanted, abs=0.002)


def test_answers_that_are_drawn_are_another_suite():
  drawn = Decode(temperature=1.0, draws=4)
  for form, name in ((hh.Helpful, 'helpful'), (hh.Harmless, 'harmless')):
    assert form(limit=8).name == name
    suite = form(limit=8, decode=drawn)
    assert suite.name == f'{name}_sampled'
    assert {one.name.partition('/')[0] for one in suite.measures()} == {suite.name}


def test_vader_is_a_baseline_where_it_is_asked_for():
  pytest.importorskip('vaderSentiment')
  (_, longer), (rule, positive), *_ = (
    hh.Preference(subset='helpful-base', vader=True).measures()[0].baselines
  )
  assert 'VADER' in rule and 0 < positive < 1 and positive != longer


def test_harmless_and_helpful_are_judged_apart():
  harmless, helpful = hh.Harmless(limit=8), hh.Helpful(limit=8)
  asked = harmless.items(), helpful.items()
  assert all(len(items) == 8 and items[0].right for items in asked)
  assert not {item.id for item in asked[0]} & {item.id for item in asked[1]}
  assert harmless.decode.stop == helpful.decode.stop == ('\n\nHuman:',)
  kinds = dict(guard='harm', words='refusal')
  said = dict(guard='harmless', words='refusal')
  rows = harmless.rows(judged(asked[0], kinds, lambda item, judge, draw: said[judge]))
  assert mean(rows, 'harmless/safe', 'guard') == mean(rows, 'harmless/refusal', 'words') == 1
  labels = ('win', 'tie', 'loss', 'abstain')
  rows = helpful.rows(judged(asked[1], dict(gold='reward'), lambda i, j, d: labels[d], draws=4))
  assert mean(rows, 'helpful/win', 'gold') == 1.5 / 4
  assert mean(rows, 'helpful/abstain', 'gold') == 1 / 4


def test_changed_and_broken_files_are_one_line(tmp_path):
  path = tmp_path / 'test.jsonl'
  one = '\\n\\nHuman: a\\n\\nAssistant: '
  path.write_text(f'{{"chosen": "{one}b", "rejected": "{one}c"}}\n')
  with pytest.raises(UserError, match='has 1 rows.*the published one 2,312 rows'):
    hh.Harmless(path=str(path)).items()
  (item,) = hh.Harmless(path=str(path), published=False).items()
  assert (item.turns[0].text, item.right) == ('a', ('b',))
  path.write_text('{"chosen": "hello", "rejected": "hello"}\n')
  with pytest.raises(UserError, match='row 1: chosen has no answer') as error:
    hh.Harmless(path=str(path), published=False).items()
  assert '\n' not in str(error.value)
  path.write_text(f'{{"chosen": "{one}b"}}\n')
  with pytest.raises(UserError, match="no column 'rejected'"):
    hh.Harmless(path=str(path), published=False).items()
