"""Measures: known figures of small corpora, and a line for every gate that is not passed."""

import dataclasses
import json
import math

import pytest

from jaxalign.config import UserError
from jaxalign.corpora import answers, measures
from jaxalign.corpora.measures import Gates
from jaxalign.corpora.records import Written
from jaxalign.corpora.spec import Reason, Spec, Value
from tests.corpora import small

OPEN = Gates(distinct_3=0, opening=1, type_entropy=0, register_entropy=0, reason_documents=0,
             reason_types=0, limits=0, attribution=0)  # fmt: skip


def value(**fields):
  reasons = (
    Reason(id='r1', text='Because it lasts.', also=('it keeps',)),
    Reason(id='r2', text='it warms'),
  )
  given = dict(id='thrift', level='basic', statement='Waste nothing.', source='x', licence='y')
  return Value(**given | dict(reasons=reasons, limits=('Give freely.',)) | fields)


SPEC = Spec(name='s', values=(value(),), sha='')


def written(marked, n=0, of='thrift', type='memo', register='plain', reasons=()):
  text, spans = answers.spans_of(marked)
  facets = (('type', type), ('register', register))
  return Written(
    slot=f'{n}', text=text, value=of, spec='s', spans=spans, facets=facets, reasons=reasons
  )


def test_distinct_runs_of_words():
  words = ['a b c d'.split(), 'a b c e'.split(), ['a']]
  assert measures.distinct(words, 1) == 5 / 9
  assert measures.distinct(words, 3) == 3 / 4
  assert measures.distinct([['a']], 3) == 1


def test_more_documents_of_one_kind_are_no_less_diverse_by_the_thousand():
  block = [written(f'The {n} stone fell on the {n} roof.', n) for n in range(1000)]
  one, three = (measures.of(block * times, SPEC) for times in (1, 3))
  assert one.distinct_3_of_1000 == one.distinct_3
  assert three.distinct_3_of_1000 == pytest.approx(one.distinct_3)
  assert three.distinct_3 == pytest.approx(one.distinct_3 / 3)
  rest = measures.of(block + block[:500], SPEC)  # half a thousand is left out
  assert rest.distinct_3_of_1000 == pytest.approx(one.distinct_3)
  assert rest.distinct_3 < one.distinct_3


def test_entropy_is_of_its_maximum():
  assert measures.entropy('abab') == 1 and measures.entropy('aaa') == 1
  skewed = -(0.75 * math.log(0.75) + 0.25 * math.log(0.25)) / math.log(2)
  assert measures.entropy('aaab') == pytest.approx(skewed)


def test_a_corpus_is_counted_by_its_spans():
  texts = [
    written('We say: <statement>waste nothing</statement>, because <r1>it keeps</r1>.'),
    written('We say: <statement>Waste nothing.</statement> And <r1>it lasts</r1>.', type='story'),
    written('But <limit>give freely</limit>: <statement>mend it</statement>, as <r2>it warms</r2>'),
  ]
  found = measures.of(texts, SPEC)
  assert (found.documents, found.unmarked) == (3, 0)
  assert (found.reason_documents, found.scarcest, found.reason_types) == (1, 'thrift/r2', 1)
  assert found.wordings == 1 and found.limits == 1
  assert found.attribution == pytest.approx(2 / 3)
  assert (found.opening, found.opening_documents) == ('we say waste nothing', 2)
  assert (found.shortest, found.words) == (7, 22)
  assert json.loads(json.dumps(dataclasses.asdict(found)))['median'] == found.median


def test_without_marks_what_was_asked_for_counts_and_nothing_is_attributed():
  found = measures.of([written('Waste nothing, it lasts.', reasons=('r1', 'r2'))], SPEC)
  assert (found.unmarked, found.reason_documents, found.attribution) == (1, 1, None)
  assert found.wordings is None and found.limits is None
  assert measures.failing(found, OPEN) == []


def test_a_spec_without_reasons_asks_for_none():
  bare = Spec(name='s', values=(value(reasons=(), limits=()),), sha='')
  found = measures.of([written('<statement>Waste nothing</statement>.')], bare)
  assert (found.reason_documents, found.reason_types, found.attribution) == (None, None, None)
  assert measures.failing(found, dataclasses.replace(OPEN, reason_documents=5)) == []


def test_no_documents_have_no_measures():
  with pytest.raises(UserError, match='no text passed'):
    measures.of([], SPEC)


@pytest.mark.parametrize(
  'gate, says',
  [
    (dict(distinct_3=0.9999), 'distinct-3 of 1,000'),
    (dict(opening=0.01), 'commonest opening'),
    (dict(type_entropy=0.9999), 'entropy of types'),
    (dict(register_entropy=0.9999), 'entropy of registers'),
    (dict(reason_documents=99), 'documents on'),
    (dict(reason_types=4), 'types in which'),
    (dict(wordings=0.9999), 'wordings'),
    (dict(limits=3), 'each limit'),
    (dict(attribution=0.9999), 'a reason for the choice'),
  ],
)
def test_each_gate_has_its_line_and_no_other(gate, says):
  texts = [
    written('We say: <statement>waste nothing</statement>, because <r1>it lasts</r1>. So we do.'),
    written('We say: <statement>waste nothing</statement>, and <r2>it warms</r2>. So we do it.'),
    written('We say: <limit>give freely</limit>. So we do.', type='story', register='dry'),
  ]
  found = measures.of(texts, SPEC)
  assert measures.failing(found, OPEN) == []
  (line,) = measures.failing(found, dataclasses.replace(OPEN, **gate))
  assert says in line and '\n' not in line


def test_one_text_of_a_kind_is_no_common_opening():
  found = measures.of([written('One alone it is.'), written('Two stand here now.')], SPEC)
  assert measures.failing(found, dataclasses.replace(OPEN, opening=0.02)) == []


def test_another_corpus_by_rule_is_of_one_mould():
  found = measures.of(small.documents(60), small.SPEC)
  assert found.distinct_3 < 0.6 and any(
    'distinct-3' in line for line in measures.failing(found, Gates())
  )
