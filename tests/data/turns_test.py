"""Dialogues: HH-RLHF's transcripts against a character loop, and the rules all of them keep."""

import collections
import random

import pytest

from jaxalign.data import turns
from jaxalign.data.records import Conversation, Pair, Prompt, Turn
from jaxalign.data.report import Fault, MissingColumn, Unwanted
from tests.data.written import A, S, U


def spoken(transcript):
  """The oracle: no regular expression, one marker after another by find."""
  found, at = [], 0
  while at < len(transcript):
    name = next(n for n in ('Human', 'Assistant') if transcript.startswith(f'\n\n{n}:', at))
    begin = at + len(f'\n\n{name}:')
    ends = [transcript.find(f'\n\n{n}:', begin) for n in ('Human', 'Assistant')]
    at = min((end for end in ends if end >= 0), default=len(transcript))
    found.append(Turn('user' if name == 'Human' else 'assistant', transcript[begin:at].strip()))
  return found


def test_transcripts_as_the_loop_reads_them():
  rng = random.Random(0)
  bits = [
    '\n\nHuman:',
    '\n\nAssistant:',
    'Human:',
    'Assistant: no',
    ' ',
    '\n',
    '\n\n',
    'é\u2028',
    'x',
  ]
  for _ in range(2000):
    text = '\n\nHuman:' + ''.join(rng.choice(bits) for _ in range(rng.randrange(12)))
    assert turns.from_transcript(text, 'chosen') == spoken(text), repr(text)


@pytest.mark.parametrize(
  'text, expected',
  [
    ('\n\nHuman: a\n\nAssistant: b', [U('a'), A('b')]),
    ('Human: a\n\nAssistant: b', [U('a'), A('b')]),  # as some copies are stripped
    ('\n\nHuman:   a  \n\nAssistant: \n', [U('a'), A('')]),
    ('\n\nHuman: Human: x\nAssistant: y\n\nAssistant: b', [U('Human: x\nAssistant: y'), A('b')]),
    ('\n\nHuman: a\n\nHumans: b\n\nAssistant: c', [U('a\n\nHumans: b'), A('c')]),
    ('\n\nHuman: a\n\nAssistant: b\n\n  1. x\n\nAssistant: c', [U('a'), A('b\n\n  1. x'), A('c')]),
  ],
)
def test_transcripts(text, expected):
  assert turns.from_transcript(text, 'chosen') == expected


@pytest.mark.parametrize(
  'text, reason',
  [
    ('Hello', 'chosen does not begin with Human:'),
    ('Hi\n\nHuman: a\n\nAssistant: b', 'chosen does not begin with Human:'),
    ('  ', 'chosen is empty'),
    (7, 'chosen is not text'),
    (b'\n\nHuman: \xff', 'invalid UTF-8'),
    ('\n\nHuman: \ud83d', 'chosen holds half a surrogate pair'),
  ],
)
def test_bad_transcripts(text, reason):
  with pytest.raises(Fault, match=reason):
    turns.from_transcript(text, 'chosen')


def test_messages_of_every_spelling():
  wanted = [S('s'), U('a'), A('b')]
  plain = [dict(role=turn.role, content=turn.text) for turn in wanted]
  assert turns.from_messages(plain, 'role', 'content', 'm') == wanted
  names = 'system', 'human', 'gpt'
  shared = [{'from': name, 'value': turn.text} for name, turn in zip(names, wanted)]
  assert turns.from_messages(shared, 'from', 'value', 'm') == wanted
  columns = dict(role=[b'system', b'user', b'assistant'], content=[b's', b'a', b'b'])
  assert turns.from_messages(columns, 'role', 'content', 'm') == wanted


@pytest.mark.parametrize(
  'messages, reason',
  [
    ('text', 'm is not a list of messages'),
    (None, 'm is not a list of messages'),
    (['text'], 'a message is not an object'),
    ([dict(role='tool', content='x')], "role 'tool' is none of"),
    ([dict(role=['x'], content='x')], 'a role is not text'),
    ([dict(role='user', content='  ')], 'a turn is empty'),
    ([dict(role='user', content=None)], 'a turn is not text'),
  ],
)
def test_bad_messages(messages, reason):
  with pytest.raises(Fault, match=reason):
    turns.from_messages(messages, 'role', 'content', 'm')


def test_a_message_without_its_content_names_what_it_has():
  with pytest.raises(MissingColumn) as caught:
    turns.from_messages([dict(role='user', value='x')], 'role', 'content', 'm')
  assert 'no column content; columns there: role, value' in caught.value.remedy


def test_turns_of_one_role_become_one():
  noted = collections.Counter()
  settled = turns.settle([U('a'), A('b'), A('c'), A('d'), U('e')], noted)
  assert settled == (U('a'), A('b\n\nc\n\nd'), U('e'))
  assert noted == {'turns of one role joined': 2}


@pytest.mark.parametrize(
  'said, reason',
  [
    ([A('b'), U('a')], 'no user turn at the beginning'),
    ([S('s')], 'no user turn at the beginning'),
    ([], 'no user turn at the beginning'),
    ([U('a'), S('s')], 'a system turn after the first'),
    ([U('a'), A(' ')], 'a turn is empty'),
  ],
)
def test_dialogues_that_cannot_be_settled(said, reason):
  with pytest.raises(Fault, match=reason):
    turns.settle(said, collections.Counter())


def test_conversations_end_in_an_answer():
  noted = collections.Counter()
  assert turns.conversation([U('a'), A('b'), U('c')], noted) == Conversation((U('a'), A('b')))
  assert noted == {'unanswered last turn cut off': 1}
  with pytest.raises(Fault, match='no assistant turn'):
    turns.conversation([S('s'), U('a')], noted)


def test_prompts_end_in_a_question():
  said = [U('a'), A('b'), U('c'), A('d'), A('e')]
  assert turns.prompt(said, collections.Counter()) == Prompt((U('a'), A('b'), U('c')))
  assert turns.prompt(said[:3], collections.Counter()) == Prompt((U('a'), A('b'), U('c')))


def test_pairs():
  noted = collections.Counter()
  before = [U('a'), A('b'), U('c')]
  made = turns.pair([*before, A('d')], [*before, A('e')], noted, 0.5, 'x')
  assert made == Pair(tuple(before), 'd', 'e', 0.5, 'x')
  assert not noted


@pytest.mark.parametrize(
  'chosen, rejected, error, reason',
  [
    ([U('a'), A('b')], [U('A'), A('c')], Unwanted, 'prompts differ'),
    ([U('a'), A('b')], [U('a'), A('c'), A('d')], Unwanted, 'prompts differ'),  # not joined: one is
    ([U('a'), A('b')], [U('a'), A('b')], Unwanted, 'answers are the same'),
    ([U('a'), A('b')], [U('a'), A('')], Fault, 'an answer is empty'),
    ([U('a'), A('b')], [U('a'), A('b'), U('c')], Fault, 'rejected does not end in an assistant'),
    ([U('a')], [U('a'), A('b')], Fault, 'chosen does not end in an assistant turn'),
    ([U('a'), A('b'), A('c')], [U('a'), A('b'), A('d')], Fault, 'prompt does not end in a user'),
    ([U('a'), A(''), U('b'), A('c')], [U('a'), A(''), U('b'), A('d')], Fault, 'a turn is empty'),
  ],
)
def test_no_pairs(chosen, rejected, error, reason):
  with pytest.raises(error, match=reason):
    turns.pair(chosen, rejected, collections.Counter())
