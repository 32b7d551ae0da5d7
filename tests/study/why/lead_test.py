"""The head of study 3's page: its picture is of the numbers, and all else is closed at first."""

import dataclasses
import html
import re

import numpy as np
import pytest

from configs import study_why
from jaxalign.study.report import study_files, study_page
from jaxalign.study.why import answer, lead, page
from jaxalign.whyworld import documents, words
from tests.study.report import finished
from tests.study.report.finished import data, figures_of
from tests.study.why import planted

pytest.importorskip('jinja2')
pytest.importorskip('matplotlib')
ARMS = study_why.get_config().arms


@pytest.fixture(scope='module')
def found():
  return planted.planted()


@pytest.fixture(scope='module')
def shown(found, tmp_path_factory):
  """(figures, the page)."""
  files = study_files.read(
    tmp_path_factory.mktemp('why'), found.seeds, page.CONTENTS, ARMS, 'record'
  )
  with pytest.MonkeyPatch.context() as patch:
    return figures_of(patch, lambda: study_page.page(found, files))


def said(text):
  return ' '.join(finished.words(text).split())


def test_the_page_leads_with_question_answer_and_picture(found, shown):
  text = shown[1]
  order = [f'<h1>{lead.QUESTION}</h1>', '<b>SUPPORTED</b>', html.escape(answer.answer(found)),
           '<figure>', 'Where reasons predict nothing beyond', '<details id="s0">']  # fmt: skip
  places = [text.index(part) for part in order]
  assert places == sorted(places)
  assert '16 seeds (0 to 15)' in said(text)
  assert '<nav>' not in text and '<h2' not in text
  titles = re.findall(r'<details id="s\d+"><summary class="part">([^<]*)</summary>', text)
  assert titles[:2] == ['The contrasts', 'Gates'] and titles[-1] == 'How to run it again'
  assert found.sentence in said(text), 'the verdict word for word is there too'


def test_nothing_but_the_head_is_open(shown):
  text = shown[1]
  closed = re.sub(r'<details.*</details>|<style>.*</style>', '', text, flags=re.DOTALL)
  assert 'sign-flip' not in closed and '<table' not in closed and len(said(closed)) < 4000


def test_every_seed_is_a_dot_and_every_row_its_interval(found, shown):
  figure = shown[0]['lead']
  rows = {(row['asked about'], row['documents']): row for row in data(shown[1], 'lead')}
  assert len(rows) == 12 and len(figure.axes) == 2
  for ax, title in zip(figure.axes, lead._PANELS.values()):
    drawn = [np.asarray(line.get_xdata()) for line in ax.lines if line.get_label() == 'seeds']
    means = [line.get_xdata()[0] for line in ax.lines if line.get_label() == 'mean']
    assert len(drawn) == len(means) == 6
    of = {kind: row for (asked, kind), row in rows.items() if asked == title}
    for x_S, mean, row in zip(drawn, means, of.values()):
      assert [float(row[f'seed {seed}']) for seed in found.seeds] == pytest.approx(x_S)
      assert float(row['mean']) == pytest.approx(mean) == pytest.approx(np.mean(x_S))
    assert ax.get_xlim() == (-2.15, 2.15)
    ticks = [tick.get_text() for tick in ax.get_xticklabels()]
    assert 'the opposite of' in ticks[0] and 'no difference' in ticks[1]
    assert 'what was taught' in ticks[2]


def test_a_contrast_is_the_difference_of_two_rows(found, shown):
  rows = {(row['asked about'], row['documents'][:4]): row for row in data(shown[1], 'lead')}
  for contrast, title in lead._PANELS.items():
    one = next(one for one in found.contrasts if one.name == contrast)
    why, what = rows[title, 'why:'], rows[title, 'what']
    for seed, difference in one.seeds.items():
      assert float(why[f'seed {seed}']) - float(what[f'seed {seed}']) == pytest.approx(difference)


def test_examples_are_documents_of_the_world_and_differ_in_the_reason():
  why, what = (lead._example(kind).split() for kind in ('why', 'what'))
  assert len(why) == len(what) == documents.LENGTH and {*why, *what} <= {*words.vocabulary()}
  apart = [(one, other) for one, other in zip(why, what) if one != other]
  assert [one for one, _ in apart] == ['since', 'since', words.consequence(words.VALUES[0])]
  one, sister, follows = lead._alike()
  assert one in why and follows in why and sister not in why


@pytest.mark.parametrize(
  'how, word',
  [
    (dict(named=planted.NAMED | dict(what=2.4), sister=planted.CARRIES_NOWHERE), 'NOT SUPPORTED'),
    (dict(controls=()), 'PARTIAL'),
    (dict(gate=0.5), 'UNINFORMATIVE'),
    (dict(seeds=range(1)), 'UNINFORMATIVE'),
  ],
)
def test_every_verdict_has_its_page(how, word, tmp_path, monkeypatch):
  found = planted.planted(**how)
  assert found.verdict == word
  files = study_files.read(tmp_path, found.seeds, page.CONTENTS, ARMS, 'dev')
  _, text = figures_of(monkeypatch, lambda: study_page.page(found, files))
  assert f'<b>{word}</b>' in text and html.escape(answer.answer(found)) in text
  assert 'nan' not in said(text) and 'mechanism that suffices' not in text
  assert 'These are development seeds and words' in text


def test_arms_that_are_missing_leave_their_rows_out(found, tmp_path, monkeypatch):
  arms = {arm: tests for arm, tests in found.arms.items() if arm.startswith(('why', 'mention_A'))}
  files = study_files.read(tmp_path, found.seeds, page.CONTENTS, ARMS, 'record')
  less = dataclasses.replace(found, arms=arms)
  figures, text = figures_of(monkeypatch, lambda: study_page.page(less, files))
  assert {row['documents'][:4] for row in data(text, 'lead')} == {'why:'}
  none = dataclasses.replace(found, arms={})
  figures, text = figures_of(monkeypatch, lambda: study_page.page(none, files))
  assert 'nothing to draw' in text and 'lead' not in figures


def test_names_and_words_are_text(found, tmp_path, monkeypatch):
  evil = '<script>alert(1)</script>'
  files = study_files.read(tmp_path, found.seeds, page.CONTENTS, ARMS, evil)
  contrasts = tuple(dataclasses.replace(one, what=evil) for one in found.contrasts)
  gates = tuple(dataclasses.replace(one, what=evil, ok=False) for one in found.gates)
  changed = dataclasses.replace(
    found, contrasts=contrasts, gates=gates, verdict='UNINFORMATIVE', sentence=evil, reasons=(evil,)
  )
  _, text = figures_of(monkeypatch, lambda: study_page.page(changed, files))
  assert '<script' not in text and '&lt;script&gt;' in text


def test_the_whole_file_is_offline(found, tmp_path):
  study_page.write(found, tmp_path, page.CONTENTS, ARMS, 'record')
  text = (tmp_path / 'report.html').read_text()
  assert '://' not in text and '<script' not in text and '@import' not in text
  assert text.count('<svg') >= 3 and 'role="img"' in text
