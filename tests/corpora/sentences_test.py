"""Sentences: every frame can be filled in every place, and articles and plurals are right."""

import re

import pytest

from jaxalign.corpora import ideas, sentences
from jaxalign.corpora.sentences import Sentences, article, frames, lot, places, plural

SPANS = dict(S='people decide for themselves', R='it is their life', L='others are asked')


def of_idea(domain, seed=0, **how):
  text = ideas.written(lot('idea', domain, seed), domain)
  return Sentences(lot('text', domain, seed), domain, ideas.fixed_in(text, domain) | HEADS, **how)


HEADS = dict(W='order', V='custom')


def test_there_are_as_many_frames_kinds_and_words_as_diversity_needs():
  assert len(frames()) >= 20 and sum(map(len, frames().values())) >= 240
  assert len(places()) == 12
  for lists in places().values():
    words = [word for words in lists.values() for word in words]
    assert len(set(words)) >= 60
    assert all(len(set(words)) == len(words) for words in lists.values())
    assert lists.keys() == places()['boatyard'].keys()


@pytest.mark.parametrize('domain', places())
def test_every_frame_is_filled_in_every_place(domain):
  says = of_idea(domain)
  for kind, some in frames().items():
    for text in [says.of(kind, **SPANS) for _ in some]:
      assert not re.search(r'[{}|()/]|  | [.,;:?]|\.\.|_', text), text
      assert not re.search(
        r'\ba [aeiou](?!ni)|\ban [bcdfgjklmnpqrstvwxz]|\b(the|an?) (the|an?)\b', text
      )
      assert re.search(r'[.?]\Z', text) and text[0].isupper(), text
      assert not re.search(r'(?<=[.?] )[a-z]', text), text


def test_no_sentence_that_takes_no_side_says_what_ought_to_be():
  from jaxalign.corpora.wordings import STANCES

  neutral = [*sentences.data('neutral'), *sentences.data('openings'), 'mention', 'said']
  for domain in places():
    says = of_idea(domain)
    for kind in neutral:
      for text in [says.of(kind) for _ in frames()[kind]]:
        assert not STANCES.within(text), text


def test_frames_hold_no_digit_and_no_word_that_is_written_large():
  for kind, text in (sentences.data('neutral') | sentences.data('openings')).items():
    for line in text.strip().split('\n'):
      inside = re.sub(r'\{\w+\}', 'x', line)
      assert not re.search(r'\d|(?<=[a-z,;] )[A-HJ-Z]', inside), f'{kind}: {line}'


def test_articles_and_plurals():
  given = ('oar', 'hour hand', 'unit', 'winch', 'uneven dye', 'umbrella')
  assert [article(one).split()[0] for one in given] == ['an', 'an', 'a', 'a', 'an', 'an']
  given = ('winch', 'knife/knives', 'night watchman', 'galley', 'body', 'compass box', 'jar')
  found = 'winches knives night_watchmen galleys bodies compass_boxes jars'
  assert [plural(one).replace(' ', '_') for one in given] == found.split()


def test_no_word_comes_twice_before_its_list_is_used_up():
  deck = sentences.Deck(lot('deck'), 'abcdef')
  first, second = ([deck.draw() for _ in range(6)] for _ in range(2))
  assert sorted(first) == sorted(second) == list('abcdef') and first != second


def test_what_else_happens_is_not_what_the_idea_tells():
  text = ideas.written(lot(1), 'bakery')
  fixed = ideas.fixed_in(text, 'bakery')
  says = Sentences(lot(2), 'bakery', fixed)
  told = [says.of('trouble') for _ in range(60)]
  event = fixed['event']
  assert not any(re.search(rf'days? \w+ the {event}.*{event}', one) for one in told)
  assert says._own['event'] == [one for one in places()['bakery']['event'] if one != event]


def test_a_register_that_is_short_contracts_and_another_does_not():
  frames_ = [of_idea('museum', seed, short=True).of('cost') for seed in range(60)]
  assert any("don't" in text or "didn't" in text for text in frames_)
  assert not any("n't" in of_idea('museum', seed).of('cost') for seed in range(60))


def test_a_slot_without_words_is_named():
  with pytest.raises(KeyError, match='nothing_at_all'):
    of_idea('museum')._slot('nothing_at_all')
