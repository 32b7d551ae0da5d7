"""Logprobs as OpenAI writes them, held against the log-softmax of the whole text's logits."""

import json

import numpy as np
import pytest

import jaxalign
from jaxalign.doors import replies
from jaxalign.doors.scoring import scores

for _name in ('starlette', 'uvicorn', 'httpx'):
  pytest.importorskip(_name, reason=f'serving is an extra, jaxalign[serve]: {_name}')


@pytest.fixture(scope='module')
def model(directory):
  return jaxalign.load(directory)


def log_softmax(model, ids, temperature=1.0):
  """[T, V] of a text, by numpy."""
  logits_TV = np.asarray(model.logits(np.array([ids], np.int32))[0], np.float64) / temperature
  logits_TV -= logits_TV.max(-1, keepdims=True)
  return logits_TV - np.log(np.exp(logits_TV).sum(-1, keepdims=True))


def test_scores_are_the_log_softmax_of_the_whole_text(model):
  ids = np.random.RandomState(0).randint(3, 250, 150).tolist()  # three chunks of places
  found = scores(model, ids, 100, 0.5)
  before, after = log_softmax(model, ids), log_softmax(model, ids, 0.5)
  wanted_TV = np.concatenate([before[:99], after[99:149]])  # what is given at 99 is token 100
  own_T = wanted_TV[np.arange(149), ids[1:]]
  np.testing.assert_allclose(found.logprobs, own_T, atol=2e-5)
  best_TK = -np.sort(-wanted_TV)[:, :5]
  np.testing.assert_allclose([[p for _, p in best] for best in found.best], best_TK, atol=2e-5)
  of_ids_TK = np.take_along_axis(
    wanted_TV, np.array([[i for i, _ in best] for best in found.best]), -1
  )
  np.testing.assert_allclose(of_ids_TK, best_TK, atol=2e-5)
  assert len(scores(model, [7], 1, 1.0).logprobs) == 0


@pytest.mark.parametrize('most', [0, 1])
def test_the_request_of_lm_eval(served, model, most):
  """Lists of ids, echo, one logprob, one token or none: `[context:-1]` is what was asked about."""
  rows = [model.tokenizer.encode(text) for text in ('the sky is blue', 'a', 'so it goes <b>')]
  body = dict(
    model='tiny', prompt=rows, max_tokens=most, temperature=0, logprobs=1, seed=1234, echo=True
  )
  choices = served.post('completions', body).json()['choices']
  assert [one['index'] for one in choices] == [0, 1, 2]
  for ids, one in zip(rows, choices):
    found = one['logprobs']
    wanted_TV = log_softmax(model, ids)
    assert found['token_logprobs'][0] is None and found['top_logprobs'][0] is None
    assert {len(column) for column in found.values()} == {len(ids) + most}
    own_T = wanted_TV[np.arange(len(ids) - 1), ids[1:]]
    np.testing.assert_allclose(found['token_logprobs'][1 : len(ids)], own_T, atol=2e-5)
    for value, top, place_V in zip(
      found['token_logprobs'][1:], found['top_logprobs'][1:], wanted_TV
    ):
      assert max(top.values()) == pytest.approx(place_V.max(), abs=2e-5)
      assert value in top.values()  # exactly, so that greedy is seen
    assert one['text'].startswith(''.join(found['tokens'][: len(ids)]))
    for token, at in list(zip(found['tokens'], found['text_offset']))[: len(ids)]:
      assert one['text'][at:].startswith(token)
    assert one['finish_reason'] == 'length' or most
  if most:
    assert (
      max(choices[0]['logprobs']['top_logprobs'][-1].values())
      == (choices[0]['logprobs']['token_logprobs'][-1])
    )


def test_text_and_ids_with_echo_are_the_same(served, model):
  body = dict(max_tokens=0, logprobs=3, echo=True)
  of_text, of_ids = (
    served.post('completions', body | dict(prompt=prompt)).json()
    for prompt in ('the sky', model.tokenizer.encode('the sky'))
  )
  assert of_text['choices'] == of_ids['choices'] and of_text['choices'][0]['text'] == 'the sky'
  assert of_text['usage']['completion_tokens'] == 0


