"""jaxalign show: what ran in a workdir and how it went, from its files alone."""

import json

import pytest
from etils import epath

from jaxalign import main, sealing
from jaxalign.corpora import manifest
from jaxalign.doors import workdirs
from jaxalign.evals import store, summary
from jaxalign.evals.evaluated import About, AskedSuite
from tests.train.running import ROOT

EVIL = '\x1b[31m<script>alert(1)</script>\x07'


@pytest.fixture
def show(capsys):
  """show(workdir, ...) -> (status, what it printed)."""

  def do(*args):
    status = main.main(['jaxalign', 'show', *map(str, args)])
    out, err = capsys.readouterr()
    assert '\x1b' not in out + err and '\x07' not in out + err
    return status, out if status == 0 else err

  return do


def workdir_of(place, spec, **changes):
  """A workdir that has nothing yet but its config."""
  cfg = main.load(f'{ROOT}/configs/{spec}')
  for name, value in changes.items():
    setattr(cfg, name, value)
  place.mkdir(exist_ok=True)
  sealing.write(cfg, place / 'config.json')
  return place


def trained(place, *, steps=40, last=40, saved=(20, 40), torn=''):
  workdir_of(place, 'explain_llama2_7b.py:smoke', steps=steps, batch=7)
  rows = [dict(step=n, loss=8.0 - n / 10, seconds=n / 2) for n in range(1, last + 1)]
  text = ''.join(json.dumps(row) + '\n' for row in rows)
  (place / 'metrics.jsonl').write_text(text + torn)
  (place / 'evals.jsonl').write_text(json.dumps(dict(step=20, held_out_loss=5.5)) + '\n')
  for step in saved:
    (place / 'checkpoints' / str(step)).mkdir(parents=True)
  return place


def test_a_run_that_ended(show, tmp_path):
  status, out = show(trained(tmp_path / 'w'))
  lines = out.splitlines()
  assert status == 0 and lines[:2] == [
    f'{tmp_path}/w: jaxalign.stages.explain:Config', 'ended: step 40 of 40'
  ]  # fmt: skip
  start = lines.index('nearest of the configs that ship: --config=explain_llama2_7b:smoke')
  assert lines[start + 1 : start + 4] == ['  --config.batch=7', '  --config.steps=40', '']
  (loss,) = (line for line in lines if line.startswith('loss'))
  assert loss.split()[1][0] == '█' and loss.split()[1][-1] == '▁' and '7.9 → 4' in loss
  assert 'seconds' not in out and not list(tmp_path.rglob('*.html'))


@pytest.mark.parametrize(
  'state, says',
  [
    (
      dict(last=27, saved=(20,)),
      'unfinished: step 27 of 40, and the newest checkpoint is of step 20',
    ),
    (dict(saved=(20,)), 'unfinished: step 40 of 40, and the newest checkpoint is of step 20'),
    (dict(last=3, saved=()), 'unfinished: step 3 of 40, and no checkpoint is there'),
    (dict(last=0, saved=()), 'unfinished: none of 40 steps was written'),
    (dict(last=27, torn='{"step": 28, "lo'), 'unfinished: step 27 of 40'),
    (dict(last=27, torn='\0\0\xff\n'), 'unfinished: step 27 of 40'),
  ],
)
def test_a_run_that_was_killed(state, says, show, tmp_path):
  status, out = show(trained(tmp_path / 'w', **state))
  assert status == 0 and out.splitlines()[1].startswith(says)


def test_a_study_has_a_verdict_or_says_how_far_it_came(show, tmp_path):
  place = workdir_of(tmp_path / 'w', 'study_valueworld.py:smoke', seeds=(4, 9))
  (place / 'seed-4' / 'outcomes').mkdir(parents=True)
  (place / 'seed-4' / 'outcomes' / 'base.json').write_text('{}')
  found = workdirs.shown(epath.Path(place), json.loads((place / 'config.json').read_text()))
  assert found.stands.startswith('unfinished: 1 worlds were begun')
  assert ('seeds', '4, 9') in found.facts and ('arms', 3) in found.facts
  assert [rows for _, rows in found.tables.values()] == [[('seed-4', 1)]]
  contrast = dict(
    name='C1', what='why more than mention', mean=2.5, low=1.25, high=None, holds=True
  )
  told = dict(verdict='PARTIAL', sentence=f'PARTIAL: it does {EVIL}', contrasts=[contrast])
  (place / 'results.json').write_text(json.dumps(told))
  (place / 'report.html').write_text('')
  status, out = show(place)
  assert status == 0 and 'ended: PARTIAL: it does' in out and f'page: {place}/report.html' in out
  assert 'C1 why more than mention 2.5 1.25 – yes'.split() in map(str.split, out.splitlines())
  assert 'nearest of the configs that ship: --config=study_valueworld:smoke' in out


def test_an_evaluation_has_its_measures(show, tmp_path):
  place = epath.Path(workdir_of(tmp_path / 'w', 'eval_safety.py:laptop', model='mine'))
  assert 'unfinished: nothing was asked' in show(place)[1]
  suite = AskedSuite(name='xstest', version='1', source='s', template='', decode={})
  about = About(model='mine', fingerprint='f00d', suites=(suite,))
  store.write_about(about, place)
  line = dict(judge='words', n=450, clusters=8, low=0.25, high=0.75)
  summary.write('', [summary.Line(measure='xstest/J', mean=0.5, **line)], place)
  status, out = show(place)
  assert status == 0 and 'ended: 1 measures' in out and 'f00d' in out
  assert 'xstest/J words 450 0.5 0.25 0.75'.split() in map(str.split, out.splitlines())
  assert '--config=eval_safety:laptop' in out and '--config.model=mine' in out


