"""Guards: nobody wins by refusing all, or by being broken."""

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
