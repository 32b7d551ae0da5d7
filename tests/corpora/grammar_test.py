"""Grammar: the figures that a corpus of it must come to, and the same words on every machine."""

import dataclasses
import hashlib
import json
import re

import numpy as np
import pytest

from jaxalign.corpora import answers, measures, prompts, shingles
from jaxalign.corpora.grammar import Grammar
from jaxalign.corpora.records import Answer, Call, Failure, Task
from jaxalign.corpora.spec import Reason, Spec, Value
from tests.corpora.written_by_grammar import SCHWARTZ, asked, documents, made, said

GRAMMAR = Grammar(SCHWARTZ)


def neighbors(texts):
  """The largest Jaccard index of each text with any other, by runs of five words, exactly."""
  sets = [np.unique(shingles.runs(shingles.words(text), 5)) for text in texts]
  owners = {}
  for n, runs in enumerate(sets):
    for run in runs.tolist():
      owners.setdefault(run, []).append(n)
  best = np.zeros(len(sets))
  for n, runs in enumerate(sets):
    shared = np.bincount([m for run in runs.tolist() for m in owners[run]], minlength=len(sets))
    shared[n] = 0
    sizes = np.array([len(other) for other in sets])
    best[n] = (shared / (len(runs) + sizes - shared)).max()
  return best


@pytest.mark.parametrize('count, distinct_3', [(222, 0.45), (1000, 0.35)])
def test_a_corpus_is_as_diverse_as_it_has_to_be(count, distinct_3):
  found = documents(count)
  measured = measures.of(found, SCHWARTZ)
  gates = dataclasses.replace(measures.of_grammar(), distinct_3=distinct_3)
  assert measures.failing(measured, gates) == []
  assert measured.documents == count and measured.unmarked == 0
  assert measured.opening_share <= 0.02
  assert measured.attribution == 1 and measured.wordings == 1
  near = neighbors([one.text for one in found])
  assert near.max() < 0.5 and (near > 0.2).mean() <= 0.01


def test_a_document_has_what_its_task_asks_for():
  made_, tasks = made(100)
  by_slot = {task.slot: task for task in tasks}
  for one in made_.documents:
    task = by_slot[one.slot]
    kinds = ['statement', *one.reasons, *['limit'] * bool(task.limit)]
    assert sorted(span.kind for span in one.spans) == sorted(kinds)
    held = {span.kind: one.text[span.start : span.end] for span in one.spans}
    for kind, text in [('statement', task.statement), ('limit', task.limit), *task.reasons]:
      if text:
        assert held[kind].lower() == text.rstrip('.').lower()
    assert task.words[0] <= len(one.text.split()) <= task.words[1]
    names = re.findall(r'(?<=[a-z,;] )[A-Z][a-z]+', one.text)
    assert {name for name in names if name not in task.earlier('idea')} <= {'I'}, one.text


@pytest.mark.parametrize('type', ['memo', 'story', 'case_study', 'question_answer', 'dialogue'])
def test_each_form_is_of_its_form(type):
  given = (('idea', json.loads(said(GRAMMAR, 'ideas'))[0]),)
  for n in range(20):
    text = said(GRAMMAR, 'document', slot=f'{n}', facets=(('type', type),), given=given, **OWN)
    lines = text.split('\n')
    assert (text[:3] == 'Q: ' and '\n\nA: ' in text) == (type == 'question_answer')
    spoken = [line for line in lines if re.match(r"[A-Z][\w' -]+: ", line)]
    assert (len(spoken) == len(lines) > 4) == (type == 'dialogue')
    if type == 'dialogue':
      assert len({line.split(':')[0] for line in lines}) == 2


OWN = dict(
  value='fairness',
  statement='Claude should ask whoever is absent, too.',
  reasons=(
    ('why-1', 'Because nobody can answer for someone else.'),
    ('w2', 'NATO agrees. It did.'),
  ),
  limit='when there is no time, whoever is there decides.',
)


def test_it_writes_for_values_that_it_has_never_seen():
  reasons = tuple(Reason(id=name, text=text) for name, text in OWN['reasons'])
  value = Value(id='fairness', level='principle', statement=OWN['statement'], source='me',
                licence='none', reasons=reasons, limits=(OWN['limit'],))  # fmt: skip
  told = 'People say that Claude should ask.'
  grammar = Grammar(
    Spec(name='mine', values=(value, dataclasses.replace(value, id='b', statement=told)), sha='')
  )
  for n in range(30):
    text, spans = answers.spans_of(said(grammar, 'document', slot=f'{n}', **OWN))
    held = {span.kind: text[span.start : span.end] for span in spans}
    assert held == {
      'statement': 'Claude should ask whoever is absent, too',  # a name of the spec stays large
      'why-1': 'nobody can answer for someone else',
      'w2': 'NATO agrees. It did',
      'limit': 'when there is no time, whoever is there decides',
    }


