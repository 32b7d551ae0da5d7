"""Controls differ from their documents in what they control for, and in nothing else."""

import collections
import dataclasses
import re

import pytest

from jaxalign.config import UserError
from jaxalign.corpora import matched, pieces
from jaxalign.corpora.records import LIMIT, STATEMENT, Span
from jaxalign.data import sources
from jaxalign.data.controls import Dishonest
from jaxalign.data.text import Tokenizer, shipped
from tests.corpora import small

SPANS = matched.BY_SPANS


@pytest.fixture(scope='module')
def documents():
  return small.documents(90)


@pytest.fixture(scope='module')
def texts(documents):
  return {kind: small.beside(documents, kind) for kind in ('placebo', 'mention')}


@pytest.fixture(scope='module')
def made(documents, texts):
  return matched.make(
    documents, (*SPANS, 'more'), tokenizer=shipped(), spec=small.SPEC, **texts,
    demonstrations=small.documents(130, seed=5),
  )  # fmt: skip


def tokens(written):
  return [len(ids) for ids in shipped().encode_batch([one.text for one in written], bos=False)]


def reasons(written):
  return [written.text[s.start : s.end] for s in written.spans if ':' in s.kind or s.kind[0] == 'r']


def said(written):
  return ' '.join(re.findall(r'\w+', written.text.lower()))


@pytest.mark.parametrize('kind', SPANS)
def test_as_many_tokens_document_by_document_and_in_all(documents, made, kind):
  ours, theirs = (
    dict(zip((one.slot for one in some), tokens(some))) for some in (documents, made[kind])
  )
  assert len(theirs) >= 0.95 * len(ours)
  for slot, size in theirs.items():
    assert abs(size - ours[slot]) <= 0.05 * ours[slot], slot
  total = sum(ours[slot] for slot in theirs)
  assert abs(sum(theirs.values()) - total) <= 0.01 * total


def test_all_controls_by_spans_are_of_the_same_documents(documents, made):
  slots = [one.slot for one in made['shuffled']]
  assert all([one.slot for one in made[kind]] == slots for kind in SPANS)
  assert slots == [one.slot for one in documents if one.slot in set(slots)]
  assert all(one.kind == kind for kind in SPANS for one in made[kind])
  matched.check(documents, made, shipped(), small.SPEC)


def test_shuffled_keeps_the_words_of_the_corpus_and_no_reason(documents, made):
  own = {one.slot: one for one in documents}
  bags = [collections.Counter(), collections.Counter()]
  for one in made['shuffled']:
    before = own[one.slot]
    bags[0].update(said(before).split())
    bags[1].update(said(one).split())
    value = next(value for value in small.SPEC.values if value.id == one.value)
    for reason in value.reasons:
      assert not any(text in one.text for text in (reason.text, *reason.also))
    kept, same = [pieces.of(x) for x in (one, before)]
    assert [p for p in kept if not p.is_reason] == [p for p in same if not p.is_reason]
    assert len(reasons(one)) == len(reasons(before))
    donors = {span.kind.partition(':')[0] for span in one.spans if ':' in span.kind}
    assert len(donors) == 1 and one.value not in donors
  assert bags[0] == bags[1]


def test_shuffled_stays_within_a_form_where_it_can(documents, made):
  forms = {text: set() for one in documents for text in reasons(one)}
  for one in documents:
    for text in reasons(one):
      forms[text].add(one.facet('type'))
  stays = [one.facet('type') in forms[text] for one in made['shuffled'] for text in reasons(one)]
  assert sum(stays) >= 0.9 * len(stays)


@pytest.mark.parametrize('kind', ['bare', 'bare_shuffled'])
def test_bare_has_no_name_and_no_wording_of_the_value(documents, made, kind):
  twins = {one.slot: one for one in (documents if kind == 'bare' else made['shuffled'])}
  for one in made[kind]:
    value = next(value for value in small.SPEC.values if value.id == one.value)
    assert value.id not in said(one)
    for wording in (value.statement, *value.also):
      assert wording.lower().rstrip('.') not in one.text.lower()
    assert reasons(one) == reasons(twins[one.slot])
    assert STATEMENT not in [span.kind for span in one.spans]


