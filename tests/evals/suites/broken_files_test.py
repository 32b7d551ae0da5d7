"""Files that are missing, empty, cut or of another kind: one line each that names the file."""

import gzip

import pytest

from jaxalign.config import UserError
from jaxalign.evals.suites import (
  bold,
  canary,
  hh,
  jailbreak,
  outcomes,
  overrefusal,
  refusal_odds,
  truthful,
)

FORMS = dict(
  binary=('csv', lambda path: truthful.Binary(path=path)),
  mc=('csv', lambda path: truthful.MC(path=path)),
  generation=('csv', lambda path: truthful.Generation(path=path)),
  preference=('jsonl', lambda path: hh.Preference(subset='helpful-base', path=path)),
  harmless=('jsonl', lambda path: hh.Harmless(path=path)),
  helpful=('jsonl', lambda path: hh.Helpful(path=path)),
  bold=('json', lambda path: bold.Sentiment(paths=(path,))),
  advbench=('csv', lambda path: jailbreak.Grid(requests=(jailbreak.advbench(path),))),
  harmbench=('csv', lambda path: jailbreak.Grid(requests=(jailbreak.harmbench(path),))),
  strongreject=('csv', lambda path: jailbreak.Grid(requests=(jailbreak.strongreject(path),))),
  artifact=('json', lambda path: jailbreak.Grid(requests=(jailbreak.jailbreakbench(path),))),
  twins=('csv', lambda path: jailbreak.Grid(twins=path)),
  xstest=('csv', lambda path: overrefusal.XSTest(path=path)),
  benign=('csv', lambda path: overrefusal.Benign(path=path)),
  both=('csv', lambda path: overrefusal.JailbreakBench(harmful=path, benign=path)),
  odds=('csv', lambda path: refusal_odds.Twins(path=path)),
  outcomes=('csv', lambda path: outcomes.Outcomes(path=path)),
  canary=('jsonl', lambda path: canary.Text(path=path)),
  choices=('csv', lambda path: canary.Choices(path=path)),
)
BROKEN = dict(
  missing=None,
  empty=b'',
  space=b' \n\n',
  header=b'goal,prompt,type,label\n',
  other=b'{"a": 1}\n',
  binary=bytes(range(256)),
  packed=gzip.compress(b'a,b\n1,2\n'),
  quoted=b'goal,prompt\n"never closed\n',
)


@pytest.mark.parametrize('how', BROKEN)
@pytest.mark.parametrize('form', FORMS)
def test_a_file_that_is_broken_is_one_line(form, how, tmp_path):
  kind, suite = FORMS[form]
  path = tmp_path / f'mine.{kind}'
  if BROKEN[how] is not None:
    path.write_bytes(BROKEN[how])
  with pytest.raises(UserError) as error:
    suite(str(path)).items()
  assert '\n' not in str(error.value) and 'mine' in str(error.value), str(error.value)
