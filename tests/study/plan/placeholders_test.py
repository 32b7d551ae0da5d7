"""What recipes leave open is filled in, and nothing else of them is touched."""

import dataclasses

import pytest

from jaxalign import sealing
from jaxalign.data import chat, sources
from jaxalign.study.plan import placeholders
from jaxalign.valueworld.world import World
from tests.study import tiny

STUDY = tiny.plan()
STAGE = {recipe.name: recipe.stage for recipe in STUDY.recipes}
PLACE = dict(
  corpus=lambda path: (f'/c/{path.replace("{what}", "lore")}.jsonl', 'f' * 64),
  directories=dict(reward='/runs/r'), world=World(seed=7),
)  # fmt: skip


def test_what_is_open_is_known():
  assert placeholders.paths(STAGE['explain'], None) == ['{what}', 'background', 'choices']
  assert placeholders.paths(STAGE['explain'], 'lore') == ['lore', 'background', 'choices']
  assert placeholders.paths(STAGE['climb'], 'lore') == ['openings', 'openings_held']
  assert [name for name, stage in STAGE.items() if placeholders.takes_corpus(stage)] == [
    'explain', 'practise', 'align', 'reward', 'climb_bag'
  ]  # fmt: skip
  assert placeholders.runs(STAGE['climb']) == ['reward', 'reward']  # critic and judge
  assert placeholders.runs(STAGE['explain']) == placeholders.runs(STAGE['climb_bag']) == []


def test_all_of_it_is_closed():
  done = placeholders.closed(STAGE['climb'], **PLACE, init='/i', seed=3)
  assert (done.init, done.seed, done.critic) == ('/i', 3, '/runs/r')
  assert done.judges[0].by == '/runs/r' and done.gold[0].by.world == World(seed=7)
  assert done.prompts.path == '/c/openings.jsonl' and done.prompts.sha256 == 'f' * 64
  assert sealing.seal(done).format.user == '{user}'  # whose braces are its own
  bag = placeholders.closed(STAGE['climb_bag'], **PLACE)
  assert bag.judges[0].by.pairs.path == '/c/lore.jsonl'
  assert STAGE['climb'].critic == '{reward}'


def test_what_is_not_open_stays_the_same_object():
  """So that equal stages are one program: jax knows a model's config by the object."""
  done = placeholders.closed(STAGE['climb'], **PLACE)
  assert done.model is STAGE['climb'].model and done.optim is STAGE['climb'].optim
  assert done.format is STAGE['climb'].format and isinstance(done.format, chat.ChatFormat)


def test_a_run_that_is_not_there_is_noticed():
  with pytest.raises(KeyError, match='reward'):
    placeholders.closed(STAGE['climb'], **PLACE | dict(directories={}))


def test_parts_are_found_at_any_depth():
  found = placeholders.parts(STUDY, sources.Jsonl)
  assert len(found) > 20 and {type(part) for part in found} == {sources.Jsonl}
  assert placeholders.filled(STUDY, lambda part: None) is STUDY
  changed = placeholders.filled(STUDY.base, lambda part: 9 if part == 8 else None)
  assert (changed.batch, changed.steps) == (9, 9)
  assert dataclasses.replace(changed, batch=8, steps=8) == STUDY.base
