"""Http: a teacher behind an address, against a server of this machine; nothing here waits."""

import collections
import json
import threading

import pytest

from jaxalign import sealing
from jaxalign.config import UserError
from jaxalign.corpora.http import Http
from jaxalign.corpora.pace import Pace
from jaxalign.corpora.purse import Purse, Spent
from jaxalign.corpora.records import Answer, Failure, Sampling
from jaxalign.endpoint import EndpointError
from tests.corpora.teacher import Stub, a_call, said

SECRET = 'sk-a-very-secret-key'
PRICE = (1000.0, 10_000.0)  # dollars a million: a call of 10 and 5 tokens costs .06


@pytest.fixture
def stub():
  made = Stub()
  yield made
  made.close()


def teacher(stub, purse=None, waits=None, **fields):
  """A teacher that waits for nobody; waits: how long it would have waited."""
  known = {
    name: fields.pop(name) for name in ('threads', 'tries', 'key', 'timeout') if name in fields
  }
  cfg = sealing.seal(Http(endpoint=stub.endpoint(**known), **fields))
  return cfg.opened(purse, sleep=(waits if waits is not None else []).append)


def test_each_call_gets_its_own_answer_and_is_sent_once(stub):
  calls = [a_call(n) for n in range(60)]
  found = {one.call: one for one in teacher(stub, price=PRICE).answers(calls)}
  assert len(stub.seen) == 60 and stub.most <= 4
  for n, call in enumerate(calls):
    assert found[call.id] == Answer(
      call=call.id, text=f'write {n} said', read=10, written=5, model='the-model-itself', cost=0.06
    )


def test_the_body_says_how_it_is_drawn(stub):
  short = Sampling(length=7, top_p=0.9, temperature=0.5)
  fields = dict(extra=(('reasoning_effort', 'low'),), length_field='max_completion_tokens')
  one = teacher(stub, samplings=(('judge', short),), **fields)
  assert one.sampling('judge').length == 7 and one.sampling('document') == Sampling()
  assert one.name == 'm {"reasoning_effort": "low"}' and one.reads_prompts
  list(one.answers([a_call(1, length=7), a_call(2, length=7)]))
  first, second = sorted(stub.seen, key=lambda body: body['messages'][0]['content'])
  assert first['max_completion_tokens'] == 7 and 'max_tokens' not in first
  assert first['model'] == 'm' and first['reasoning_effort'] == 'low' and first['temperature'] == 1
  assert first['seed'] != second['seed'] and 0 <= first['seed'] < 2**31
  with pytest.raises(UserError, match='extra names messages'):
    teacher(stub, extra=(('messages', 'x'),))
  with pytest.raises(UserError, match='config.price=.*at least 0'):
    teacher(stub, price=(-1.0, 0.0))


BAD = [
  (200, {}, said('')),
  (200, {}, said('  \n ')),
  (200, {}, said(None)),
  (200, {}, said('half of a sent', reason='length')),
  (200, {}, said('', reason='content_filter')),
  (200, {}, said('<think>it never ends in an answer</think>')),
  (200, {}, 'I am prose'),
  (200, {}, '{"choices": [{"index": "first", "message": {"content": "a"}}]}'),
  (200, {}, '{"choices": [{"index": 0, "message": {"content": 5}}]}'),
  (200, {}, '{"status": "ok"}'),
  (200, {'length': 1000, 'Connection': 'close'}, said('cut')),
  (200, {'Connection': 'close'}, said('half a body')[:30]),
  (500, {}, 'oops'),
  (503, {}, '<html>'),
  (429, {'Retry-After': '0.2'}, '{"error": {"message": "slow"}}'),
]


@pytest.mark.parametrize('bad', BAD)
def test_what_is_no_answer_is_one_try_more(stub, bad):
  stub.reply = lambda body, n: bad if n == 0 else (200, {}, said('whole'))
  (found,) = teacher(stub).answers([a_call(1)])
  assert isinstance(found, Answer) and found.text == 'whole' and len(stub.seen) == 2


