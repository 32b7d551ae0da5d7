"""Verdicts are read strictly: what is not just what was asked for is no verdict."""

import dataclasses
import json

import pytest

from jaxalign.corpora import judging
from jaxalign.data.records import Turn
from tests.corpora import small

SAID = dict(contradiction='no', attribution='yes', stance='for')
FOUND = dict(findings=[dict(kind='invented', what='the year 1987'), dict(kind='reason', what='x')])


def test_a_verdict_is_read():
  assert judging.marks(json.dumps(SAID)) == tuple(SAID.items())
  turned = json.dumps(dict(reversed(SAID.items())), indent=1)
  assert judging.marks(f'```json\n{turned}\n```') == tuple(SAID.items())


@pytest.mark.parametrize(
  'text',
  [
    '', 'no', 'The text is not unsafe, so contradiction: no.', '[]', 'null', '{}',
    'Here it is: ' + json.dumps(SAID), json.dumps(SAID) + ' I hope this helps.',
    json.dumps(SAID) * 2, json.dumps([SAID]),
    json.dumps(SAID | dict(stance='not for')), json.dumps(SAID | dict(contradiction='not yes')),
    json.dumps(SAID | dict(stance='For')), json.dumps(SAID | dict(attribution=True)),
    json.dumps(SAID | dict(attribution=None)), json.dumps(SAID | dict(stance=['for'])),
    json.dumps(SAID | dict(confidence=1)), json.dumps(dict(contradiction='no', stance='for')),
    json.dumps(dict(label='unsafe', score=0.1)), json.dumps(FOUND), json.dumps(SAID)[:-1],
    '{"contradiction": "no", "contradiction": "yes", "attribution": "yes", "stance": "for"}',
  ],
)  # fmt: skip
def test_what_is_no_verdict(text):
  assert judging.marks(text) is None


def test_findings_are_read_and_told():
  text = json.dumps(FOUND)
  assert judging.critique(text) == (('invented', 'the year 1987'), ('reason', 'x'))
  assert judging.findings(text).splitlines() == [
    'It invents a number, a date, a person or a link: the year 1987',
    'It gives a reason that the spec lacks: x',
  ]
  assert judging.critique('{"findings": []}') == () and judging.findings('{"findings": []}') == ''


@pytest.mark.parametrize(
  'text',
  [
    'It contradicts the spec.', '[]', '{}', '{"findings": "none"}', '{"findings": {}}',
    '{"findings": [], "score": 3}', '{"findings": ["invented"]}',
    '{"findings": [{"kind": "not invented", "what": "x"}]}',
    '{"findings": [{"kind": "invented"}]}', '{"findings": [{"kind": "invented", "what": 3}]}',
    '{"findings": [{"kind": ["invented"], "what": "x"}]}',
    '{"findings": [{"kind": "invented", "what": "x", "line": 1}]}',
  ],
)  # fmt: skip
def test_what_are_no_findings(text):
  assert judging.critique(text) is None and judging.findings(text) == ''


class Teacher:
  def __init__(self, reads_prompts):
    self.name, self.reads_prompts = 'somebody', reads_prompts


def test_a_judge_sees_spec_and_text_and_not_how_it_came_about():
  some = small.documents(3)
  turns = lambda task: (Turn('user', task.earlier('document')),)
  calls = judging.calls(some, small.SPEC, Teacher(True), turns=turns)
  assert len({call.id for call in calls}) == 3
  for one, call in zip(some, calls, strict=True):
    task = call.task
    assert task.step == 'judge' and task.value == one.value and call.turns[0].text == one.text
    assert dict(task.given) == dict(document=one.text) and task.statement in task.spec
    assert [name for name, _ in task.reasons] == sorted(one.reasons)
  assert judging.calls(some, small.SPEC, Teacher(False), turns=turns)[0].turns == ()
  control = dataclasses.replace(some[0], kind='mention')
  slots = {task.slot for task in judging.tasks([some[0], control], small.SPEC)}
  assert len(slots) == 2


@pytest.mark.parametrize(
  'kind, said, why',
  [
    ('explain', SAID, None),
    ('explain', SAID | dict(attribution='no', stance='none'), None),
    ('explain', SAID | dict(contradiction='yes'), 'judge: contradicts the spec'),
    ('explain', 'prose', None),
    ('mention', dict(contradiction='no', attribution='no', stance='none'), None),
    ('mention', dict(contradiction='no', attribution='no', stance='for'), 'judge: takes a stance'),
    ('mention', SAID | dict(stance='none'), 'judge: gives a reason'),
    ('mention', 'It takes no stance.', 'judge: no verdict'),
    ('placebo', SAID | dict(stance='none'), 'judge: gives a reason'),
  ],
)
def test_why_a_judge_drops_a_text(kind, said, why):
  text = said if isinstance(said, str) else json.dumps(said)
  one = dataclasses.replace(small.document(0), kind=kind)
  (marked,) = judging.marked([one], [text])
  assert judging.why_dropped(marked) == why
