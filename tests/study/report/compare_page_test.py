"""The page of compared arms: its numbers are compare.json's, every seed is drawn."""

import json

import pytest

from jaxalign.study.judge import results_file
from jaxalign.study.judge.comparison import ComparedTest
from jaxalign.study.report import compare_page, pictures
from tests.study.judge import compare_test
from tests.study.report.finished import data, dots

pytest.importorskip('matplotlib')


@pytest.mark.parametrize('seeds', [range(8), [0]])
def test_compared_arms_have_a_page(tmp_path, capsys, seeds):
  runs = [compare_test.finish(tmp_path / name, name, seeds=seeds) for name in ('a', 'b<b>')]
  status, _ = compare_test.call(capsys, *runs, f'--workdir={tmp_path / "out"}')
  assert status == 0
  (test,) = json.loads((tmp_path / 'out/compare.json').read_text())['tests']
  page = (tmp_path / 'out/compare.html').read_text()
  assert '://' not in page and '<b>' not in page and 'b&lt;b&gt;' in page
  read = {(row['arm'], row['what'], row['scale']): row for row in data(page, 'T2-sft')}
  assert len(read) == (8 if len(seeds) > 1 else 6)
  for one in test['differences']:
    for scale, name in (('margin', 'log-odds'), ('rate', 'rate')):
      row = read[one['arm'], 'difference', name]
      assert float(row['mean']) == one[scale]['mean'] and float(row['p']) == one[scale]['p']
  shown = [*compare_page.shown(results_file.made(ComparedTest, test), 'a')]
  assert [row.heading for row in shown] == ['a', 'b<b>', 'b<b> less a']
  made = pictures.intervals(shown, '')
  assert sum(len(x) == 8 for x in dots(made)) == (3 if len(seeds) > 1 else 0)
  assert ('One seed: intervals are over its items' in page) == (len(seeds) == 1)
