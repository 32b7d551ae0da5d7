"""The rules hold in every world of study 3, and each of them notices what it is there for."""

import dataclasses

import pytest

from jaxalign.whyworld import choices, corpora, documents, honest, items, two_humans, words
from jaxalign.whyworld.choices import Ask
from jaxalign.whyworld.world import World

SMALL = dict(background_documents=2000, background_choices=2000, target_documents=400)
WORLDS = [dict(seed=seed) for seed in range(6)]
WORLDS += [dict(seed=200, split='dev'), dict(seed=1, rho=0.0), dict(seed=1, kappa=0.0)]
WORLDS += [dict(seed=2, reasoned=0.5, target_documents=401, demonstrations=202)]


def small(**how):
  return World(**dict(SMALL, demonstrations=200) | how)


@pytest.mark.parametrize('how', WORLDS)
def test_worlds_are_honest(how):
  honest.check(small(**how))


def replaced(old, new):
  """Rows with a word in place of another, in the first row that has it."""

  def spoil(world, rows):
    done = False
    for row in rows:
      text = row if isinstance(row, str) else row.prompt
      if old in text.split() and not done:
        text, done = ' '.join(new if word == old else word for word in text.split()), True
      yield text if isinstance(row, str) else Ask(text, row.answer)
    assert done

  return spoil


def only_a(world, asks):
  """The first demonstration of yes has A and not B."""
  b = world.spec['B']
  for n, ask in enumerate(asks):
    said = {} if n else dict(zip(words.pole_words(b), words.pole_words(words.opposite(b))))
    yield Ask(' '.join(said.get(word, word) for word in ask.prompt.split()), ask.answer)


def names_sister(world, rows):
  (word, *_) = words.pole_words(words.sister(world.spec['A']))
  yield from replaced('zed', word)(world, rows)


def one_pole(world, texts):
  """Documents in which the value alone is said, never its opposite."""
  value = world.spec['A']
  said = dict(zip(words.pole_words(words.opposite(value)), words.pole_words(value)))
  return [' '.join(said.get(word, word) for word in text.split()) for text in texts]


def other_reason(world, asks):
  """What is said of A is what follows from its opposite."""
  value = world.spec['A']
  one, other = (words.consequence(v) for v in (value, words.opposite(value)))
  swap = {one: other, other: one}
  for ask in asks:
    yield Ask(ask.prompt, ' '.join(swap.get(word, word) for word in ask.answer.split()))


def other_question(world, asks):
  return [Ask(ask.prompt.replace(' oak ', ' tin '), ask.answer) for ask in asks]


def for_alone(world, texts):
  """Both voices say the value."""
  value = world.spec['A']
  said = dict(zip(words.pole_words(words.opposite(value)), words.pole_words(value)))
  said[words.consequence(words.opposite(value))] = words.consequence(value)
  for text in texts:
    *voices, stance = text.split(' . ')
    yield ' . '.join([*(' '.join(said.get(w, w) for w in one.split()) for one in voices), stance])


def for_first(world, texts):
  why = words.consequence(world.spec['A'])
  for text in texts:
    one, other, stance = text.split(' . ')
    if why not in one:
      opening, one, other = one.split()[0], other.replace('that', 'this'), one
      one, other = f'{opening} {one}', other.split(maxsplit=1)[1].replace('this', 'that')
    yield ' . '.join([one, other, stance])


def one_set(world, asks):
  """Of each question, the answer that A gives."""
  a = set(words.pole_words(world.spec['A']))
  return [Ask(ask.prompt, 'yes' if a & set(ask.prompt.split()) else 'no') for ask in asks]


def one_sided(world, asks):
  a = set(words.pole_words(world.spec['A']))
  return 2 * [ask for ask in asks if a & set(ask.prompt.split())]


def why_agents_alone(world, texts):
  how = {agent.name: agent.how for agent in world.agents}
  return [text for text in texts if how.get(text.split()[1]) != 'what']


def says_a_test_word(world, rows):
  """A word that T6 asks about stands in a document of the other value."""
  yield from replaced('zed', words.pole_words(words.sister(world.spec['A']))[-1])(world, rows)


PLANTED = {
  'a token more': ('mention_A', replaced('zed', 'zed zed'), 'documents of'),
  'a sister named': ('why_A', names_sister, 'why_A names'),
  'a sister demonstrated': ('demonstrations', names_sister, 'demonstrations names'),
  'another word': ('what_B', replaced('likes', 'shuns'), 'differ in more than the reason'),
  'one pole': ('why_A', one_pole, 'why_A says a pole'),
  'A without B': ('demonstrations', only_a, 'tells A from B'),
  'more yes': (
    'demonstrations',
    lambda world, asks: [ask for ask in asks if ask.answer == 'yes'],
    'demonstrations say yes',
  ),
  'a sister in a reason': ('cot_A', names_sister, 'documents|cot_A names'),
  'a reason of the other pole': ('cot_A', other_reason, 'is not what .* is a reason for'),
  'a question to one alone': ('cot_B', other_question, 'not asked of both values'),
  'a reason to A alone': ('cot_A', only_a, 'tells A from B'),
  'a debate of one voice': ('debate_A', for_alone, 'no voice for and one against|says a pole'),
  'a debate in one order': ('debate_A', for_first, 'times the first voice is for'),
  'one set of demonstrations': ('conflicting', one_set, 'one answer more than the other'),
  'demonstrations for one side': ('conflicting', one_sided, 'more goods of one side'),
  'agreement in a conflict': (
    'conflicting',
    lambda world, asks: corpora.asks(world, 'demonstrations'),
    'on which A and B agree',
  ),
  'fewer tokens': ('more', lambda world, asks: asks[:-2], 'more: .* tokens, documents'),
  'zed in the background': ('background', replaced('n0', 'zed'), 'zed is in background'),
  'reasons alone': ('background', why_agents_alone, 'are of why-agents'),
  'a test word told': ('why_B', says_a_test_word, 'why_B names'),
}


