"""Pieces of a text are the text again, and marks that cut words are ill-formed."""

import dataclasses

import pytest

from jaxalign.corpora import pieces
from jaxalign.corpora.records import Span
from tests.corpora import small


def test_pieces_are_the_text_again():
  for one in small.documents(12):
    found = pieces.of(one)
    assert pieces.joined(one, found, 'explain') == one
    assert ''.join(piece.text for piece in found) == one.text
    assert [piece.kind for piece in found if piece.kind] == [span.kind for span in one.spans]


def test_a_control_has_no_verdict_of_its_document():
  one = dataclasses.replace(small.document(0), marks=(('stance', 'for'),))
  assert pieces.joined(one, pieces.of(one), 'bare').marks == ()


@pytest.mark.parametrize('change, holds', [
  ({}, True), (dict(start=1), False), (dict(start=-1), False), (dict(end=-1), False),
])  # fmt: skip
def test_a_mark_that_cuts_a_word_is_ill_formed(change, holds):
  one = small.document(0)
  moved = [
    Span(kind=s.kind, start=s.start + change.get('start', 0), end=s.end + change.get('end', -1))
    if n == 1 and change
    else s
    for n, s in enumerate(one.spans)
  ]
  assert pieces.well_formed(dataclasses.replace(one, spans=tuple(moved))) is holds


@pytest.mark.parametrize(
  'text, other, made',
  [
    ('people learn', 'What one knows', 'People learn'),
    ('People learn', 'what one knows', 'people learn'),
    ('I learn', 'what one knows', 'I learn'),
    ("I'd learn", 'what one knows', "I'd learn"),
    ('NATO learns', 'what one knows', 'NATO learns'),
    ('It learns', 'what one knows', 'it learns'),
    ('people learn', 'I know', 'people learn'),
    ('People learn', '"so it is', 'People learn'),
  ],
)
def test_a_text_begins_as_another(text, other, made):
  assert pieces.begun_as(text, other) == made