def test_a_corpus_has_its_counts(show, tmp_path):
  place = epath.Path(workdir_of(tmp_path / 'w', 'corpus_values.py:smoke'))
  (place / 'journal.jsonl').write_text('{}\n{}\n{"tor')
  assert 'unfinished: 2 lines in its journal' in show(place)[1]
  dropped = {'too short': dict(count=3, examples=[])}
  told = dict(
    spec=dict(name='schwartz'), files={'explain.jsonl': dict(rows=17, words=1_234)},
    documents=dict(written=20, kept=17, dropped=dropped), paid=dict(cost=None),
    measures=dict(distinct_2=0.25), failing_gates=['words: too few'],
  )  # fmt: skip
  manifest.write(place, told)
  status, out = show(place)
  rows = [line.split() for line in out.splitlines()]
  assert status == 0 and ['explain.jsonl', '17', '1,234'] in rows
  for row in ('spec schwartz', 'texts kept 17', 'dropped, too short 3', 'cost –'):
    assert row.split() in rows
  assert 'gate not passed words: too few'.split() in rows and ['distinct_2', '0.25'] in rows


def test_best_of_n_has_its_curves_over_n(show, tmp_path):
  place = workdir_of(tmp_path / 'w', 'bon_llama2_7b.py:smoke')
  (place / 'bon-00000.jsonl').write_text('')
  assert 'unfinished: 1 files of answers' in show(place)[1]
  told = dict(n=[1, 2, 4], mean=dict(proxy=[0.0, 1.0, 2.0], gold=[1.0, 2.0, 0.0]))
  (place / 'bon.json').write_text(json.dumps(told | dict(prompts=16, answers=4)))
  status, out = show(place)
  assert status == 0 and 'over n 1 to 4' in out
  assert 'proxy  ▁▅█  0 → 2' in out and 'gold   ▅█▁  1 → 0  (0 to 2)' in out


def test_the_page_says_the_same_and_needs_no_other(show, tmp_path):
  pytest.importorskip('jinja2', reason='pages are an extra: jaxalign[report]')
  pytest.importorskip('matplotlib', reason='pages are an extra: jaxalign[report]')
  place = trained(tmp_path / 'w', last=27, saved=(20,))
  with (place / 'metrics.jsonl').open('a') as file:
    file.write(json.dumps({'step': 28, 'loss': 3.25, EVIL: 1.0}) + '\n')
  status, out = show(place, '--page')
  page = (place / 'show.html').read_text()
  assert status == 0 and f'page: {place}/show.html' in out
  assert 'unfinished: step 28 of 40' in page and '--config.batch=7' in page
  assert page.count('<svg') == 3 and 'loss, over step: 7.9 at 1, 3.25 at 28.' in page
  assert '<script' not in page and 'src=' not in page and 'http' not in page
  assert '[31m&lt;script&gt;' in page


def test_what_cannot_be_drawn_leaves_the_page_that_was(show, tmp_path):
  pytest.importorskip('jinja2', reason='pages are an extra: jaxalign[report]')
  pytest.importorskip('matplotlib', reason='pages are an extra: jaxalign[report]')
  place = workdir_of(tmp_path / 'w', 'explain_llama2_7b.py:smoke')
  (place / 'metrics.jsonl').write_text('{"step": 1, "loss": 1.7e308}\n')
  (place / 'show.html').write_text('before')
  assert show(place)[0] == 0
  assert show(place, '--page')[0] == 1
  assert (place / 'show.html').read_text() == 'before'


@pytest.mark.parametrize(
  'files, args, says',
  [
    ({}, ('w/none',), 'w/none is no directory'),
    ({'file': ''}, ('w/file',), 'w/file is no directory'),
    ({}, ('w',), 'w holds no run, for it has no config.json'),
    ({'compare.json': '{}'}, ('w',), 'open '),
    ({'config.json': '{"class": "jaxalign.st'}, ('w',), 'config.json cannot be read (no JSON'),
    ({'config.json': '[]'}, ('w',), 'config.json cannot be read (it has no class)'),
    ({}, (), 'show takes one WORKDIR'),
    ({}, ('w', 'w'), 'show takes one WORKDIR'),
    ({}, ('w', '--pages'), 'jaxalign show --help lists the flags'),
    ({}, ('http://x/y',), 'http:// cannot be opened here'),
    ({}, ('w\x1b[31m',), 'holds a control character'),
    (
      {'config.json': '{"class": "jaxalign.study.stage:Config", "seeds": 3}'},
      ('w',),
      'was not written by this release',
    ),
    (
      {'config.json': '{"class": "jaxalign.stages.corpus:Config"}', 'manifest.json': '{}'},
      ('w',),
      'manifest.json cannot be read (it has no files, documents)',
    ),
    (
      {'config.json': '{"class": "jaxalign.stages.bon:Config"}', 'bon.json': '{"n": 1, "mean": 2,'},
      ('w',),
      'bon.json cannot be read',
    ),
  ],
)
def test_bad_input_is_one_line(files, args, says, show, tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  (tmp_path / 'w').mkdir()
  for name, text in files.items():
    (tmp_path / 'w' / name).write_text(text)
  status, err = show(*args)
  assert status == 2 and says in err and err.count('\n') == 1 and err.startswith('error: ')


def test_a_config_of_somebody_else_is_shown_as_far_as_it_is_understood(show, tmp_path):
  config = {'class': f'mine.stage:{EVIL}', 'steps': 'many', 'world': 7}
  (tmp_path / 'config.json').write_text(json.dumps(config))
  status, out = show(tmp_path)
  assert status == 0 and 'its config says no number of steps' in out and 'nearest' not in out
