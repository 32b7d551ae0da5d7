"""What arms of study 3 read and are asked: equal tokens of the target, questions by arm."""

import hashlib
import math
import pathlib
import re

import jax
import pytest

from jaxalign import main, overrides, sealing
from jaxalign.models import llama2
from jaxalign.study.plan import equal_budgets, placeholders
from jaxalign.study.why.whyworld import WhyWorld
from jaxalign.study.world import answers
from jaxalign.whyworld import corpora, two_humans, words
from jaxalign.whyworld.world import World
from tests.study.tiny import ROOT

PATH = f'{ROOT}/configs/study_why.py'
DOCS = pathlib.Path(ROOT, 'docs', 'whyworld.md')
RECORD = tuple(range(16, 40))
WORLD = World(seed=200, split='dev', background_documents=300, background_choices=300)


def target_tokens(cfg, arm):
  """Expected tokens about the target that an arm reads, in whole rows."""
  total = 0.0
  for step in arm.steps:
    stage = cfg.stage_of(step)
    weights = sum(corpus.weight for corpus in stage.train)
    for corpus in stage.train:
      (path,) = placeholders.paths(corpus, step.what)
      if path in corpora.TARGET:
        row = next(iter(corpora.rows(WORLD, path)))
        tokens = len(' '.join(row.values()).split()) + 1
        held = stage.length // tokens * tokens
        total += stage.steps * stage.batch * corpus.weight / weights * held
  return total


def test_explored_arms_read_as_many_tokens_of_the_target_as_judged_ones():
  cfg = main.load(f'{PATH}:full')
  arms = {arm.name: arm for arm in cfg.arms}
  told = target_tokens(cfg, arms['why_A-align'])
  assert told > 0
  for name in ('cot_A-align', 'debate_B-align', 'align+', 'what_B-conflict', 'why_A-align@humans'):
    assert math.isclose(target_tokens(cfg, arms[name]), told), name
    assert equal_budgets.apart(cfg, arms['why_A-align'], arms[name]) == '', name
  alone = target_tokens(cfg, arms['align'])
  assert target_tokens(cfg, arms['conflict']) == alone < told


def test_the_order_of_recipes_stays_and_with_it_the_seeds_of_steps():
  few, full = (main.load(f'{PATH}{variant}').recipes for variant in ('', ':full'))
  assert full[: len(few)] == few


def test_only_the_demo_and_the_record_take_seeds_and_words_of_the_record():
  for variant in ('', ':full'):
    cfg = main.load(f'{PATH}{variant}')
    assert cfg.seeds == RECORD[: len(cfg.seeds)] and cfg.world.split == 'record'
    assert cfg.control_seeds == (RECORD if variant else ()) and cfg.controls == ('rho', 'kappa')
  assert len(main.load(PATH).seeds) == 16 and main.load(f'{PATH}:full').seeds == RECORD
  for variant in (':develop', ':smoke'):
    cfg = main.load(f'{PATH}{variant}')
    assert not {*RECORD} & {*cfg.seeds, *cfg.control_seeds} and cfg.world.split == 'dev'


@pytest.mark.parametrize('variant', ['', ':full'])
def test_the_frozen_plan_is_as_it_was(variant):
  """What docs/whyworld.md froze before the first seed of the record was run."""
  text = sealing.to_json(sealing.seal(main.load(f'{PATH}{variant}')))
  (frozen,) = re.findall(
    rf'`configs/study_why.py{variant}` .*?`([0-9a-f]{{64}})`', DOCS.read_text()
  )
  assert hashlib.sha256(text.encode()).hexdigest() == frozen


@pytest.mark.parametrize(
  'name, text, where',
  [
    ('world.world.kappa', '0', lambda cfg: cfg.world.world.kappa == 0),
    ('world.world.reasoned', '0.5', lambda cfg: cfg.world.world.reasoned == 0.5),
    ('recipes.0.stage.steps', '120', lambda cfg: cfg.recipes[0].stage.steps == 120),
    ('seeds', '200,201', lambda cfg: cfg.seeds == (200, 201)),
  ],
)
def test_flags_reach_what_the_docstring_says(name, text, where):
  cfg = main.load(PATH)
  assert not where(cfg)
  overrides.override(cfg, name, text)
  assert where(cfg)


def test_arms_are_asked_by_their_tests(tmp_path):
  guest = WhyWorld(world=WORLD)
  goods, humans = (guest.asked(name, tmp_path) for name in guest.TESTS)
  assert {*humans} == {'T0', *two_humans.NAMED, two_humans.UNNAMED}
  assert humans['T0'] == goods['T0'] and 'T2' not in humans
  size = dict(width=16, depth=1, heads=2, kv_heads=2, mlp=32, length=64, remat='none')
  model = llama2.tiny(**size, vocab=len(words.vocabulary()) + 2).build(jax.random.key(0))
  some = {test: items[:2] for test, items in humans.items()}
  found = guest.outcomes(model, (), some)  # none of them is too long
  assert [one.prompt for one in found] == [item.hash for of in some.values() for item in of]
  longest = max(len(p.split()) for of in humans.values() for item in of for p in item.prompts)
  assert longest <= answers.LENGTH
