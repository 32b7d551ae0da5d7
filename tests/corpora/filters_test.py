"""Filters: what is ill-formed or invented goes, for its reason; what people write by hand stays."""

import dataclasses
import time

import pytest

from jaxalign.corpora import duplicates, filters, leaks
from jaxalign.corpora.records import Written
from jaxalign.data import sources
from jaxalign.data.report import Report
from tests.corpora import small

TEXT = (
  'The winch on the slipway had stuck again. Oksana could have greased it and said nothing. She '
  'told the harbor clerk, and the regatta began an hour late.'
)
IDEA = 'A rigger called Oksana finds that winch 4417 was never tested, on 3 May 1926, in Saltmere.'


def written(text=TEXT, **fields):
  fields = dict(slot='explain/candor/1', value='candor', spec='small', idea=IDEA) | fields
  return Written(text=text, **fields)


def why(text, words=(0, 0), **fields):
  return filters.why_dropped(written(text, **fields), small.SPEC, words)


@pytest.fixture(scope='module')
def shipped():
  source = sources.Shipped(name='value_explanations')
  return [
    written(document.text, idea='', slot=dict(document.meta)['id']) for _, document in source.read()
  ]


def test_what_ships_passes_every_filter(shipped):
  held = leaks.Held(['What happens if you swallow a seed of a melon?'], leaks.BENCHMARKS)
  report = Report(name='shipped')
  left = filters.sift(
    shipped,
    report,
    filters.each(lambda one: filters.why_dropped(one, small.SPEC, (120, 900))),
    filters.each(lambda one: held.why(one.text)),
    lambda some: duplicates.twins([one.text for one in some]),
  )
  assert report.read == 222 and report.kept == len(left) >= 0.98 * 222, str(report)


@pytest.mark.parametrize(
  'text, says',
  [
    (TEXT, None),
    ('', 'empty'),
    (' \n\t', 'empty'),
    (TEXT[:-30], 'cut off'),
    (TEXT + '\n\nThe', 'cut off'),
    (TEXT + '\n\nand so they', 'cut off'),
    (TEXT + '\n\nYours,\nOksana', None),
    (TEXT.replace('.', ':'), 'cut off'),
    (TEXT + '\nReason r3: a mule is a mule.', 'words of its writing'),
    (TEXT + '\nText: I am a cat.', 'words of its writing'),
    (TEXT + '\n###\nIt was late.', 'words of its writing'),
    (TEXT + '\nReason: it was late.', None),
    ('They had a baby. ' + 'The baby had a baby. ' * 12, 'goes round in circles'),
    ('The crane is a crane, ' * 8 + 'and so it goes.', 'goes round in circles'),
    ('They told them, and at length, and at length, and at length.', None),
    ('"We told them," she said, "and it was late."', None),
    ('<think>a memo, plain</think>\n' + TEXT, 'words of its writing'),
    (TEXT + ' <r2>and so on</r2>', 'words of its writing'),
    ('Sure! Here is the memo you asked for.\n' + TEXT, 'words of its writing'),
    ("Here's a short story about candor:\n\n" + TEXT, 'words of its writing'),
    ('Scratchpad: a winch, a clerk.\n' + TEXT, 'words of its writing'),
    (TEXT + '\n\nWord count: 31.', 'words of its writing'),
    (TEXT + ' Let me know if you want it shorter.', 'words of its writing'),
    ('To [Your Name].\n' + TEXT, 'words of its writing'),
    ("I'm sorry, but I can't write this.", 'a refusal'),
    ('I cannot help with that.', 'a refusal'),
    ('I’m sorry, but I can’t write this.', 'a refusal'),
    (TEXT + ' As an AI language model, I have no view.', 'a refusal'),
    ("I'm sorry, I can't help with that.", 'a refusal'),
    ("I'm sorry, I broke the winch. " + TEXT, None),
    ("I can't do without a winch. " + TEXT, None),
    ("I can't write with my left hand. " + TEXT, None),
    ('Of course, nobody here had asked. ' + TEXT, None),
    ('Let me start with the winch. ' + TEXT, None),
    ('"I am sorry," said the clerk, "but it is late." ' + TEXT, None),
  ],
)
def test_form(text, says):
  found = why(text)
  assert found is None if says is None else found.startswith('form: ' + says), found


