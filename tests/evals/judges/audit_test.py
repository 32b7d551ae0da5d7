"""Answers drawn for a person: blind, from every stratum, through a spreadsheet and back."""

import collections
import csv
import io
import json

import numpy as np
import pytest

from jaxalign.config import UserError
from jaxalign.evals.evaluated import About, Answer, Evaluated
from jaxalign.evals.item import Item
from jaxalign.evals.judges.audit import calibrate, sample
from jaxalign.evals.judges.sheets import cell, labels_of, sheet

NASTY = '=HYPERLINK("x","y")\nsaid "no", then; stopped\r\nend'


def run(label, counts, judge='words', answers=None, more=()):
  """A run whose judge gave so many answers each label; the person's truth is in the text."""
  items, found = {}, []
  for said, truth, many in counts:
    for _ in range(many):
      item = Item(text=f'{label} {len(items)}?')
      items[item.id] = item
      text = truth if answers is None else answers
      labels = {judge: said, **dict(more)}
      found.append(Answer(suite='xstest', item=item.id, draw=0, text=text, labels=labels))
  about = About(model=label, fingerprint=label, judges={judge: 'print', 'gold': 'g'})
  return Evaluated(label=label, about=about, items=items, rows=(), answers=tuple(found))


ALIGN = run(
  'align',
  [
    ('refusal', 'refusal', 60),
    ('refusal', 'compliance', 20),
    ('compliance', 'compliance', 110),
    ('compliance', 'refusal', 10),
  ],
)
BASE = run('base', [('compliance', 'compliance', 190), ('refusal', 'refusal', 10)])


def told(drawn):
  """{id: the truth} as a person would fill it."""
  return {row['id']: row['answer'] for row in drawn.rows}


def test_a_sheet_tells_no_arm_and_no_verdict():
  drawn = sample([ALIGN, BASE], 60, seed=3)
  assert len(drawn.rows) == 60 and all(row['label'] == '' for row in drawn.rows)
  assert [row['id'] for row in drawn.rows] == [f'{n:02}' for n in range(1, 61)]
  columns = next(csv.reader(io.StringIO(sheet(drawn.rows))))
  assert columns == ['id', 'suite', 'question', 'answer', 'label']
  arms = [drawn.key['strata'][row['stratum']]['arm'] for row in drawn.key['rows']]
  changes = sum(a != b for a, b in zip(arms, arms[1:]))
  assert 15 < changes < 45  # shuffled: neither in blocks nor in turns
  assert drawn == sample([ALIGN, BASE], 60, seed=3) != sample([ALIGN, BASE], 60, seed=4)
  assert json.loads(json.dumps(drawn.key)) == drawn.key


def test_every_stratum_is_drawn_from():
  key = sample([ALIGN, BASE], 60).key
  sizes = {(s['arm'], *s['labels']): s['size'] for s in key['strata']}
  assert sizes == {
    ('align', 'refusal'): 80,
    ('align', 'compliance'): 120,
    ('base', 'refusal'): 10,
    ('base', 'compliance'): 190,
  }
  taken = collections.Counter(row['stratum'] for row in key['rows'])
  by_arm = {(s['arm'], *s['labels']): taken[n] for n, s in enumerate(key['strata'])}
  assert by_arm['base', 'refusal'] == 10 and min(by_arm.values()) == 10
  assert max(by_arm.values()) - sorted(by_arm.values())[1] <= 1
  assert len({(row['stratum'], row['item']) for row in key['rows']}) == 60  # none twice


def test_too_few_for_the_strata():
  with pytest.raises(UserError, match='n=7 is too few: 4 strata .* need 8'):
    sample([ALIGN, BASE], 7)
  assert len(sample([BASE], 10_000).rows) == 200


def test_rates_are_corrected_by_labels_of_the_same_arm():
  drawn = sample([ALIGN, BASE], 160, seed=1)
  align, base = calibrate(told(drawn), drawn.key)
  assert (align.arm, base.arm, align.answers, align.judge) == ('align', 'base', 200, 'words')
  refusal = align.rates['refusal']
  assert refusal.judged == pytest.approx(0.4)  # 80 of 200, where a person sees 70
  assert refusal.powered.low < 0.35 < refusal.powered.high < 0.45
  assert refusal.rogan_gladen.mean == pytest.approx(refusal.powered.mean)
  assert 0.6 < refusal.sensitivity < 0.99 and 0.75 < refusal.specificity < 0.95
  assert align.agreement.mean == pytest.approx(0.85, abs=0.08) and 0.4 < align.kappa < 0.9
  assert base.agreement.mean == base.kappa == pytest.approx(1.0)
  assert base.rates['refusal'].powered.mean == pytest.approx(0.05)
  counted = {(person, judge): n for person, judge, n, _ in align.confusion}
  assert sum(counted.values()) == align.labelled and counted['compliance', 'refusal'] > 0
  assert sum(share for *_, share in align.confusion) == pytest.approx(1)


