"""Tasks for lm-evaluation-harness: what is computed by our own functions, and what is written."""

import json

import pytest

from jaxalign.doors import lm_eval_tasks


def test_an_unlikely_truth_still_has_a_share():
  doc = dict(labels=[1, 0])
  told = [(-1000.0, False), (-1000.0, False)]
  assert lm_eval_tasks.mc2(doc, told)['acc'] == pytest.approx(0.5)


@pytest.mark.parametrize(
  'said, nearer', [('The sky looks blue by day.', 1.0), ('The sky is a blue dome.', 0.0)]
)
def test_an_answer_is_nearer_to_one_side(said, nearer):
  pytest.importorskip('sacrebleu', reason='an extra, jaxalign[evals]')
  doc = dict(question='sky?', right=['The sky looks blue.'], wrong=['The sky is a dome.'])
  assert lm_eval_tasks.overlap(doc, [said]) == dict(bleu_acc=nearer)


def test_the_best_answer_has_no_place_of_its_own(tmp_path):
  names = lm_eval_tasks.write(str(tmp_path), None)
  assert names == [f'jaxalign_tqa_{name}' for name in ('binary', 'mc1', 'mc2', 'gen')]
  rows = [json.loads(line) for line in (tmp_path / 'mc1.jsonl').read_text().splitlines()]
  assert len(rows) >= 8 and len({row['gold'] for row in rows}) > 1
  assert all(row['labels'][row['gold']] for row in rows)
  before = (tmp_path / 'mc1.jsonl').read_bytes()
  lm_eval_tasks.write(str(tmp_path), None)
  assert (tmp_path / 'mc1.jsonl').read_bytes() == before