@pytest.mark.parametrize('bad', BAD)
def test_what_never_is_an_answer_is_a_failure(stub, bad):
  good = (200, {}, said('whole'))
  stub.reply = lambda body, n: bad if 'write 7' in body['messages'][0]['content'] else good
  found = list(teacher(stub).answers([a_call(n) for n in range(12)]))
  (failed,) = [one for one in found if isinstance(one, Failure)]
  assert failed.call == a_call(7).id and '\n' not in failed.why and 'in 3 tries' in failed.why
  assert len(found) == 12 and len(stub.seen) == 14


def test_a_whole_answer_that_is_none_is_drawn_anew(stub):
  stub.reply = lambda body, n: (200, {}, said('half', reason='length') if n < 2 else said('whole'))
  assert [one.text for one in teacher(stub).answers([a_call(1)])] == ['whole']
  assert len({body['seed'] for body in stub.seen}) == 3  # else it would be cut off there again


def test_thoughts_of_the_model_are_no_part_of_its_answer(stub):
  stub.reply = lambda body, n: (200, {}, said('<think>\nwell\n</think>\n\n the <think> answer '))
  (found,) = teacher(stub).answers([a_call(1)])
  assert found.text == 'the <think> answer'


@pytest.mark.parametrize('status', [401, 402, 403, 404, 429])
def test_what_nobody_mends_stops_within_one_call(stub, status):
  error = dict(message='no', code='insufficient_quota')
  stub.reply = lambda body, n: (status, {}, json.dumps(dict(error=error)))
  with pytest.raises(EndpointError, match=f'answers {status}: no'):
    list(teacher(stub, threads=64).answers([a_call(n) for n in range(1000)]))
  assert len(stub.seen) == 1 or (status == 429 and len(stub.seen) < 500)


def test_a_teacher_that_never_answers_is_left(stub):
  never = threading.Event()
  good = (200, {}, said('a'))
  stub.reply = lambda body, n: never.wait() and good if 'write 5' in str(body) else good
  found = list(teacher(stub, timeout=0.3, tries=2).answers([a_call(n) for n in range(9)]))
  failed = {one.call: one.why for one in found if isinstance(one, Failure)}  # others, under load
  assert 'no answer in 2 tries: TimeoutError' in failed[a_call(5).id] and len(found) == 9
  never.set()


def test_what_was_on_its_way_when_the_money_of_the_account_ends_is_kept(stub):
  both = threading.Barrier(4)

  def reply(body, n):
    if 0 < n < 5:
      both.wait()
    return (402, {}, '{}') if n == 3 else (200, {}, said(f'{n}'))

  stub.reply, found = reply, []
  with pytest.raises(EndpointError, match='answers 402'):
    for one in teacher(stub).answers([a_call(n) for n in range(1000)]):
      found.append(one)
  answered = [one for one in found if isinstance(one, Answer)]
  assert len(stub.seen) < 1000 and len(answered) == len(stub.seen) - 1


def test_where_nobody_is_there_the_first_call_says_so(stub):
  stub.close()
  waits = []
  with pytest.raises(EndpointError, match='no answer in 3 tries: ConnectionRefusedError'):
    list(teacher(stub, waits=waits).answers([a_call(n) for n in range(1000)]))
  assert len(waits) < 1000  # of 2,000


def test_a_server_that_dies_ends_the_run_after_some_calls(stub):
  stub.reply = lambda body, n: (200, {}, said('a')) if n < 5 else (500, {}, '')
  with pytest.raises(EndpointError, match='20 calls in a row were not answered; .* goes on'):
    list(teacher(stub).answers([a_call(n) for n in range(1000)]))
  assert len(stub.seen) < 1500  # of 2,985


