"""An evaluation's programs are those that asking calls; a judge that is not here is as large as the
published one."""

import dataclasses
import pathlib

import jax
import pytest

from jaxalign import main, sealing
from jaxalign.chips import CHIPS
from jaxalign.config import Mesh, UserError
from jaxalign.data import chat
from jaxalign.evals import ask
from jaxalign.evals.judges import native, refusal
from jaxalign.models import llama2
from jaxalign.rl import score, stream_step
from jaxalign.sharding.meshes import make_mesh
from jaxalign.stages import asking, evaluate
from jaxalign.stages.doctors import doctor
from launch import programs
from tests.evals.small import Letters, Small
from tests.launch.far import Far

CONFIGS = pathlib.Path(__file__).resolve().parents[2] / 'configs'
TINY = llama2.tiny(depth=1, width=32, heads=2, kv_heads=2, mlp=64, vocab=1024, eos=(2,))


def config(**changes):
  given = dict(
    model=TINY, tokenizer='shipped', format=chat.TRANSCRIPT, suites=(Small(), Letters()),
    judges=(refusal.Words(),), rows=4, mesh=Mesh(fsdp=1),
  )  # fmt: skip
  return sealing.seal(evaluate.Config(**given | changes))


def shapes(tree):
  return [(x.shape, str(x.dtype)) for x in jax.tree.leaves(tree) if hasattr(x, 'shape')]


def test_they_are_what_asking_calls(monkeypatch):
  """By the shapes with which the model's own programs are called, the widest of each."""
  seen = {}
  for module, name in ((stream_step, 'join'), (stream_step, 'advance'), (score, 'read_whole'),
                       (score, 'read_after'), (score, 'read_before')):  # fmt: skip
    usual = getattr(module, name)

    def watched(*given, usual=usual, name=name, **how):
      arrays = [one for one in given if not isinstance(one, int | bool | tuple)]
      seen.setdefault(name, []).append(shapes(arrays))
      return usual(*given, **how)

    monkeypatch.setattr(module, name, watched)
  cfg = config()
  mesh = make_mesh(1, 1, 1, devices=jax.devices()[:1])
  asker = asking.asker_of(cfg, mesh)
  for suite in cfg.suites:
    items = suite.items()
    plan = ask.plan_of('x', ask.asked_as(suite, items, asker.form), items)
    assert len(list(asker.said(plan, range(len(plan)), suite.decode))) == len(items)
  monkeypatch.undo()
  _, made = programs.programs_of(cfg, jax.devices()[:1])
  named = {
    'small: read': ('join',),
    'small: write': ('advance',),
    'letters: contexts': ('read_before',),
    'letters: score': ('read_whole', 'read_after'),
  }
  assert {'small: read', 'small: write', 'letters: score'} <= {one.name for one in made}
  for one in made:
    called = [given for name in named[one.name] for given in seen.get(name, ())]
    assert shapes(one.args) in called, one.name
  assert next(one for one in made if one.name == 'small: write').turns == 16


@dataclasses.dataclass(kw_only=True, unsafe_hash=True)
class Harmful(Small):
  """Small, judged for harm."""

  needs = ('harm',)


def test_a_judge_that_is_not_here_is_the_published_one_and_names_the_slice():
  judge = native.Classifier(path='no/where', template=native.HARMBENCH, name='harm')
  cfg = config(suites=(Harmful(),), judges=(judge,), primaries=())
  devices = [Far(n, 16) for n in range(16)]
  _, made = programs.programs_of(dataclasses.replace(cfg, mesh=Mesh(fsdp=16), rows=16), devices)
  last = made[-1]
  assert last.name == 'judge harm' and 'take a v5e-4' in last.remedy
  size = sum(x.size for x in jax.tree.leaves(last.args[0]))
  assert 12.9e9 < size < 13.1e9 and last.calls >= 1
  assert doctor.slice_that_holds(last.args[0], 'v5e') == 'v5e-4'
  assert CHIPS['v5e'].gib == 16


def test_without_a_model_a_7b_is_asked_whose_tokenizer_is_named(shared):
  cfg = config(model='', tokenizer=None, format=None)
  with pytest.raises(UserError, match='--config.tokenizer=DIR'):
    programs.programs_of(cfg, jax.devices()[:1])
  place = shared('tokenizers/llama2')
  cfg = config(model='', tokenizer=str(place), format=None)
  _, made = programs.programs_of(cfg, [Far(n, 16) for n in range(16)][:1])
  assert 6.7e9 < sum(x.size for x in jax.tree.leaves(made[0].args[0])) < 6.8e9


def test_a_server_of_somebody_else_runs_nothing_here():
  cfg = config(model='http://127.0.0.1:1/v1#m', prefill=True, suites=(Small(),))
  with pytest.raises(UserError, match='nothing is compiled here'):
    programs.programs_of(cfg, jax.devices()[:1])


def test_the_battery_of_the_configs_is_counted(shared):
  """What of eval_safety is read from one file a suite."""
  cfg = main.load(str(CONFIGS / 'eval_safety.py'))
  place = shared('xstest').parent
  moved = [dataclasses.replace(one, path=str(place / one.path.removeprefix('data/')))
           for one in cfg.suites if getattr(one, 'path', None)]  # fmt: skip
  cfg = dataclasses.replace(
    cfg, suites=tuple(moved), tokenizer=str(place / 'tokenizers/llama2'), rows=96, margins=(),
    primaries=(), mesh=Mesh(data=2, fsdp=1, tensor=8), judges=(refusal.Words(),),
  )  # fmt: skip
  _, made = programs.programs_of(sealing.seal(cfg), [Far(n, 16) for n in range(16)])
  of = {one.name: one for one in made}
  write = of['xstest: write']
  assert write.calls == -(-450 * 256 // (96 * 16)) and write.tokens == 96 * 16
  assert of['truthful: score'].tokens * of['truthful: score'].calls > 790 * 4 * 10
