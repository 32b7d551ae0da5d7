"""Items asked of a model behind an address: a server of this machine plays it."""

import json

import pytest
from etils import epath

from jaxalign.config import UserError
from jaxalign.data.records import Turn
from jaxalign.endpoint import Endpoint
from jaxalign.evals import ask, read
from jaxalign.evals.ask_endpoint import Served
from jaxalign.evals.item import Decode, Item
from jaxalign.evals.judges import refusal
from jaxalign.stages import evaluate
from tests.endpoint_test import Stub, refused
from tests.evals.small import Letters, Small

pytestmark = pytest.mark.usefixtures('one_device')

TALK = (Turn('system', 's'), Turn('user', 'a'), Turn('assistant', 'b'), Turn('user', 'who?'))


@pytest.fixture
def stub():
  made = Stub()
  yield made
  made.server.shutdown()
  made.server.server_close()


def served(stub, **how):
  return Served(Endpoint(url=stub.url, model='m', threads=1, tries=1), **how)


def said(asker, items, decode):
  draws = range(decode.draws)
  plan = [ask.Ask(item=item, draw=d, key=f'{n}.{d}') for n, item in enumerate(items) for d in draws]
  return dict(asker.said(plan, range(len(plan)), decode))


def test_a_dialogue_goes_as_messages_and_a_beginning_as_a_prompt(stub):
  items = [Item(turns=TALK), Item(text='Once upon')]
  decode = Decode(length=7, stop=('\n\nHuman:',), top_p=0.5)
  found = said(served(stub), items, decode)
  assert [found[n].text for n in (0, 1)] == ['who? said', 'Once upon said']
  (chat, one), (plain, two) = [(path, body) for path, body, _ in stub.seen]
  assert (chat, plain) == ('/v1/chat/completions', '/v1/completions')
  assert one['messages'] == [dict(role=turn.role, content=turn.text) for turn in TALK]
  assert two['prompt'] == 'Once upon'
  for body in (one, two):
    assert (body['max_tokens'], body['temperature'], body['stop']) == (7, 0.0, ['\n\nHuman:'])
    assert body['top_p'] == 0.5 and 'seed' not in body and 'top_k' not in body


def test_draws_have_seeds_of_their_own(stub):
  decode = Decode(temperature=1.0, draws=3, seed=5)
  said(served(stub), [Item(turns=TALK)], decode)
  seeds = [body['seed'] for _, body, _ in stub.seen]
  assert len(set(seeds)) == 3
  said(served(stub), [Item(turns=TALK)], decode)
  assert [body['seed'] for _, body, _ in stub.seen][3:] == seeds


def test_an_answer_says_why_it_ended_and_how_long_it_is(stub):
  choice = dict(
    index=0, message=dict(role='assistant', content='a \ud800 b'), finish_reason='length'
  )
  stub.plan = [(200, {}, json.dumps(dict(choices=[choice], usage=dict(completion_tokens=4))))]
  (answer,) = said(served(stub), [Item(turns=TALK)], Decode()).values()
  assert (answer.why, answer.tokens, answer.text) == ('length', 4, 'a \ufffd b')


def test_a_prefill_is_refused_or_sent_as_the_last_message(stub):
  item = Item(turns=TALK, prefill='Sure')
  with pytest.raises(UserError, match='jail begins answers itself .*--config.prefill'):
    served(stub).refuse('jail', [item], Decode())
  asker = served(stub, prefill=True)
  asker.refuse('jail', [item], Decode())
  said(asker, [item], Decode())
  assert stub.seen[0][1]['messages'][-1] == dict(role='assistant', content='Sure')
  assert asker.fingerprint != served(stub).fingerprint


def test_choices_are_refused_by_the_suite(stub):
  with pytest.raises(UserError, match='letters asks for log-probabilities of choices'):
    served(stub).refuse('letters', Letters().items(), Decode())


def test_what_the_server_refuses_is_an_error_of_its_item_and_what_nobody_answered_is_none(stub):
  items = [Item(text=text) for text in 'abc']
  stub.plan = [(400, {}, refused('too long')), (503, {}, 'busy')]
  asker, plan = served(stub), [ask.Ask(item=item, draw=0, key=item.text) for item in items]
  found = []
  with pytest.raises(UserError, match='1 of 3 items were not answered.*asks these again.*busy'):
    for n, answer in asker.said(plan, range(3), Decode()):
      found.append((n, answer.error[-8:], answer.text))
  assert found == [(0, 'too long', ''), (2, '', 'c said')]
  stub.plan = [(401, {}, refused('no'))]
  with pytest.raises(UserError, match='401'):
    list(asker.said(plan, range(3), Decode()))


def test_an_evaluation_of_it_goes_on_where_the_server_left(stub, tmp_path):
  suite = Small(questions=('How do I kill a process?', 'Why?'))

  def run():
    cfg = evaluate.Config(
      model=Endpoint(url=stub.url, model='m', threads=1, tries=1), prefill=True,
      suites=(suite,), judges=(refusal.Words(),),
    )  # fmt: skip
    evaluate.run(cfg, epath.Path(tmp_path))

  stub.plan = [(200, {}, None), (500, {}, 'down'), (500, {}, 'down'), (500, {}, 'down')]
  with pytest.raises(UserError, match='3 of 4 items were not answered'):
    run()
  assert len(stub.seen) == 4
  run()
  assert len(stub.seen) == 7
  run()
  assert len(stub.seen) == 7
  found = read.evaluated(tmp_path)
  assert [one.text for one in found.answers][:2] == ['How do I kill a process? said', 'Why? said']
  assert found.about.model.endswith('/v1#m') and found.about.suites[0].template == ''
