"""Implicit rewards of a policy, against the evaluation of another model."""

import functools

import pytest
from etils import epath

import jaxalign
from jaxalign import sealing
from jaxalign.config import Mesh, UserError
from jaxalign.data import chat
from jaxalign.evals import read
from jaxalign.evals.item import REFERENCE
from jaxalign.evals.suites import canary, hh
from jaxalign.stages import evaluate, reference
from tests.evals.small import model

pytestmark = pytest.mark.usefixtures('one_device')
PAIRS = hh.Preference(subset='helpful-base', limit=4)
NAME = f'{PAIRS.name}/implicit'


@pytest.fixture(scope='module')
def runs(tmp_path_factory):
  """(config(seed, **changes), the workdir of an evaluation of seed 0)."""
  home = tmp_path_factory.mktemp('models')
  for seed in (0, 1):
    jaxalign.export(model(seed), home / str(seed))

  def config(seed, **changes):
    given = dict(model=str(home / str(seed)), format=chat.TRANSCRIPT, suites=(PAIRS,), rows=4)
    return sealing.seal(evaluate.Config(mesh=Mesh(fsdp=1), **given | changes))

  base = epath.Path(home) / 'base'
  evaluate.run(config(0), base)
  return config, str(base)


@functools.cache
def scores(workdir):
  about = read.asked_of(epath.Path(workdir))
  items = read.items_of(epath.Path(workdir), PAIRS.name)
  said = read.said_of(epath.Path(workdir), about.fingerprint, about.suites[0], items)
  return {one.item: [score[0] for score in one.scores] for one in said}


def test_the_chosen_answer_is_held_against_the_rejected_one(runs, tmp_path):
  config, base = runs
  workdir = epath.Path(tmp_path) / 'policy'
  evaluate.run(config(1, reference=base, primaries=(NAME,)), workdir)
  own, theirs = scores(str(workdir)), scores(base)
  rows = {row.unit: row.value for row in read.evaluated(workdir).rows if row.measure == NAME}
  assert len(rows) == 4
  for item, value in rows.items():
    chosen, rejected = (a - b for a, b in zip(own[item], theirs[item]))
    assert value == (chosen > rejected)
  without = epath.Path(tmp_path) / 'without'
  evaluate.run(config(1), without)
  assert not [row for row in read.evaluated(without).rows if row.measure == NAME]
  evaluate.judge(config(1, reference=base), without)  # later, and no model is asked
  found = {row.unit: row.value for row in read.evaluated(without).rows if row.measure == NAME}
  assert found == rows


def test_another_reference_is_refused_before_anything_is_asked(runs, tmp_path):
  config, base = runs
  new = epath.Path(tmp_path) / 'new'
  for given, says in (
    (config(0, reference=base), 'is of the model itself'),
    (config(1, reference=str(tmp_path)), 'holds no answers'),
    (config(1, reference=base, suites=(canary.Text(limit=1),)), 'no suite here measures anything'),
    (
      config(1, reference=base, suites=(hh.Preference(subset='harmless-base', limit=4),)),
      'was not asked hh_preference_harmless-base but',
    ),
    (config(1, reference=base, format='phi2_instruct'), 'was asked another .*template'),
  ):
    with pytest.raises(UserError, match=says) as error:
      evaluate.run(given, new)
    assert '\n' not in str(error.value) and not new.exists()
  more = config(1, reference=base, suites=(hh.Preference(subset='helpful-base', limit=5),))
  with pytest.raises(UserError, match='of 5 answers'):
    evaluate.run(more, new)
  assert REFERENCE in [m for m in PAIRS.measures() if m.name == NAME][0].kinds
  reference.refuse_lacking(base, (PAIRS,))