def test_a_key_is_in_the_environment_or_nothing_is_asked(stub, monkeypatch):
  for value in ('', ' \n', 'two words'):
    monkeypatch.setenv('ITS_KEY', value)
    with pytest.raises(UserError, match='ITS_KEY'):
      teacher(stub, key='ITS_KEY')
  assert stub.seen == []
  monkeypatch.setenv('ITS_KEY', SECRET)
  stub.reply = lambda body, n: (200, {}, said(f'your key is {SECRET}'))
  (found,) = teacher(stub, key='ITS_KEY').answers([a_call(1)])
  assert stub.keys == [f'Bearer {SECRET}'] and found.text == 'your key is ***'
  stub.reply = lambda body, n: (400, {}, 'x' * 290 + SECRET)  # cut within the key
  (failed,) = teacher(stub, key='ITS_KEY').answers([a_call(1)])
  assert 'sk-a' not in failed.why and isinstance(failed, Failure)


def test_the_purse_is_never_exceeded_and_nothing_paid_is_lost(stub):
  """A try may cost 1.04, and costs .06; some come broken."""
  paid, lock = collections.Counter(), threading.Lock()

  def reply(body, n):
    with lock:
      paid['tries'] += n % 7 != 3
      assert paid['tries'] * 0.06 <= 3
    return (503, {}, '') if n % 7 == 3 else (200, {}, said('' if n % 5 == 2 else 'a'))

  stub.reply, purse, found = reply, Purse(3.0), []
  with pytest.raises(Spent, match=r'max_cost=3 are spent, and the next call may cost 1[.]0'):
    for one in teacher(stub, purse, price=PRICE).answers([a_call(n) for n in range(500)]):
      found.append(one)
  assert purse.spent == pytest.approx(paid['tries'] * 0.06) and 1.9 < purse.spent <= 3
  answered = [one for one in found if isinstance(one, Answer)]
  assert sum(one.cost for one in found) == pytest.approx(purse.spent)  # for the journal
  good = sum(1 for n in range(len(stub.seen)) if n % 7 != 3 and n % 5 != 2)
  assert len(answered) == good


def test_who_does_not_say_what_it_took_may_have_taken_all(stub):
  stub.reply = lambda body, n: (200, {}, said('a', usage=None))
  purse = Purse(2.5)
  one = teacher(stub, purse, price=PRICE, threads=1)
  assert one.price(a_call(1)) == pytest.approx(1.039)
  with pytest.raises(Spent):
    list(one.answers([a_call(n) for n in range(9)]))
  assert purse.spent == pytest.approx(2 * 1.039) and len(stub.seen) == 2


def test_a_limit_without_a_price_is_refused_at_once(stub):
  with pytest.raises(UserError, match='max_cost=5 cannot be kept: the price of m is not known'):
    teacher(stub, Purse(5.0))
  (found,) = teacher(stub, Purse(None)).answers([a_call(1)])
  assert found.cost is None and teacher(stub).price(a_call(1)) is None
  (found,) = teacher(stub, Purse(0.0), price=(0.0, 0.0)).answers([a_call(1)])
  assert found.cost == 0


def test_a_pace_is_kept(stub):
  waits = []
  one = teacher(stub, waits=waits, threads=1, pace=Pace(requests=1.0))
  assert len(list(one.answers([a_call(n) for n in range(4)]))) == 4
  assert waits == pytest.approx([60, 120, 180], abs=30)  # what passes meanwhile is no wait


def test_log_probabilities_of_the_options(stub):
  top = [dict(token=' A', logprob=-0.5), dict(token='B', logprob=-1.5), dict(token='A', logprob=-3)]
  logs = dict(logprobs=dict(content=[dict(token='A', top_logprobs=top)]))
  stub.reply = lambda body, n: (200, {}, said('A', **logs))
  (found,) = teacher(stub).answers([a_call(1, options=('A', 'B'))])
  assert found.logprobs == (-0.5, -1.5) and stub.seen[0]['logprobs'] is True
  (found,) = teacher(stub).answers([a_call(1, options=('A', 'C'))])
  assert found.logprobs == ()
  stub.reply = lambda body, n: (200, {}, said('A'))
  (found,) = teacher(stub).answers([a_call(1, options=('A', 'B'))])
  assert found.logprobs == ()
