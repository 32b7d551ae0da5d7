"""jaxalign compare finds by content what a RUN holds, and answers for logs without a model."""

import json
import pathlib
import shutil

import pytest
from etils import epath

from jaxalign.config import UserError
from jaxalign.evals import store
from jaxalign.main import main
from jaxalign.study.answers import analysis, compared_text, comparing
from jaxalign.study.answers.pairs import Arm, pair
from tests.study.answers import made
from tests.study.judge import compare_test

LOGS = pathlib.Path(__file__).parent / 'logs'


def call(capsys, *args):
  status = main(['jaxalign', 'compare', *map(str, args)])
  said = capsys.readouterr()
  return status, said.out if status == 0 else said.err


@pytest.mark.parametrize(
  'a, b, measures',
  [
    ('a.eval', 'b.eval', ['tiny/match', 'tiny/includes']),
    ('a.eval', 'b.json', ['tiny/match', 'tiny/includes']),
    ('lm_a', 'lm_b', ['tiny_gen/exact_match.strict', 'tiny_mc/acc']),
  ],
)
def test_logs_of_others_are_compared_by_one_command(tmp_path, capsys, a, b, measures):
  status, said = call(capsys, LOGS / a, LOGS / b, f'--workdir={tmp_path / "out"}')
  assert status == 0 and 'b against a: no difference found' in said.replace('lm_', '')
  assert 'One run an arm: inference is over prompts, not over training runs.' in said
  assert all(f'{name} (' in said for name in measures)
  found = json.loads((tmp_path / 'out/compare.json').read_text())
  assert {one['name'] for one in found['measures']} >= set(measures)
  for one in found['measures']:
    first, other = one['sides']
    assert one['differences'][0]['mean'] == pytest.approx(other['mean'] - first['mean'])
    assert one['differences'][0]['floor'] > 0
  assert (tmp_path / 'out/compare.html').exists() == drawable()


def drawable():
  from jaxalign.page import kit

  return kit.drawable('compare.html')


def test_one_file_of_samples_is_enough(capsys):
  a, b = (next((LOGS / name).glob('samples_tiny_mc*')) for name in ('lm_a', 'lm_b'))
  status, said = call(capsys, f'first={a}', f'second={b}')
  assert status == 0 and 'second against first' in said and 'tiny_gen' not in said


def test_runs_of_an_arm_are_given_together(tmp_path, capsys):
  for name in ('a1', 'a2', 'b1', 'b2'):
    shutil.copy(LOGS / f'{name[0]}.eval', tmp_path / f'{name}.eval')
  arms = [f'{x}={tmp_path}/{x}1.eval,{tmp_path}/{x}2.eval' for x in 'ab']
  status, said = call(capsys, *arms)
  assert status == 0 and '2 training runs an arm' in said and 'b against a' in said
  assert 'Seeds of training are not known' in said and '2 seeds alone' in said
  status, said = call(capsys, arms[0], f'b={tmp_path}/b1.eval')
  assert status == 2 and 'a has 2 runs and b 1' in said


def test_kinds_are_not_mixed(tmp_path, capsys):
  study = compare_test.finish(tmp_path / 'study', 'a')
  status, said = call(capsys, study, LOGS / 'a.eval')
  assert status == 2 and 'study is a study and' in said and 'a.eval is not' in said
  assert comparing.studies([str(study), f'{study}:a'])
  assert not comparing.studies([str(LOGS / 'a.eval')])


@pytest.mark.parametrize(
  'runs, says',
  [
    (('a.eval', 'a.eval'), 'is given twice'),
    (('a.eval',), 'two evaluated models or more'),
    (('a.eval', 'nowhere'), 'nowhere is not there'),
    (('a.eval', 'README.md'), 'README.md holds nothing to compare'),
    (('a.eval', 'lm_a'), 'have no measure in common: tiny/match'),
  ],
)
def test_what_cannot_be_compared_is_one_line(capsys, runs, says):
  status, said = call(capsys, *(LOGS / run for run in runs))
  assert status == 2 and says in said and said.count('\n') == 1


def test_an_unpaired_base_is_only_of_evaluated_models(tmp_path, capsys):
  logs = LOGS / 'a.eval', LOGS / 'b.eval'
  assert call(capsys, *logs, '--unpaired_base')[0] == 0
  studies = [compare_test.finish(tmp_path / name, name) for name in 'ab']
  status, said = call(capsys, *studies, '--unpaired_base')
  assert status == 2 and 'is for evaluated models' in said
  assert (
    main(['jaxalign', '--config=configs/dpo_llama2_7b.py', '--workdir=x', '--unpaired_base']) == 2
  )


