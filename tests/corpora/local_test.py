"""Model: our own sampling as a teacher; what it says depends on the call and on nothing beside."""

import random

import pytest

from jaxalign import sealing
from jaxalign.config import UserError
from jaxalign.corpora import prompts
from jaxalign.corpora.local import Model
from jaxalign.corpora.records import Answer, Call, Failure, Sampling, Task
from jaxalign.data import chat
from jaxalign.data.own_template import OwnTemplate
from jaxalign.data.records import Turn
from tests.evals import small

QUERIES = [
  f'What do I do with {thing}?' for thing in 'a key,the old boat of my uncle,bread'.split(',')
]
NO_SYSTEM = OwnTemplate(
  source="{% for m in messages %}{% if m.role == 'system' %}{{ raise_exception('no') }}{% endif %}"
  "{{ m.role }}: {{ m.content }}{% if m.role == 'assistant' %}{{ eos_token }}{% endif %}\n"
  "{% endfor %}{% if add_generation_prompt %}assistant:{% endif %}",
  eos='</s>',
)  # fmt: skip


def teacher(form=chat.TRANSCRIPT, **fields):
  cfg = sealing.seal(Model(path='somewhere/tiny', **fields))
  return cfg.opened(small.model(length=1024), form)


def call(one, n, step='draft', length=10, **task):
  task = Task(step=step, slot=f'{n}', given=(('query', QUERIES[n % 3]),), attempt=n, **task)
  return Call(
    task=task, teacher=one.name, sampling=Sampling(length=length), turns=prompts.turns(task)
  )


def test_the_batch_and_its_order_decide_nothing():
  one, other = teacher(rows=4), teacher(rows=2)
  calls = [call(one, n) for n in range(6)]
  first = {said.call: said for said in one.answers(calls)}
  random.Random(1).shuffle(calls)
  again = {said.call: said for said in other.answers(calls[:3])}
  assert len(again) == 3 and again.items() <= first.items()
  assert all(isinstance(said, Answer) and said.cost == 0 for said in first.values())
  assert len({said.text for said in first.values()}) == 6  # equal prompts, other calls
  assert one.name == other.name and one.name.startswith('tiny ')


def test_a_base_model_is_shown_and_another_is_told():
  def prompt(form, base):
    one = teacher(form, base=base)
    return small.model(length=1024).tokenizer.decode(one._prompt(call(one, 0)))

  shown = prompt(None, False)
  assert 'scratched the door' in shown and shown.endswith('Assistant:')
  assert prompt(chat.TRANSCRIPT, True) == shown
  assert prompt(chat.TRANSCRIPT, False).strip() == f'Human: {QUERIES[0]}\n\nAssistant:'
  assert teacher(None).name != teacher(chat.TRANSCRIPT).name != teacher(NO_SYSTEM).name


def test_a_base_model_is_no_judge_unless_by_name():
  one = teacher(None)
  task = Task(step='critique', slot='1')
  says = r"a base model, which judges nothing: .* judges=\('critique',"
  with pytest.raises(UserError, match=says):
    list(one.answers([Call(task=task, teacher=one.name)]))
  with pytest.raises(UserError, match='judges nothing'):
    one.refuse(['document', 'preference'])
  one.refuse(['document', 'revision'])
  by_name = teacher(None, judges=('critique',))
  by_name.refuse(['critique'])
  with pytest.raises(UserError, match='judges nothing'):
    by_name.refuse(['judge'])
  teacher().refuse(['critique', 'judge'])
  with pytest.raises(UserError, match='judges names essay: steps of judging are compliance, '):
    teacher(None, judges=('essay',))


def test_of_options_the_likeliest_is_said():
  one = teacher(None, judges=('preference',))
  given = dict(first='the boat', second='a key')
  tasks = []
  for n, (a, b) in enumerate((('first', 'second'), ('second', 'first'))):
    texts = (('query', 'which?'), ('first', given[a]), ('second', given[b]))
    task = Task(step='preference', slot=f'{n}', statement='it', given=texts, options=('A', 'B'))
    tasks.append(Call(task=task, teacher=one.name, turns=prompts.turns(task)))
  said = list(one.answers(tasks))
  assert [answer.call for answer in said] == [task.id for task in tasks]
  for answer in said:
    a, b = answer.logprobs
    assert a < 0 and b < 0 and a != b and answer.text == ('A' if a > b else 'B')
  assert said[0].logprobs != said[1].logprobs


def test_a_prompt_that_leaves_no_room_is_a_failure():
  one = teacher()
  long = Task(step='draft', slot='1', given=(('query', 'boat ' * 2000),))
  (failed,) = one.answers([Call(task=long, teacher=one.name, turns=prompts.turns(long))])
  assert isinstance(failed, Failure) and 'leaves no room for an answer in the 1024' in failed.why


def test_a_template_without_a_system_turn_is_told_by_the_user():
  one = teacher(NO_SYSTEM)
  turns = (Turn('system', 'be short'), Turn('user', 'why?'))
  task = Task(step='draft', slot='1')
  item = one._item(Call(task=task, teacher=one.name, turns=turns), ())
  assert item.turns == (Turn('user', 'be short\n\nwhy?'),)
  assert teacher()._item(Call(task=task, teacher=one.name, turns=turns), ()).turns == turns


def test_a_model_without_a_tokenizer_is_refused():
  model = small.model.__wrapped__(length=64)
  model.tokenizer = None
  with pytest.raises(UserError, match='has no tokenizer: a teacher needs one'):
    Model(path='x').opened(model, None)