@pytest.mark.parametrize('temperature', [0, 0.7])
def test_the_likeliest_beside_what_was_drawn(served, model, temperature):
  """In the answer's own temperature, five and the drawn one; whole and as a stream."""
  prompt = model.tokenizer.encode('one')
  body = dict(prompt='one', max_tokens=8, temperature=temperature, logprobs=5, seed=3)
  choice = served.post('completions', body).json()['choices'][0]
  found = choice['logprobs']
  plain = served.post('completions', body | dict(logprobs=0)).json()['choices'][0]['logprobs']
  assert plain['top_logprobs'] is None and plain['tokens'] == found['tokens']
  np.testing.assert_allclose(found['token_logprobs'], plain['token_logprobs'], atol=2e-5)
  for value, top in zip(found['token_logprobs'], found['top_logprobs']):
    assert value in top.values() and len(top) in (5, 6)
  first_V = log_softmax(model, prompt, temperature or 1.0)[-1]
  np.testing.assert_allclose(
    sorted(found['top_logprobs'][0].values(), reverse=True)[:5], -np.sort(-first_V)[:5], atol=2e-5
  )
  assert found['text_offset'][0] == 0
  events = served.post('completions', body | dict(stream=True)).text.split('\n\n')
  chunks = [json.loads(one.removeprefix('data: ')) for one in events if one[6:7] == '{']
  assert [c['choices'][0]['logprobs'] for c in chunks if c['choices'][0]['logprobs']] == [found]


def test_chat_names_the_likeliest_too(served):
  body = dict(messages=[dict(role='user', content='a')], max_tokens=5, temperature=0)
  whole = served.post('chat/completions', body | dict(logprobs=True, top_logprobs=2)).json()
  content = whole['choices'][0]['logprobs']['content']
  assert len(content) == whole['usage']['completion_tokens']
  for one in content:
    assert [len(one['top_logprobs']), one['top_logprobs'][0]['logprob']] == [2, one['logprob']]
    assert one['top_logprobs'][0]['token'] == one['token'] and isinstance(one['bytes'], list)
  plain = served.post('chat/completions', body | dict(logprobs=True)).json()
  assert all(one['top_logprobs'] == [] for one in plain['choices'][0]['logprobs']['content'])


def test_what_stands_behind_a_stop_string_has_no_logprobs(served, model):
  body = dict(prompt='one', max_tokens=30, temperature=0, logprobs=1)
  whole = served.post('completions', body).json()['choices'][0]
  stop = whole['text'][6:8]
  one = served.post('completions', body | dict(stop=stop)).json()['choices'][0]
  assert one['text'] == whole['text'].partition(stop)[0]
  before, shown = whole['logprobs'], one['logprobs']
  count = len(shown['tokens'])
  assert 0 < count < len(before['tokens']) and shown['tokens'] == before['tokens'][:count]
  assert before['text_offset'][count - 1] < len(one['text']) <= before['text_offset'][count]


def test_a_character_of_several_tokens_stands_at_its_last(model):
  """And a control token is named, but takes no room."""
  ids = [model.tokenizer.bos, *model.tokenizer.encode('a\u20ac!')]
  words, offsets = replies._words(model.tokenizer, ids, 0)
  assert ''.join(words[1:]).replace('\ufffd', '') == 'a\u20ac!' and words[0].startswith('<')
  assert words[-2:] == ['\u20ac', '!'] and offsets[:2] == [0, 0] and offsets[-1] == 2


def test_usage_of_a_stream_counts_every_answer(served):
  body = dict(prompt=['a', 'b'], n=2, max_tokens=5, temperature=1, seed=1)
  whole = served.post('completions', body).json()
  stream = body | dict(stream=True, stream_options=dict(include_usage=True), echo=True)
  events = served.post('completions', stream).text.split('\n\n')
  chunks = [json.loads(one.removeprefix('data: ')) for one in events if one[6:7] == '{']
  assert [c for c in chunks if 'usage' in c] == chunks[-1:]
  assert chunks[-1]['usage'] == whole['usage'] and chunks[-1]['choices'] == []
  said = [''.join(c['choices'][0]['text'] for c in chunks[:-1] if c['choices'][0]['index'] == n)
          for n in range(4)]  # fmt: skip
  assert said == ['ab'[n // 2] + one['text'] for n, one in enumerate(whole['choices'])]
