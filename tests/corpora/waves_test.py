"""Waves: barriers in plan order; only what is missing is asked, and failures are asked again."""

import pytest

from jaxalign.config import UserError
from jaxalign.corpora import waves
from jaxalign.corpora.journal import Journal
from jaxalign.corpora.records import Answer, Call, Failure, Task
from jaxalign.data.records import Turn


class Reversed:
  """A teacher that answers in the wrong order, and fails as often as it is told."""

  name, reads_prompts = 'reversed', False

  def __init__(self, fails=None):
    self.asked, self.fails = [], dict(fails or {})

  def answers(self, calls):
    for call in reversed(calls):
      self.asked.append(call.task.slot)
      if self.fails.get(call.task.slot, 0):
        self.fails[call.task.slot] -= 1
        yield Failure(call=call.id, why='503: busy', cost=0.5)
      else:
        yield Answer(call=call.id, text=f'to {call.task.slot}')

  def price(self, call):
    return None


def tasks(*slots, step='document'):
  return [Task(step=step, slot=slot) for slot in slots]


@pytest.fixture
def journal(tmp_path):
  with Journal(tmp_path / 'journal.jsonl', 'plan') as opened:
    yield opened


def desk(journal, teacher, **more):
  return waves.Desk(teachers={'': teacher}, journal=journal, told=lambda line: None, **more)


def test_answers_are_in_the_order_of_the_plan(journal):
  said = desk(journal, Reversed()).ask(tasks('a', 'b', 'c'))
  assert [answer.text for answer in said] == ['to a', 'to b', 'to c']


def test_nothing_is_asked_twice(journal):
  teacher = Reversed()
  desk(journal, teacher).ask(tasks('a', 'b'))
  desk(journal, teacher).ask(tasks('b', 'b', 'c'))
  assert sorted(teacher.asked) == ['a', 'b', 'c']


def test_failures_are_asked_again_and_never_kept(journal):
  teacher = Reversed(dict(b=1))
  said = desk(journal, teacher).ask(tasks('a', 'b'))
  assert [answer.text for answer in said] == ['to a', 'to b'] and teacher.asked.count('a') == 1
  assert journal.failed == 1 and journal.spent == 0.5


def test_a_wave_that_lacks_an_answer_ends_the_run_and_keeps_the_rest(journal):
  with pytest.raises(UserError, match=r'1 of 3 calls of step document .* by reversed .503: busy'):
    desk(journal, Reversed(dict(b=9))).ask(tasks('a', 'b', 'c'))
  teacher = Reversed()
  desk(journal, teacher).ask(tasks('a', 'b', 'c'))
  assert teacher.asked == ['b']


def test_of_many_calls_one_that_is_always_refused_is_given_up_for_good(tmp_path):
  names, told = [f's{n}' for n in range(20)], []
  with Journal(tmp_path / 'j', 'plan') as journal:
    one = waves.Desk(teachers={'': Reversed(dict(s7=99))}, journal=journal, told=told.append)
    first = one.ask(tasks(*names))
  assert told == ['document: 1 of 20 calls are given up (503: busy)']
  with Journal(tmp_path / 'j', 'plan') as journal:
    teacher = Reversed()
    assert desk(journal, teacher).ask(tasks(*names)) == first and not teacher.asked
    assert len(journal.given_up) == 1 and journal.failed == 2
  assert [answer.text for answer in first if answer.text != ''] == [
    f'to {name}' for name in names if name != 's7'
  ]


@pytest.mark.parametrize('fails', [2, 20])
def test_more_than_a_few_end_the_run(fails, journal):
  names = [f's{n}' for n in range(20)]
  with pytest.raises(UserError, match=f'{fails} of 20 calls of step document were not answered'):
    desk(journal, Reversed(dict.fromkeys(names[:fails], 99))).ask(tasks(*names))
  assert not journal.given_up and len(journal) == 20 - fails


def test_a_run_that_is_told_to_stop_keeps_what_came(journal):
  teacher, told = Reversed(), iter([False, True])
  with pytest.raises(waves.Stopped):
    desk(journal, teacher, stops=lambda: next(told)).ask(tasks('a', 'b', 'c'))
  assert teacher.asked == ['c', 'b'] and len(journal) == 2


def test_each_step_has_its_teacher_and_its_prompt(journal):
  judge, writer = Reversed(), Reversed()
  judge.name, judge.reads_prompts = 'judge', True
  one = waves.Desk(
    teachers={'': writer, 'judge': judge},
    journal=journal,
    turns=lambda task: (Turn('user', f'judge {task.slot}'),),
    told=lambda line: None,
  )
  one.ask([*tasks('a'), *tasks('a', step='judge')])
  assert writer.asked == judge.asked == ['a']
  calls = {call.teacher: call for call in one.calls.values()}
  assert calls['judge'].turns[0].text == 'judge a' and calls['reversed'].turns == ()


def test_a_calls_id_is_of_all_that_decides():
  task = Task(step='document', slot='a')
  plain = Call(task=task, teacher='t')
  others = [
    Call(task=task, teacher='u'),
    Call(task=task, teacher='t', turns=(Turn('user', 'x'),)),
    Call(task=Task(step='document', slot='a', attempt=1), teacher='t'),
    Call(task=Task(step='document', slot='a', spec='x'), teacher='t'),
  ]
  assert len({plain.id, *(call.id for call in others)}) == 5
  assert plain.id == Call(task=task, teacher='t').id


def test_a_recipe_is_sent_whole_waves():
  def recipe():
    first = yield tasks('a', 'b')
    second = yield tasks(*(answer.text for answer in first))
    return [answer.text for answer in second]

  def ask(wave):
    return [Answer(call='', text=task.slot + '!') for task in wave]

  assert waves.through(recipe(), ask) == ['a!!', 'b!!']
