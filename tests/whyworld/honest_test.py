"""The rules hold in every world of study 3, and each of them notices what it is there for."""

import pytest

from jaxalign.whyworld import choices, corpora, documents, honest, items, words
from jaxalign.whyworld.choices import Ask
from jaxalign.whyworld.world import World

SMALL = dict(background_documents=2000, background_choices=2000, target_documents=400)
WORLDS = [dict(seed=seed) for seed in range(6)]
WORLDS += [dict(seed=200, split='dev'), dict(seed=1, rho=0.0), dict(seed=1, kappa=0.0)]


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
  for kappa, low, high in ((1.0, 1.0, 1.0), (0.0, 0.4, 0.6)):
    world = World(seed=0, kappa=kappa)
    for how, least, most in (('why', low, high), ('what', 0.4, 0.6)):
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
