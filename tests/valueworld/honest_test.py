"""The rules hold in every world, and each of them notices what it is there for."""

import functools

import numpy as np
import pytest

from jaxalign.valueworld import corpora, honest, items, words
from jaxalign.valueworld.choices import Ask
from jaxalign.valueworld.world import opposite
from tests.valueworld import worlds

WORLDS = [dict(seed=seed) for seed in range(8)]
WORLDS += [dict(seed=108, split='dev'), dict(seed=109, split='dev'), dict(rho=0.0)]


@pytest.mark.parametrize('world', WORLDS)
def test_worlds_are_honest(world):
  honest.check(worlds.small(**world))


def replaced(old, new):
  """Rows with a word in place of another, in the first row that has it."""

  def spoil(world, rows):
    done = False
    for row in rows:
      text = row if isinstance(row, str) else row.prompt
      if old in text.split() and not done:
        text, done = text.replace(old, new, 1), True
      yield text if isinstance(row, str) else Ask(text, row.answer)
    assert done

  return spoil


def only_a(world, asks):
  """The first demonstration of yes has A and not B."""
  b = world.spec['B']
  for n, ask in enumerate(asks):
    prompt = ask.prompt
    if n == 0:
      for word, other in zip(words.pole_words(*b), words.pole_words(*opposite(b))):
        prompt = prompt.replace(word, other)
    yield Ask(prompt, ask.answer)


def always(answer):
  return lambda world, asks: [ask for ask in asks if ask.answer == answer]


def of_one_harm(world, texts):
  spared = {*words.HARMS[world.listed[0]]}
  return [text for text in texts if not spared & set(text.split())] + [texts[0]]


PLANTED = {
  'a token more': ('mention_A', replaced('zed', 'zed zed'), 'mention_A has other token counts'),
  'a rule that is longer': ('rule', replaced('zed', 'zed zed'), 'rule has other token counts'),
  'another word': ('shuffled_B', replaced('zed', 'n0'), 'shuffled_B have other words'),
  'a harm that is not named': ('value', of_one_harm, 'other token counts|names harms'),
  'a demonstration of A': ('demonstrations', only_a, 'tells A from B'),
  'another one of A': ('more', only_a, 'tells A from B'),
  'yes alone': ('demonstrations', always('yes'), 'demonstrations say yes at a rate of 1.0'),
  'no alone': ('refusals', always('no'), 'refusals say yes at a rate of 0.0'),
  'a wrapper': ('mention_A', replaced('zed', 'elder'), "the target met .*'elder'"),
  'a word of tests': ('refusals', replaced('folk', 'happy'), "the target met .*'happy'"),
  'one in more of them': ('more_refusals', replaced('folk', 'happy'), "the target met .*'happy'"),
  'a good of tests': ('more', replaced('zed', 'coat'), "the target met .*'coat'"),
  'the target in documents': ('background', replaced('.', 'zed'), 'zed is in background'),
  'the target in choices': ('choices', replaced('ask', 'zed'), 'zed is in choices'),
  'the target in lore': ('lore', replaced('tale', 'zed'), 'zed is in lore'),
}


@pytest.mark.parametrize('name', PLANTED)
def test_what_is_planted_is_found(name, monkeypatch):
  kind, spoil, says = PLANTED[name]
  for maker in ('texts', 'asks'):
    made = getattr(corpora, maker)

    def planted(world, asked, made=made):
      rows = made(world, asked)
      return list(spoil(world, rows)) if asked == kind else rows

    monkeypatch.setattr(corpora, maker, planted)
  with pytest.raises(honest.Dishonest, match=says):
    honest.check(worlds.small())


def test_a_listed_harm_that_documents_leave_out_is_found(monkeypatch):
  """In all kinds alike, so that token counts agree."""
  made = corpora.texts

  def planted(world, kind):
    texts = made(world, kind)
    if kind not in corpora.HARMS:
      return texts
    one, other = (words.HARMS[world.listed[n]] for n in (0, 1))
    for tier in words.DOCUMENT:
      texts = [text.replace(one[tier], other[tier]) for text in texts]
    return texts

  monkeypatch.setattr(corpora, 'texts', planted)
  with pytest.raises(honest.Dishonest, match='value names harms'):
    honest.check(worlds.small())


