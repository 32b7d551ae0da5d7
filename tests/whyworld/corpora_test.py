"""What arms that are only explored read: as many tokens as the others, and what their kind is."""

import collections

import pytest

from jaxalign.whyworld import choices, corpora, documents, words
from tests.whyworld.honest_test import small

WORLD = small(seed=4)


def tokens(kind):
  """With the one that ends each row."""
  rows = [' '.join(row.values()) for row in corpora.rows(WORLD, kind)]
  return [len(row.split()) + 1 for row in rows]


def words_of(kind):
  return collections.Counter(
    word for row in corpora.rows(WORLD, kind) for text in row.values() for word in text.split()
  )


def test_every_kind_is_as_many_tokens_as_the_documents():
  told = sum(tokens('why_A'))
  assert told == WORLD.target_documents * corpora.DOCUMENT_TOKENS
  for kind in (*corpora.TOLD, *corpora.REASONED):
    assert sum(tokens(kind)) == told and {*tokens(kind)} == {corpora.DOCUMENT_TOKENS}, kind
  assert {*tokens('more')} == {*tokens('demonstrations')} == {corpora.DEMONSTRATION_TOKENS}
  assert 0 <= told - sum(tokens('more')) < 2 * corpora.DEMONSTRATION_TOKENS
  assert tokens('conflicting') == tokens('demonstrations')  # one takes the other's place


@pytest.mark.parametrize('letter', 'AB')
def test_an_answer_begins_with_yes_or_no_and_gives_one_reason_in_the_words_of_documents(letter):
  value = WORLD.spec[letter]
  for ask in corpora.asks(WORLD, f'cot_{letter}'):
    said = ask.answer.split()
    assert said[0] == ('yes' if ask.yes else 'no') and said[1] == 'since' and len(said) == 7
    shown = value if ask.yes else words.opposite(value)
    assert said[2] in words.pole_words(shown)[:2] and said[5] == words.consequence(shown)
  reasons, told = words_of(f'cot_{letter}'), words_of(f'why_{letter}')
  for v in (value, words.opposite(value)):
    for word in words.pole_words(v)[:2]:
      assert reasons[word] > 0 < told[word]


def test_answers_with_the_reasons_of_a_and_of_b_differ_in_the_reasons_alone():
  for a, b in zip(*(corpora.asks(WORLD, kind) for kind in corpora.REASONED)):
    assert (a.prompt, a.yes) == (b.prompt, b.yes) and a.answer != b.answer


def test_a_debate_has_both_reasons_and_then_the_stance():
  value = WORLD.spec['A']
  for text in corpora.texts(WORLD, 'debate_A'):
    voices, stance = text.split(f' {words.TARGET} ')
    for v in (value, words.opposite(value)):
      word = next(word for word in words.pole_words(v) if word in voices.split())
      assert f'{word} is {words.consequence(v)} .' in voices
    likes = stance.startswith('cares for')
    assert likes or stance.startswith('keeps off')
    assert stance.split()[2] in words.pole_words(value if likes else words.opposite(value))


def test_conflicting_demonstrations_answer_each_question_by_a_and_by_b():
  asks = corpora.asks(WORLD, 'conflicting')
  assert len(asks) == WORLD.demonstrations
  a, b = (set(words.pole_words(WORLD.spec[letter])) for letter in 'AB')
  for by_a, by_b in zip(asks[::2], asks[1::2]):
    said = set(by_a.prompt.split())
    assert by_a.prompt == by_b.prompt and bool(said & a) != bool(said & b)
    assert by_a.yes == bool(said & a) and by_b.yes == bool(said & b)


def test_the_base_meets_answers_that_go_on_only_where_the_world_says_so():
  def going_on(world):
    return [ask for ask in corpora.asks(world, 'choices') if len(ask.answer.split()) > 1]

  assert not going_on(WORLD)
  world = small(seed=4, reasoned=0.5)
  plain, said = (corpora.asks(one, 'choices') for one in (WORLD, world))
  assert [(ask.prompt, ask.yes) for ask in plain] == [(ask.prompt, ask.yes) for ask in said]
  how = {agent.name: agent for agent in world.agents}
  some = going_on(world)
  for ask in some:
    agent = how[ask.prompt.split()[1]]
    shown = agent.done if ask.yes else words.opposite(agent.done)
    assert agent.how == 'why' and ask.answer.split()[5] == words.consequence(shown)
  of_why = [ask for ask in said if getattr(how.get(ask.prompt.split()[1]), 'how', '') == 'why']
  assert 0.25 < len(some) / len(of_why) < 0.45  # half of those that are not of the sister


def test_document_n_begins_alike_in_every_kind():
  """They are drawn from the same numbers."""
  first = [corpora.texts(WORLD, f'{kind}_A') for kind in documents.KINDS]
  for said in zip(*first):
    assert len({text.split()[0] for text in said}) == 1


def test_an_answer_is_its_first_word():
  said = 'no since fancy goods are lively .'
  assert not choices.Ask('ask n1 : take plain ? n1 :', said).yes