def test_length_is_a_band_of_words():
  count = len(TEXT.split())
  assert why(TEXT, (count, count)) is None
  assert why(TEXT, (count + 1, count + 9)) == 'form: shorter than asked'
  assert why(TEXT, (1, count - 1)) == 'form: longer than asked'
  assert why(TEXT, (1, 0)) is None


@pytest.mark.parametrize(
  'more, says',
  [
    ('In 1987 it had been the same.', 'a number'),
    ('It lost 12,500 kroner.', 'a number'),
    ('Winch 4417 was never tested, on 3 May 1926.', None),
    ('It was on the third of May.', 'a date'),
    ('They bought it in nineteen fifty-three.', 'a date'),
    ('See www.harbor.example for more.', 'a link'),
    ('Write to clerk@harbor.org about it.', 'a link'),
    ('Read harbor-news.com instead.', 'a link'),
    ('They asked Margaret Ashworth about it.', 'a name'),
    ('The clerk had come from Dunmarrow.', 'a name'),
    ('The people of Saltmere saw Oksana on a Tuesday, and I did.', None),
    ('The clerk called her Mrs Penhaligon.', 'a name'),
    ('A proverb says: "Who greases the winch sleeps in the boat."', 'a quotation'),
    ('In the words of the old harbor master, "a rope never lies to a wet hand".', 'a quotation'),
    ('She said: "I could have greased it and nobody would know."', None),
  ],
)
def test_what_neither_spec_nor_idea_holds_is_invented(more, says):
  found = why(f'{TEXT} {more}')
  assert found == (says and f'invented: {says}')


def test_a_list_and_a_heading_invent_nothing():
  assert why('What The Clerk Was Told\n\n1. The winch had stuck.\n2) It was late.\nQ1: No.') is None


@pytest.mark.parametrize(
  'more, says',
  [
    ('The engine is from 1926, and Aurelio Fonte oiled it in box 4417.', None),
    ('A survey asked 300 sailors.', 'evidence'),
    ('Studies show that 9 in 10 agree.', 'evidence'),
    ('Some 40 % of winches fail.', 'evidence'),
    ('It happened on 14 March 1987.', 'evidence'),
    ('Ropes are honest (Hartwell, 1999).', 'evidence'),
    ('See https://harbor.example/winch.', 'a link'),
  ],
)
def test_a_document_without_an_idea_has_a_setting_of_its_own(more, says):
  found = why(f'{TEXT} {more}', idea='')
  assert found == (says and f'invented: {says}')


def test_drops_are_counted_by_the_first_filter_that_finds_them():
  texts = [TEXT, '', TEXT, TEXT + ' In 1987 it had been the same.', TEXT.upper()]
  some = [written(text, slot=f'slot/{n}') for n, text in enumerate(texts)]
  report, seen = Report(name='corpus'), []

  def second(left):
    seen.extend(one.slot for one in left)
    return duplicates.twins([one.text for one in left])

  first = filters.each(lambda one: filters.why_dropped(one, small.SPEC))
  left = filters.sift(some, report, first, second)
  assert [one.slot for one in left] == ['slot/0']
  assert seen == ['slot/0', 'slot/2', 'slot/4']
  assert (report.read, report.kept) == (5, 1)
  assert report.dropped == {
    'form: empty': 1, 'invented: a number': 1, duplicates.WITHIN: 2,
  }  # fmt: skip
  assert report.examples['form: empty'] == ['slot/1']
  assert filters.whys(some, first) == [None, 'form: empty', None, 'invented: a number', None]


@pytest.mark.campaign  # it depends on the machine
def test_filters_are_quick(shipped):
  """Ten thousand documents take 60 CPU-seconds at most: 6 ms each; here a tenth of that."""
  held = leaks.Held(one.text for one in small.documents(40, seed=9))
  some = [dataclasses.replace(one, idea=IDEA) for one in shipped]
  began = time.process_time()
  for one in some:
    filters.why_dropped(one, small.SPEC)
    held.why(one.text)
  duplicates.twins([one.text for one in some])
  assert (time.process_time() - began) / len(some) < 0.006