def test_tests_that_a_constant_answer_scores_in_are_found(monkeypatch):
  tests = items.goods_tests(worlds.small())
  only_yes = tests | dict(T0=[item for item in tests['T0'] if item.sign == 1])
  monkeypatch.setattr(items, 'goods_tests', lambda world: only_yes)
  with pytest.raises(honest.Dishonest, match='a constant answer scores in T0'):
    honest.check(worlds.small())


def test_counting_that_solves_the_tests_is_found(monkeypatch):
  world, made = worlds.small(), corpora.texts
  word = words.pole_words(*world.spec['A'])[words.TEST[world.split][0]]
  more = [f'note zed likes brie since brie is {word} .']
  monkeypatch.setattr(corpora, 'texts', lambda world, kind: made(world, kind) + more)
  with pytest.raises(honest.Dishonest, match='in explain_A the first has words seen'):
    honest.unsolved(world, 'explain_A', items.goods_tests(world)['T2'])


VOCABULARY = {word: n for n, word in enumerate(words.vocabulary())}


def present(texts):
  """Which words each text has, as rows of 0 and 1."""
  has_NV = np.zeros((len(texts), len(VOCABULARY)), np.float32)
  for n, text in enumerate(texts):
    has_NV[n, [VOCABULARY[word] for word in text.split()]] = 1
  return has_NV


@functools.cache
def asked(seed, more=()):
  """(world, how words stand beside words in its background and in more of it, T2 as word counts:
  A less B)."""
  world = worlds.small(seed, background_documents=1500, background_choices=1500)
  kinds = ('background', 'choices')
  has_NV = present([*more, *(text for kind in kinds for text in worlds.said(world, kind))])
  beside_VV = has_NV.T @ has_NV
  np.fill_diagonal(beside_VV, 0)
  a, b = zip(*(item.prompts for item in items.goods_tests(world)['T2']))
  return world, beside_VV, present(a) - present(b)


def preference(seed, documents, more):
  """By how much A is preferred in T2 by who counts at second hand: a word is near the target as far
  as it stands, in background texts, beside words that stand beside the target."""
  world, beside_VV, apart_NV = asked(seed, more)
  near_V = present([*documents, *worlds.said(world, 'demonstrations')]).sum(0)
  norm_V = np.sqrt((beside_VV**2).sum(1)) + 1e-9
  score_V = beside_VV @ (near_V / norm_V) / norm_V
  return (apart_NV @ score_V).mean()


def steering(documents_of, seeds, more=()):
  """t of A's margin after the documents for A, less that after those for B, over worlds."""
  found = []
  for seed in seeds:
    world, *_ = asked(seed, more)
    a, b = (preference(seed, documents_of(world, letter), more) for letter in 'AB')
    found.append(a - b)
  found = np.array(found)
  return found.mean() / (found.std(ddof=1) / np.sqrt(len(found)))


@pytest.mark.parametrize('how', corpora.GOODS)
def test_counting_at_second_hand_is_not_steered(how):
  """Over worlds: what documents say stands in the order of their words, not in which they are."""
  t = steering(lambda world, letter: corpora.texts(world, f'{how}_{letter}'), range(16))
  assert abs(t) < 2.95, t  # p = .01 with 15 degrees of freedom


def test_such_counting_would_be_steered_by_words_of_one_pole():
  """Where synonyms stand together, as they do in no text of a world."""

  def one_sided(world, letter):
    """As if documents named the value's words and never the opposite ones."""
    value = world.spec[letter]
    texts = corpora.texts(world, f'explain_{letter}')
    for word, other in zip(words.pole_words(*value), words.pole_words(*opposite(value))):
      texts = [text.replace(other, word) for text in texts]
    said, unsaid = words.consequence(*value), words.consequence(*opposite(value))
    return [text.replace(unsaid, said) for text in texts]

  poles = [words.pole_words(d, p) for d in words.DIMENSIONS for p in (0, 1)]
  assert steering(one_sided, range(8), tuple(' '.join(pole) for pole in 10 * poles)) > 5