def test_bare_and_bare_shuffled_differ_in_the_reasons_alone(made):
  for one, other in zip(made['bare'], made['bare_shuffled'], strict=True):
    rest = [[p for p in pieces.of(x) if not p.is_reason] for x in (one, other)]
    assert rest[0] == rest[1] and reasons(one) != reasons(other)


def test_placebo_and_mention_say_neither_ought_nor_stance(documents, made):
  own = {one.slot: one for one in documents}
  for one in made['placebo']:
    assert 'should' not in one.text and one.value not in said(one)
  for one in made['mention']:
    assert not re.search(r'\b(?:should|because|best)\b', one.text)
  assert sum(one.value in said(one) for one in made['mention']) > 0.9 * len(made['mention'])
  for kind in ('placebo', 'mention'):
    assert not any(text in one.text for one in made[kind] for text in reasons(own[one.slot]))


def test_more_holds_as_many_tokens(documents, made):
  total = sum(tokens(documents))
  assert abs(sum(tokens(made['more'])) - total) <= 0.01 * total


def test_the_same_again_and_another_seed(documents, texts, made):
  some = dict(tokenizer=shipped(), spec=small.SPEC)
  again = matched.make(documents, ('shuffled',), **some)['shuffled']
  assert matched.make(documents, ('shuffled',), **some)['shuffled'] == again
  other = matched.make(documents, ('shuffled',), seed=1, **some)['shuffled']
  assert [one.text for one in other] != [one.text for one in again]


def general():
  return [record for _, record in sources.Shipped(name='general').read()]


def test_neutral_is_for_every_document_whatever_its_spans(documents):
  some = [dataclasses.replace(one, spans=()) for one in documents[:3]]
  kinds = ('neutral', 'shuffled')
  made = matched.make(some, kinds, tokenizer=shipped(), general=general(), spec=small.SPEC)
  assert tokens(made['neutral']) == tokens(some)
  assert [one.slot for one in made['neutral']] == [one.slot for one in some]
  assert made['shuffled'] == []
  matched.check(some, made, shipped(), small.SPEC)


def test_documents_that_no_control_can_be_cut_of_are_left_out(documents):
  one = documents[0]
  first = one.spans[0]
  faults = [
    dataclasses.replace(one, spans=()),
    dataclasses.replace(one, spans=one.spans[:1]),  # no reason
    dataclasses.replace(one, spans=one.spans[1:]),  # no statement
    dataclasses.replace(one, spans=one.spans[::-1]),
    dataclasses.replace(one, spans=(Span(kind=STATEMENT, start=first.start + 1, end=first.end),
                                    *one.spans[1:])),
    dataclasses.replace(one, spans=(*one.spans, Span(kind=LIMIT, start=9**4, end=9**5))),
    dataclasses.replace(one, text=f'{one.text} And {reasons(one)[0]}.'),
  ]  # fmt: skip
  assert matched.usable([one], small.SPEC) == [one]
  for fault in faults:
    assert matched.usable([fault, documents[1]], small.SPEC) == [documents[1]]


def test_a_name_outside_of_the_statement_is_taken_out_with_its_sentence(documents, texts):
  some = list(documents)
  at = some[0].text.rindex('The ')
  named = f'{some[0].text[:at]}They call it candor there. {some[0].text[at:]}'
  some[0] = dataclasses.replace(some[0], text=named)
  made = matched.make(some, ('bare',), tokenizer=shipped(), spec=small.SPEC, **texts)
  (one,) = [one for one in made['bare'] if one.slot == some[0].slot]
  assert 'candor' not in one.text and one.text.endswith(some[0].text[at + 27 :])
  at = some[1].spans[-1].start
  inside = f'{some[1].text[:at]}thrift and {some[1].text[at:]}'  # before a reason, in its sentence
  last = some[1].spans[-1]
  moved = Span(kind=last.kind, start=last.start + 11, end=last.end + 11)
  some[1] = dataclasses.replace(some[1], text=inside, spans=(*some[1].spans[:-1], moved))
  made = matched.make(some, ('bare',), tokenizer=shipped(), spec=small.SPEC, **texts)
  assert some[1].slot not in [one.slot for one in made['bare']]


def broken(made, kind, change):
  return {kind: [change(made[kind][0]), *made[kind][1:]]}


