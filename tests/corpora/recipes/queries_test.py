"""Queries: as many as were asked for, of every value and kind, nothing twice and nothing held."""

import collections
import json

import pytest

from jaxalign.config import UserError
from jaxalign.corpora import waves
from jaxalign.corpora.recipes import queries
from jaxalign.corpora.recipes.queries import Asked
from jaxalign.data import sources
from jaxalign.data.report import Report
from tests.corpora.recipes.scripted import Ask, about


def found(ask=None, count=24, **fields):
  asked, report = Asked(count=count, **fields), Report()
  return waves.through(asked.found(about(), report), ask or Ask()), report


def test_every_value_and_kind_has_its_share():
  some, _ = found(count=31)
  assert collections.Counter(one.value for one in some) == dict(honesty=11, kindness=10, thrift=10)
  kinds = collections.Counter(one.kind for one in some)
  assert kinds.keys() == dict(queries.KINDS).keys() and max(kinds.values()) <= 6
  assert len({one.text for one in some}) == len({one.slot for one in some}) == 31
  assert all(len(one.calls) == 1 for one in some)


def test_lists_are_topped_up_once_and_what_is_nearly_the_same_is_left_out():
  def lists(task):
    own = [f'{task.value} {task.facet("kind")} {n} {task.attempt} how do I go on?' for n in '12']
    twin = f'What shall I do with the old green boat of {task.value}, now that it leaks so badly'
    return json.dumps([*own, f'{twin}?', f'{twin} today?'][: task.count])

  ask = Ask(query=lists)
  some, report = found(ask, count=60, siblings=5)
  again = [task for task in ask.of('query') if task.attempt]
  assert again and all(task.earlier('seen').count('\n') == 3 for task in again)
  assert len(some) < 60 and report.dropped
  boats = [one for one in some if 'boat' in one.text]
  assert len(boats) == len({one.value for one in boats}) == 3


def test_a_query_that_holds_an_item_is_dropped():
  report = Report()
  held = lambda text: 'leak' if 'a' in text.lower() else None
  with pytest.raises(UserError, match='the teacher of step query listed nothing for honesty'):
    waves.through(Asked(count=9).found(about(held=held), report), Ask())
  assert report.dropped['leak'] > 9


def test_queries_of_a_source():
  pairs = sources.Shipped(name='pairs', split='train')
  some, _ = found(prompts=pairs, count=20)
  in_turn = ['honesty', 'kindness', 'thrift', 'honesty']
  assert len(some) == 20 and [one.value for one in some[:4]] == in_turn
  first = next(record for _, record in pairs.read())
  assert some[0].text == first.prompt[0].text
  assert Asked(prompts=pairs).steps == () and Asked().steps == ('query',)
  with pytest.raises(UserError, match='prompts hold plain documents'):
    found(prompts=sources.Shipped(name='general'))