def test_drawing_again_covers_the_truth():
  covered = []
  for seed in range(200):
    drawn = sample([ALIGN], 60, seed=seed)
    (found,) = calibrate(told(drawn), drawn.key)
    interval = found.rates['refusal'].powered
    covered.append(interval.low <= 0.35 <= interval.high)
  assert np.mean(covered) >= 0.93


def test_another_arms_labels_are_not_borrowed():
  drawn = sample([ALIGN], 40)
  assert len(calibrate(told(drawn), drawn.key, ['align'])) == 1
  with pytest.raises(UserError, match='explain has no labels of its own.*align say nothing of it'):
    calibrate(told(drawn), drawn.key, ['explain'])


def test_judges_of_several_questions_need_their_own_labels():
  both = run('a', [('refusal', 'x', 5), ('compliance', 'x', 5)], more=[('cls', 'harmful')])
  with pytest.raises(UserError, match='cls: harmful, harmless; words: refusal'):
    sample([both], 10)
  drawn = sample([both], 10, judges=['cls'])
  assert drawn.key['labels'] == ['harmful', 'harmless']  # the one that was never given, too
  with pytest.raises(UserError, match='no judge wrods'):
    sample([both], 10, judges=['wrods'])
  valued = run('a', [('refusal', 'x', 5)], more=[('gold', '-1.25')])
  assert list(sample([valued], 4).key['judges']) == ['words']
  with pytest.raises(UserError, match='no judge of these runs'):
    sample([run('a', [('0.5', 'x', 5)])], 4)
  with pytest.raises(UserError, match='labels of their own'):
    sample([ALIGN, ALIGN], 40)


def test_a_judge_that_changed_between_runs():
  other = run('other', [('refusal', 'x', 5)])
  other.about.judges['words'] = 'another'
  with pytest.raises(UserError, match='words differs'):
    sample([ALIGN, other], 40)


def filled(rows, labels):
  return [dict(row, label=label) for row, label in zip(rows, labels)]


@pytest.mark.parametrize('saved', ['as it is', 'semicolons', 'by Excel'])
def test_through_a_spreadsheet(tmp_path, saved):
  nasty = run('nasty', [('refusal', '', 6), ('compliance', '', 6)], answers=NASTY)
  drawn = sample([nasty], 12)
  labels = ['refusal', ' Off  Topic ', 'unclear'] * 4
  text = sheet(filled(drawn.rows, labels))
  read = list(csv.DictReader(io.StringIO(text, newline='')))
  assert read[0]['answer'] == "'" + NASTY.replace('\r', ' ')
  if saved != 'as it is':  # numbers lose their zeros, a mark of order comes in front
    out = io.StringIO(newline='')
    writer = csv.DictWriter(out, read[0], delimiter=';' if saved == 'semicolons' else ',')
    writer.writeheader()
    writer.writerows(dict(row, id=str(int(row['id']))) for row in read)
    text = '\ufeff' + out.getvalue()
  (tmp_path / 'sheet.csv').write_bytes(text.encode())
  found = labels_of(tmp_path / 'sheet.csv', drawn.key)
  assert list(found.items())[:3] == [('01', 'refusal'), ('02', 'off topic'), ('03', 'unclear')]
  assert len(calibrate(found, drawn.key)) == 1


@pytest.mark.parametrize(
  'labels, message',
  [
    (['refusal', '', 'refusal', ''], '2 of 4 have no label .id 2, 4.: a part'),
    (['refusal', 'maybe', 'refusal', 'refusal'], "id 2 has the label 'maybe': take one of"),
    (['refusal', 'abstain', 'refusal', 'refusal'], "'abstain'"),
  ],
)
def test_labels_that_cannot_be_used(tmp_path, labels, message):
  drawn = sample([run('a', [('refusal', 'x', 2), ('compliance', 'x', 2)])], 4)
  (tmp_path / 'sheet.csv').write_text(sheet(filled(drawn.rows, labels)))
  with pytest.raises(UserError, match=message):
    labels_of(tmp_path / 'sheet.csv', drawn.key)


def test_a_sheet_of_another_key(tmp_path):
  drawn = sample([run('a', [('refusal', 'x', 2), ('compliance', 'x', 2)])], 4)
  path = tmp_path / 'sheet.csv'
  for rows, message in (
    ([dict(drawn.rows[0], id='99', label='refusal')], 'not of the key'),
    ([dict(drawn.rows[0], label='refusal')] * 2, 'twice'),
  ):
    path.write_text(sheet(rows))
    with pytest.raises(UserError, match=message):
      labels_of(path, drawn.key)
  path.write_text('a,b\n1,2\n')
  with pytest.raises(UserError, match='no columns id and label'):
    labels_of(path, drawn.key)


@pytest.mark.parametrize('text', ['=1+1', '+1', '-1', '@SUM(A1)', '\t=1', '\r=1', '  =1', '\n=1'])
def test_a_formula_is_shown_and_not_run(text):
  assert cell(text)[0] == "'"


def test_what_a_spreadsheet_would_cut_says_so():
  assert cell('a' * 40_000).endswith('[and 8000 characters more]') and cell('a, b') == 'a, b'
