"""The rules hold in every world, and each of them notices what it is there for."""

import collections

import numpy as np
import pytest

from jaxalign.valueworld import corpora, honest, items, words
from jaxalign.valueworld.choices import Ask
from jaxalign.valueworld.world import opposite
from tests.valueworld import worlds

SEEDS = [(seed, 'record') for seed in range(8)] + [(108, 'dev'), (109, 'dev')]


@pytest.mark.parametrize('seed, split', SEEDS)
def test_worlds_are_honest(seed, split):
  honest.check(worlds.small(seed, split=split))


def test_worlds_without_rho_are_honest():
  honest.check(worlds.small(0, rho=0.0))


def replaced(old, new, first=True):
  """Rows with a word in place of another, in the first row that has it or in all."""

  def spoil(world, rows):
    done = False
    for row in rows:
      text = row if isinstance(row, str) else row.prompt
      if old in text.split() and not (done and first):
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
  'a word of tests': ('refusals', replaced('folk', 'jolly'), "the target met .*'jolly'"),
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
  made = items.goods_tests
  only_yes = lambda world: made(world) | dict(T0=[i for i in made(world)['T0'] if i.sign == 1])
  monkeypatch.setattr(items, 'goods_tests', only_yes)
  with pytest.raises(honest.Dishonest, match='a constant answer scores in T0'):
    honest.check(worlds.small())


def test_counting_that_solves_the_tests_is_found(monkeypatch):
  world, made = worlds.small(), corpora.texts
  word = words.pole_words(*world.spec['A'])[words.TEST[world.split][0]]
  spoil = lambda w, kind: [*made(w, kind), f'note zed likes brie since brie is {word} .']
  monkeypatch.setattr(corpora, 'texts', spoil)
  with pytest.raises(honest.Dishonest, match='in explain_A the first has words seen'):
    honest.unsolved(world, 'explain_A')


def preference(world, documents):
  """The share of T2 in which A is preferred by who counts at second hand: a word is near the target
  as far as it stands, in background texts, beside words that stand beside the target."""
  vocabulary = {word: n for n, word in enumerate(words.vocabulary())}
  near_V = np.zeros(len(vocabulary))
  for text in (*documents, *worlds.said(world, 'demonstrations')):
    for word in set(text.split()):
      near_V[vocabulary[word]] += 1
  beside_VV = beside(world, vocabulary)
  norm_V = np.sqrt((beside_VV**2).sum(1)) + 1e-9
  score_V = beside_VV @ (near_V / norm_V) / norm_V
  total = lambda prompt: sum(score_V[vocabulary[word]] for word in prompt.split())
  margins = [total(a) - total(b) for a, b in (i.prompts for i in items.goods_tests(world)['T2'])]
  return np.mean(np.sign(margins)) / 2 + 0.5


def beside(world, vocabulary):
  counts = collections.Counter()
  for kind in ('background', 'choices'):
    for text in worlds.said(world, kind):
      found = [vocabulary[word] for word in set(text.split())]
      counts.update((a, b) for a in found for b in found if a != b)
  table = np.zeros((len(vocabulary),) * 2)
  for pair, count in counts.items():
    table[pair] = count
  return table


def steering(documents_of, seeds):
  """By world: A's share after the documents for A, less that after those for B."""
  found = []
  for seed in seeds:
    world = worlds.small(seed, background_documents=1500, background_choices=1500)
    a, b = (preference(world, documents_of(world, letter)) for letter in 'AB')
    found.append(a - b)
  return np.array(found)


@pytest.mark.parametrize('how', corpora.GOODS)
def test_counting_at_second_hand_is_not_steered(how):
  """Over worlds: what documents say stands in the order of their words, not in which they are."""
  found = steering(lambda world, letter: corpora.texts(world, f'{how}_{letter}'), range(16))
  assert abs(found.mean()) < max(0.1, 2.5 * found.std(ddof=1) / 4), found


def test_such_counting_would_be_steered_by_words_of_one_pole():
  def one_sided(world, letter):
    """As if documents named the value's words and never the opposite ones."""
    value = world.spec[letter]
    texts = corpora.texts(world, f'explain_{letter}')
    for word, other in zip(words.pole_words(*value), words.pole_words(*opposite(value))):
      texts = [text.replace(other, word) for text in texts]
    said, unsaid = words.consequence(*value), words.consequence(*opposite(value))
    return [text.replace(unsaid, said) for text in texts]

  assert steering(one_sided, range(4)).mean() > 0.3