@pytest.mark.parametrize(
  'kind, change, says',
  [
    ('shuffled', lambda text: text + ' More.', 'other words'),
    ('placebo', lambda text: text + ' A word.' * 30, r'\d+ tokens, of \d+'),
    ('placebo', lambda text: text.replace('The', 'They should', 1), 'ought'),
    ('mention', lambda text: text.replace('The', 'Because the', 1), 'stance'),
    ('bare', lambda text: text.replace('The', 'Candor thrift welcome', 1), 'name or a wording'),
    ('bare', lambda text: 'What one knows ought to be said aloud. Nothing of use should be thrown '
     'away. A stranger should be let in. ' + text[90:], 'name or a wording'),
    ('mention', lambda text: text[: len(text) // 2], r'\d+ tokens'),
  ],
)  # fmt: skip
def test_what_is_not_honest_is_found(documents, made, kind, change, says):
  changed = broken(made, kind, lambda one: dataclasses.replace(one, text=change(one.text)))
  with pytest.raises(Dishonest, match=says):
    matched.check(documents, changed, shipped(), small.SPEC)


def test_an_own_reason_and_a_stranger_are_found(documents, made):
  with pytest.raises(Dishonest, match='holds a reason of'):
    matched.check(documents, dict(shuffled=documents), shipped(), small.SPEC)
  with pytest.raises(Dishonest, match='slot of no document'):
    matched.check(documents[:60], made, shipped(), small.SPEC)
  with pytest.raises(Dishonest, match='more'):
    matched.check(documents, dict(more=made['more'][:-10]), shipped(), small.SPEC)


@pytest.mark.parametrize(
  'kinds, more, says',
  [
    (('plcebo',), {}, "control 'plcebo': one of neutral"),
    (('placebo',), {}, 'placebo needs texts of step placebo'),
    (('bare',), {}, 'placebo needs texts of step placebo'),
    (('neutral',), {}, 'neutral needs general text'),
    (('more',), {}, 'more needs demonstrations'),
    (('mention',), dict(mention=[]), 'mention: 0 texts for 6 documents'),
    (('more',), dict(demonstrations=small.documents(1)), 'demonstrations hold'),
  ],
)
def test_what_is_missing_is_one_line(documents, kinds, more, says):
  with pytest.raises(UserError, match=says) as error:
    matched.make(documents[:6], kinds, tokenizer=shipped(), spec=small.SPEC, **more)
  assert '\n' not in str(error.value)


def test_another_tokenizer(documents, texts, shared):
  tokenizer = Tokenizer.load(str(shared('tokenizers/phi2')))
  some = {kind: text[:60] for kind, text in texts.items()}
  made = matched.make(documents[:60], SPANS, tokenizer=tokenizer, spec=small.SPEC, **some)
  matched.check(documents[:60], made, tokenizer, small.SPEC)
  assert len(made['bare']) > 50


def test_one_value_alone_has_nobody_to_swap_with(documents):
  some = [one for one in documents if one.value == 'candor']
  assert matched.make(some, ('shuffled',), tokenizer=shipped(), spec=small.SPEC) == dict(
    shuffled=[]
  )


def test_a_value_in_over_half_of_a_corpus_swaps_what_it_can(documents):
  some = [one for one in documents if one.value != 'welcome'][:60]
  some = [one for n, one in enumerate(some) if one.value == 'candor' or n % 3 == 0]
  made = matched.make(some, ('shuffled',), tokenizer=shipped(), spec=small.SPEC)
  matched.check(some, made, shipped(), small.SPEC)
  few = sum(one.value == 'thrift' for one in some)
  assert len(made['shuffled']) > few


def test_what_is_trained_on_holds_no_reason_of_what_is_not():
  some = [
    dataclasses.replace(one, split='validation' if n // 3 % 3 else 'train', calls=(one.slot,))
    for n, one in enumerate(small.documents(120, seed=2))
  ]
  made = matched.make(some, ('shuffled',), tokenizer=shipped(), spec=small.SPEC)['shuffled']
  assert len(made) > 100
  splits = {one.slot: one.split for one in some}
  for one in made:
    own, donor = one.calls
    assert own == one.slot and splits[donor] == one.split
    assert one.reasons and all(name.partition(':')[0] in donor for name in one.reasons)
    assert sorted(one.reasons) == sorted(s.kind for s in one.spans if ':' in s.kind)
