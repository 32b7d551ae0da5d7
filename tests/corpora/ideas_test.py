"""Ideas: what a document knows of its idea is what the idea's text says."""

import re

from jaxalign.corpora import ideas
from jaxalign.corpora.sentences import lot, places


def test_an_idea_is_read_again_from_its_text():
  for seed in range(200):
    domain = list(places())[seed % 12]
    text = ideas.written(lot(seed), domain)
    assert ideas.domain_of(text) == domain, text
    fixed = ideas.fixed_in(text, domain)
    for name in ('A_full', 'B_full', 'A_role', 'B_role', 'object', 'trouble', 'event', 'town'):
      assert fixed[name] in text, (name, fixed[name], text)
    assert fixed['A_full'] != fixed['B_full'] and fixed['A'] != fixed['B']
    assert f'{fixed["A_full"]}, {"an" if fixed["A_role"][0] in "aeiou" else "a"} ' in text
    assert (fixed['A_she'], fixed['A_her']) in (('she', 'her'), ('he', 'his'))


def test_ideas_differ():
  found = [ideas.written(lot(seed), 'orchard') for seed in range(300)]
  assert len(set(found)) == 300


def test_who_has_no_name_in_a_strange_idea_is_called_by_what_they_do():
  text = 'A nurse and Dr Smith argue about visiting hours.'
  fixed = ideas.fixed_in(text, ideas.domain_of(text))
  for letter in 'AB':
    assert re.fullmatch(r'the [a-z ]+', fixed[f'{letter}_full']), fixed
    assert fixed[letter] == fixed[f'{letter}_full']
  assert fixed['A'] != fixed['B']
  assert fixed == ideas.fixed_in(text, ideas.domain_of(text))


def test_two_of_one_first_name_keep_their_family_names():
  text = 'Petra Arno, a baker, and Petra Osei, a stoker, at the bakery.'
  fixed = ideas.fixed_in(text, 'bakery')
  assert (fixed['A'], fixed['B']) == ('Petra Arno', 'Petra Osei')


def test_a_text_that_names_no_place_tells_its_domain_by_its_words():
  assert ideas.domain_of('The winch and the rudder lay by the slip hall, tarred.') == 'boatyard'
  assert ideas.domain_of('', 'work in a Tram Depot') == 'tram_depot'
  assert ideas.domain_of('of nothing') == ideas.domain_of('of nothing')