def test_a_document_without_reasons_gives_none_and_one_without_a_value_states_none():
  for n in range(20):
    text = said(GRAMMAR, 'document', slot=f'{n}', statement='Let it be.', words=(90, 140))
    assert '<statement>let it be</statement>' in text and text.count('<') == 2
    assert '<' not in said(GRAMMAR, 'document', slot=f'{n}', words=(90, 140))


def test_controls_are_as_long_as_their_document_and_about_the_same():
  made_, _ = made(100)
  named = 0
  for one in made_.documents:
    given = (('idea', one.idea), ('document', one.text), ('tokens', '250'))
    fields = dict(value=one.value, statement=SCHWARTZ.value(one.value).statement, given=given)
    for step in ('placebo', 'mention'):
      text = said(GRAMMAR, step, slot=f'{step}/{one.slot}', facets=one.facets, **fields)
      size, own = len(text.split()), len(one.text.split())
      assert abs(size - own) <= 0.05 * own, (size, own)
      people = re.findall(r'[A-Z]\w+ [A-Z]\w+(?=, an? )', one.idea)
      named += any(name.split()[0] in text for name in people)
  assert named > 190


def test_the_same_task_gets_the_same_words_on_every_machine_and_python():
  grammar = Grammar(SCHWARTZ, seed=3, faults=0.3, held=('Is this a question of an evaluation?',))
  steps = 'ideas document placebo mention query reasoned opaque deliberation argument'.split()
  fields = dict(OWN, given=(('idea', 'Petra Arno, a baker, at the bakery in Torvik.'),))
  said_ = [said(grammar, step, slot=f'{n}', **fields) for step in steps for n in range(9)]
  digest = hashlib.sha256('\0'.join(said_).encode()).hexdigest()[:16]
  assert digest == GOLDEN  # changes with any frame: then write the new one


GOLDEN = '1e21b6a3d39eb80a'


def test_seed_slot_and_attempt_give_other_words_and_order_of_calls_does_not():
  task = dict(value='power', statement='Let it be.')
  texts = {
    said(Grammar(SCHWARTZ, seed=seed), 'document', slot=slot, attempt=attempt, **task)
    for seed in (0, 1) for slot in 'ab' for attempt in (0, 1)
  }  # fmt: skip
  assert len(texts) == 8
  tasks = [Task(step='document', slot=f'{n}', **task) for n in range(6)]
  backwards = asked(Grammar(SCHWARTZ), tasks[::-1])[::-1]
  assert [a.text for a in asked(Grammar(SCHWARTZ), tasks)] == [a.text for a in backwards]


def test_lists_hold_as_many_as_are_asked_for_and_no_two_alike():
  for step, count in (
    ('domains', 12),
    ('subdomains', 5),
    ('types', 7),
    ('ideas', 40),
    ('query', 30),
  ):
    found = answers.listed(said(GRAMMAR, step, count=count, given=(('domain', 'bakery'),)))
    assert len(set(found)) == count, step
  seen = answers.listed(said(GRAMMAR, 'domains', count=7))
  more = answers.listed(said(GRAMMAR, 'domains', count=5, given=(('seen', '\n'.join(seen)),)))
  assert not set(seen) & set(more) and len(more) == 5
  ideas = answers.listed(said(GRAMMAR, 'ideas', count=9, given=(('domain', 'bakery'),)))
  assert all('bakery' in idea for idea in ideas)


def test_every_step_that_has_a_prompt_is_answered():
  fields = dict(OWN, given=(('draft', 'Go.'), ('first', 'a'), ('second', 'b')))
  for step in [*prompts.steps(), 'types', 'judge']:
    assert said(GRAMMAR, step, **fields).strip(), step


def test_a_step_that_is_not_known_is_a_failure_and_costs_nothing():
  call = Call(task=Task(step='song', slot='a'), teacher='')
  (found,) = GRAMMAR.answers([call])
  assert isinstance(found, Failure) and 'song' in found.why and found.cost == 0
  call = Call(task=Task(step='document', slot='a'), teacher='')
  (found,) = GRAMMAR.answers([call])
  assert isinstance(found, Answer) and found.cost == GRAMMAR.price(call) == 0


def test_its_name_says_all_that_decides_what_it_says():
  names = {Grammar(SCHWARTZ, seed, faults).name for seed in (0, 1) for faults in (0, 0.05)}
  names |= {Grammar(SCHWARTZ, faults=0.05, held=(' '.join('abcdefghij'),)).name}
  assert len(names) == 5 and not GRAMMAR.reads_prompts