def test_how_much_may_be_left_out_is_a_flag(tmp_path, capsys):
  samples = next((LOGS / 'lm_b').glob('samples_tiny_mc*'))
  short = tmp_path / 'lm_b' / samples.name
  short.parent.mkdir()
  short.write_text(''.join(samples.read_text().splitlines(keepends=True)[:5]))
  a = next((LOGS / 'lm_a').glob('samples_tiny_mc*'))
  status, said = call(capsys, a.parent, short.parent)
  assert status == 2 and '1 of 6 units are not in all' in said and '--most_left_out=0.1667' in said
  status, said = call(
    capsys, a.parent, short.parent, '--most_left_out=0.2', f'--workdir={tmp_path}/o'
  )
  assert status == 0 and '1 of 6 units are not in all, 1 not in lm_b' in said
  assert '5 units, 1 left out' in said
  written = json.loads((tmp_path / 'o/compare.json').read_text())
  assert {one['left_out'] for one in written['measures']} == {1} and len(written['partly']) == 1
  assert call(capsys, a.parent, short.parent, '--most_left_out=1')[0] == 2
  assert call(capsys, a.parent, short.parent, '--most_left_out=nan')[0] == 2
  runs = ('--config=configs/dpo_llama2_7b.py', '--workdir=x', '--most_left_out=0.1')
  assert main(['jaxalign', *runs]) == 2


def test_a_label_needs_a_run(capsys):
  status, said = call(capsys, 'a=', LOGS / 'a.eval')
  assert status == 2 and 'a= names no run: LABEL=RUN,RUN' in said


def test_a_name_that_steers_a_terminal_does_not(capsys):
  runs = [made.evaluated(name, 0.5, 0.1) for name in ('a', 'b\x1b[31m')]
  found = analysis.analysed(pair([Arm(label=run.label, runs=(run,)) for run in runs]))
  said = compared_text.text(found)
  assert '\x1b' not in said and 'b [31m against a' in said
  assert 'xstest/J by words (80 units, 10 clusters, primary)' in said
  assert said.split('xstest/J by words (')[1].split('\n')[4] == '  chance 0.000'
  assert 'no loss beyond 0.1: canary/nats' in said
  assert 'slices of what was declared, by smallest q' in said


def test_guards_stand_in_a_table_and_what_says_nothing_is_counted():
  """Forty measures are no forty blocks: what was declared, and what differs."""
  kinds = dict(base=(0.5, 0.1), aligned=(0.95, 0.1), refuses=(1, 1))
  runs = [made.evaluated(name, *shares) for name, shares in kinds.items()]
  found = analysis.analysed(pair([Arm(label=run.label, runs=(run,)) for run in runs]))
  said = compared_text.text(found)
  head, *rows = said.split('read together')[1].split('\n\n')[0].split('\n')
  assert head.split() == list(kinds) and len(rows) == 6
  asr = next(row for row in rows if row.startswith('attacks that succeed'))
  assert asr.count(' better') == 2
  refused = next(row for row in rows if row.startswith('refused, safe'))
  assert refused.endswith(' worse') and refused.count('worse') == 1
  blocks = [line for line in said.split('\n') if ' units' in line and line[:1] not in ' ']
  named = {line.partition(' (')[0] for line in blocks}
  assert {'jailbreak/asr by words', 'xstest/J by words', 'xstest/refusal_safe by words'} <= named
  assert 'canary/nats' not in named and 'xstest/degenerate by words' not in named
  quiet = len(found.measures) - len(named)
  assert f'\n{quiet} more measures, no difference found: in compare.json and compare.html' in said


def test_columns_stand_under_each_other_whatever_the_letters():
  names = 'grundmodell', '基准模型', 'μοντέλο', 'نموذج'
  runs = [made.evaluated(name, 0.5, 0.1) for name in names]
  said = compared_text.text(
    analysis.analysed(pair([Arm(label=run.label, runs=(run,)) for run in runs]))
  )
  head, row = said.split('read together')[1].split('\n')[:2]
  at = compared_text._width(f'read together{head.partition(names[2])[0]}')
  wide = [compared_text._width(row[:n]) for n in range(len(row))]
  assert row[wide.index(at)] in '0123456789' and row[wide.index(at) - 1] == ' '


def test_a_run_that_is_there_is_no_label(tmp_path):
  odd = tmp_path / 'x=y.eval'
  shutil.copy(LOGS / 'a.eval', odd)
  assert 'b against x=y' in comparing.compare([str(odd), str(LOGS / 'b.eval')])


def test_a_workdir_of_ours_is_no_log_although_it_holds_json(tmp_path):
  store.claim(epath.Path(tmp_path), made.about())  # killed before the first answer
  with pytest.raises(UserError, match='is not done .xstest: 0 answers'):
    comparing.compare([str(tmp_path), str(LOGS / 'b.eval')])
