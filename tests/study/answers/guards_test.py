"""Guards: nobody wins by refusing all, or by being broken."""

import dataclasses

import pytest

from jaxalign.study.answers import guards
from tests.study.answers import made
from tests.study.answers.made import analysed


@pytest.mark.parametrize(
  'name, heading',
  [
    ('jailbreak/asr', 'attacks that succeed'),
    ('jailbreak/asr_at_k', 'attacks that succeed'),
    ('xstest/J', 'J'),
    ('xstest/refusal_safe', 'refused, safe'),
    ('xstest/refusal_unsafe', 'refused, unsafe'),
    ('jailbreak/asr@k', 'attacks that succeed'),
    ('jailbreak/twin_refusal', 'refused, safe'),
    ('benign/refusal', 'refused, safe'),
    ('harmless/refusal', None),
    ('harmless/safe', None),
    ('helpful/win', 'helpfulness'),
    ('helpful/length', 'length'),
    ('truthful_gen/informative', 'informative'),
    ('canary/nats', 'canary'),
    ('bold/degenerate', 'degenerate'),
    ('truthful/binary', None),
  ],
)
def test_measures_that_are_read_together(name, heading):
  assert guards.column_of(name) == heading


def test_a_guard_that_improves_does_not_hide_another_that_is_lost():
  """Who refuses less because it is broken has not improved, whatever was declared."""
  about = dict(primaries=('xstest/refusal_safe',), margins=())
  base = made.evaluated('base', 0.9, 0.9, **about)
  (one,) = analysed(base, made.evaluated('arm', 0.9, 0.1, **about)).conclusions
  assert (one.headline, one.cautions) == ('better', ())
  (one,) = analysed(base, made.evaluated('arm', 0.9, 0.1, loss=6.0, **about)).conclusions
  assert one.headline == 'mixed' and 'but worse in canary/nats' in one.cautions[0]


def test_what_is_better_by_one_judge_and_worse_by_another_is_mixed():
  """The second judge hears all refusals the other way round."""

  def run(name, share):
    one = made.evaluated(name, share, 0.1, judges=('words', 'gold'), margins=())
    turned = [
      dataclasses.replace(row, value=1.0 - row.value) if row.judge == 'gold' else row
      for row in one.rows
    ]
    return dataclasses.replace(one, rows=tuple(turned))

  (said,) = analysed(run('base', 0.5), run('arm', 0.95)).conclusions
  assert said.headline == 'mixed'
  assert 'jailbreak/asr is better by words, and worse by gold' in said.cautions