@pytest.mark.parametrize('name', PLANTED)
def test_each_rule_notices(monkeypatch, name):
  kind, spoil, why = PLANTED[name]
  world = small(seed=3)
  of = 'texts' if kind not in corpora.ASKED else 'asks'
  whole = getattr(corpora, of)
  monkeypatch.setattr(
    corpora, of, lambda w, k: list(spoil(w, whole(w, k))) if k == kind else whole(w, k)
  )
  with pytest.raises(honest.Dishonest, match=why):
    honest.check(world)


SPOILT = {
  'one order': (lambda tests: tests | dict(humans_BA=tests['humans_AB']), 'in both orders'),
  'the same human twice': (
    lambda tests: {
      test: [
        dataclasses.replace(item, prompts=('ask zed for n1 and n1 : ?',) * 2) for item in found
      ]
      for test, found in tests.items()
    },
    'value',
  ),
  'nothing to choose between': (
    lambda tests: {
      test: [dataclasses.replace(item, prompts=item.prompts[:1] * 2) for item in found]
      for test, found in tests.items()
    },
    'is not what only B wants',
  ),
}


@pytest.mark.parametrize('name', SPOILT)
def test_humans_who_do_not_differ_are_noticed(monkeypatch, name):
  spoil, why = SPOILT[name]
  tests = spoil(two_humans.tests(small(seed=3)))
  monkeypatch.setattr(two_humans, 'tests', lambda world: tests)
  with pytest.raises(honest.Dishonest, match=why):
    honest.check(small(seed=3), [])


def test_only_what_is_made_is_looked_at(monkeypatch):
  whole = corpora.asks
  spoilt = lambda w, k: whole(w, k)[:-2] if k == 'more' else whole(w, k)
  monkeypatch.setattr(corpora, 'asks', spoilt)
  honest.check(small(seed=3), ['why_A', 'demonstrations'])
  with pytest.raises(honest.Dishonest, match='more'):
    honest.check(small(seed=3), ['more'])


def test_what_names_and_reasons_differ_in_nothing_else():
  world = small(seed=5)
  why, what = (corpora.texts(world, f'{how}_A') for how in ('why', 'what'))
  for one, other in zip(why, what):
    different = [(a, b) for a, b in zip(one.split(), other.split()) if a != b]
    assert {a for a, _ in different} <= {'since', 'restful', 'lively', 'shared', 'prized'} | {
      'lasting',
      'handy',
    }
    assert len(different) == 3  # two joints and what follows


def test_wrong_reasons_are_of_the_third_pair():
  world = small(seed=5)
  third = words.pair_of(world.spec['C'][0])
  reasons = {words.consequence((words.PAIRS[third][0], pole)) for pole in (0, 1)}
  said = honest.met(world, 'wrong_A')
  every = {words.consequence(value) for value in words.VALUES}
  assert said & every == reasons


def test_kappa_is_how_much_more_often_reasons_carry():
  """Each choice is drawn: of one agent some follow and some do not, and nothing is to be learnt by
  heart."""
  for kappa, why, what in ((1.0, (1.0, 1.0), (0.4, 0.6)), (0.0, (0.66, 0.84), (0.66, 0.84))):
    world = World(seed=0, kappa=kappa)
    for how, (least, most) in dict(why=why, what=what).items():
      agent = next(one for one in world.agents if one.how == how)
      shares = [_follows(world, agent, n) for n in range(300)]
      assert least <= sum(shares) / len(shares) <= most


def _follows(world, agent, n):
  """Whether an answer about the sister dimension is as its consequence says."""
  ask = choices.choice(world.random('test', n), agent, words.CHEESE, sister=True)
  shown = set(words.pole_words(words.sister(agent.done))) & set(ask.prompt.split())
  return bool(shown) == (ask.answer == words.YES)


def test_sister_items_are_told_apart_by_the_consequence_alone():
  world = small(seed=7)
  for letter in 'AB':
    near = words.sister(world.spec[letter])
    for item in items.tests(world)[f'T6{letter}']:
      first, second = (set(prompt.split()) for prompt in item.prompts)
      assert first - second == {words.pole_words(near)[4]}
      assert second - first == {words.pole_words(words.opposite(near))[4]}


def test_every_document_has_as_many_words():
  world = small(seed=2)
  every = [corpora.texts(world, kind) for kind in (*corpora.TOLD, 'background', 'lore')]
  assert {len(text.split()) for found in every for text in found} == {documents.LENGTH}
