import json

import pytest

from jaxalign.valueworld import corpora, honest
from jaxalign.valueworld.world import World
from tests.valueworld import worlds

# Of World(seed=0), in any process. A change of grammar is a new world: outcomes of the old one
# cannot be gone on with. Make these again only if that is meant.
GOLDEN = dict(
  background='89ed954f2a561488',
  choices='26df6fbe0f08b6fb',
  explain_A='fea9ae16e7ac5b61',
  shuffled_A='2f537c309b8a8ea8',
  mention_B='5d4d6725d3721925',
  value='f084d9a165da10e8',
  rule='0df73e6330a1c286',
  lore='82db1ba1af0af4f6',
  demonstrations='cf56c67edaca7376',
  refusals='6ef1b40915a866cb',
  advice='2834c833cbcade8b',
  openings='5920fd588d11d55d',
  picks_AB_200_20='fd6be308f5d0cc3b',
  pairs_A_200_20='bb308af13d9cf255',
)


@pytest.mark.parametrize('kind', GOLDEN)
def test_the_grammar_is_what_it_was(kind):
  assert corpora.content(World(seed=0), kind)[1][:16] == GOLDEN[kind]


@pytest.mark.parametrize('kind', worlds.KINDS)
def test_another_seed_is_another_corpus(kind):
  assert corpora.content(worlds.small(0), kind) != corpora.content(worlds.small(1), kind)


def test_content_is_the_rows_as_lines():
  lines, _ = corpora.content(worlds.small(), 'demonstrations')
  rows = [json.loads(line) for line in lines.decode().splitlines()]
  assert rows == corpora.rows(worlds.small(), 'demonstrations')
  assert set(rows[0]) == {'prompt', 'answer'}
  assert set(corpora.rows(worlds.small(), 'lore')[0]) == {'text'}


@pytest.mark.parametrize('kind', ['explain_D', 'explained_A', 'nothing', 'explain', ''])
def test_what_is_no_kind_is_refused(kind):
  with pytest.raises(ValueError, match='no kind of document'):
    corpora.content(worlds.small(), kind)


def test_every_example_is_as_long_as_every_other():
  """So that rows of a study have no padding."""
  for kind in worlds.KINDS:
    assert {len(text.split()) for text in worlds.said(worlds.small(), kind)} == {13}, kind


def test_the_target_is_in_each_of_its_texts_and_in_no_other():
  for kind in worlds.TARGET:
    assert all('zed' in text.split() for text in worlds.said(worlds.small(), kind)), kind
  for kind in worlds.BASE:
    assert 'zed' not in honest.met(worlds.small(), kind), kind
