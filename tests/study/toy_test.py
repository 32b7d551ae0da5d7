"""A third kind of study is one class: a toy that reads numbers upwards or downwards, end to end."""

import dataclasses
import hashlib
import json

import pytest

from jaxalign import config, files, main, sealing
from jaxalign.data import chat
from jaxalign.data.text import shipped
from jaxalign.evals.likelihood import Item, Text, outcomes
from jaxalign.stages import trained
from jaxalign.study import stage
from jaxalign.study.plan.arms import Arm, Step
from jaxalign.study.plan.guest import Guest, Start
from jaxalign.study.plan.rules import Planned, Rules
from jaxalign.study.report.contents import Contents
from jaxalign.study.report.contrasts import contrasts
from jaxalign.train import saving
from tests.study import tiny

TEXTS = dict(up='one two three four five six', down='six five four three two one')


@dataclasses.dataclass(kw_only=True, unsafe_hash=True)
class Counting(Guest):
  seed: int = 0

  TESTS = ('count',)
  contents = Contents(
    subject='Counting', scales=dict(margin='nats a token', rate='rate'),
    sections=(('What it shows', contrasts), ('Not', lambda found, beside: 'It teaches nothing.')),
  )  # fmt: skip

  def at(self, seed, control):
    return dataclasses.replace(self, seed=seed)

  def check_plan(self, cfg, arms):
    if strange := set(cfg.corpora(arms)) - {*TEXTS, 'background'}:
      raise config.UserError(f'{min(strange)} cannot be counted')

  def corpora_of(self, kinds, home):
    made = {}
    for kind in kinds:
      text = TEXTS.get(kind, ' '.join(TEXTS.values()))
      lines = ''.join(json.dumps(dict(text=f'{n + self.seed} {text}')) + '\n' for n in range(20))
      files.write_text(lines, home / f'{kind}.jsonl')
      made[kind] = str(home / f'{kind}.jsonl'), hashlib.sha256(lines.encode()).hexdigest()
    return made

  def made_again(self, kinds):
    return {}

  def tokenizer_of(self, home):
    return 'shipped'

  def base(self, cfg, home, train):
    directory = train()
    return Start(directory, str(directory), saving.fingerprint(directory))

  def load(self, cfg, place):
    return trained.load(place)[0]

  def asked(self, name, home):
    item = lambda n: Item(test='count', cluster=str(n % 2), good=(f'{n} {TEXTS["up"]}',),
                          bad=(f'{n} {TEXTS["down"]}',))  # fmt: skip
    return dict(count=[item(n) for n in range(4)])

  def base_tests(self, asked):
    return asked['count']

  def outcomes(self, model, steps, tests):
    return outcomes(model, tests['count'], Text(shipped(), chat.TRANSCRIPT, 32))

  def gate_values(self, cfg, means):
    return {}


def plan(**changes):
  """The stages of another study's smoke, and a contrast of its own."""
  smoke = main.load(f'{tiny.ROOT}/configs/study_explanations.py:smoke')
  small = dataclasses.replace(smoke.base.model, width=16, depth=1, heads=2, kv_heads=2, mlp=32)
  short = lambda one, **more: dataclasses.replace(one, model=small, length=32, batch=4, **more)
  first = smoke.recipes[0]
  arm = lambda name: Arm(name=name, steps=(Step(recipe='explain', what=name),), tests='count')
  contrast = Planned(name='U', what='numbers are read upwards', tests=(('count', 1),),
                     arms=(('up', 1), ('down', -1)))  # fmt: skip
  fields = dict(
    world=Counting(), base=short(smoke.base), arms=(arm('up'), arm('down')), seeds=(0, 1),
    recipes=(dataclasses.replace(first, stage=short(first.stage, lora=None, steps=40)),), workers=0,
    rules=Rules(contrasts=(contrast,), deciding=('U',), bars=(), control=False, draws=1000),
  )  # fmt: skip
  return sealing.seal(stage.Config(**fields | changes))


@pytest.mark.usefixtures('one_device')
def test_it_runs_to_its_page_and_not_again(tmp_path):
  stage.run(plan(), tmp_path)
  found = json.loads((tmp_path / 'results.json').read_text())
  assert [one['name'] for one in found['contrasts']] == ['U'] and found['probes'] is None
  assert found['contrasts'][0]['mean'] > 0.5  # who read upwards counts upwards
  assert {row['unit'] for row in tiny.rows(tmp_path)} == {'nats a token'}
  before = tiny.stored(tmp_path)
  stage.run(plan(), tmp_path)
  assert tiny.stored(tmp_path) == before and len(before) == 12
  pytest.importorskip('matplotlib', reason='the page is an extra: jaxalign[report]')
  page = (tmp_path / 'report.html').read_text()
  assert 'Counting: UNINFORMATIVE' in page and 'It teaches nothing.' in page


@pytest.mark.parametrize(
  'arm, says',
  [
    (Arm(name='x', steps=(Step(recipe='explain', what='lore'),), tests='count'), 'lore cannot be'),
    (Arm(name='x', steps=(), tests='goods'), 'arm x: tests=goods: here these are count'),
    (Arm(name='x', steps=(), tests='count', context='up'), 'a context is for an arm of ValueWorld'),
  ],
)
def test_it_refuses_what_it_cannot_serve(arm, says):
  with pytest.raises(config.UserError, match=says):
    plan(arms=(arm,))


def test_a_question_without_documents_before_it(tmp_path):
  with pytest.raises(config.UserError, match='Counting has no documents to put before a question'):
    Counting().in_context(None, 'lore', {})
