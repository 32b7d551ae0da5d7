"""A real language model: what it says and thinks is what transformers has it say and think."""

import numpy as np
import pytest

import jaxalign
from jaxalign.doors.opening import opened, turns_of

pytestmark = pytest.mark.usefixtures('optimized', 'one_device')

ASKED = ['What is the capital of France?', 'Name a fruit that is yellow.']


@pytest.fixture(scope='module')
def guest(smollm2):
  return opened(str(smollm2), dtype='float32')


@pytest.fixture(scope='module')
def prompts(guest):
  return [guest.ids(turns_of([dict(role='user', content=text)])) for text in ASKED]


@pytest.fixture(scope='module')
def said(guest, prompts):
  return jaxalign.sample(guest.model, prompts, length=16, temperature=0.0, logprobs=True)


def test_it_answers(said):
  assert 'Paris' in said[0].text
  assert all(one.tokens and one.why in ('end', 'length') for one in said)


def test_transformers_says_the_same(smollm2, guest, prompts, said):
  torch = pytest.importorskip('torch', reason='the peer: torch')
  transformers = pytest.importorskip('transformers')
  theirs = transformers.AutoModelForCausalLM.from_pretrained(smollm2, dtype='float32').eval()
  words = transformers.AutoTokenizer.from_pretrained(smollm2)
  for text, prompt, answer in zip(ASKED, prompts, said):
    turns = [dict(role='user', content=text)]
    rendered = words.apply_chat_template(turns, add_generation_prompt=True, tokenize=False)
    assert list(prompt) == words(rendered, add_special_tokens=False).input_ids
    ids = torch.tensor([[*prompt, *answer.tokens]])
    with torch.no_grad():
      logits = theirs(ids).logits[0, len(prompt) - 1 : -1].double().log_softmax(-1)
    assert logits.argmax(-1).tolist() == answer.tokens
    each = logits[np.arange(len(answer.tokens)), answer.tokens].numpy()
    np.testing.assert_allclose(answer.logprobs, each, atol=5e-4)
  pairs = [(list(prompt), answer.tokens) for prompt, answer in zip(prompts, said)]
  for scored, answer in zip(jaxalign.score(guest.model, pairs), said):
    assert scored.greedy
    np.testing.assert_allclose(scored.logprobs, answer.logprobs, atol=5e-4)


def test_an_openai_client_is_answered(guest, said):
  """OpenAI's own client against the server: whole and streamed, it is told what `sample` says."""
  for name in ('starlette', 'uvicorn', 'httpx', 'openai'):
    pytest.importorskip(name, reason=f'a server and its client: {name}')
  import openai

  from tests.doors.server import Server

  server = Server(guest, rows=2)
  try:
    client = openai.OpenAI(base_url=f'{server.url}/v1', api_key='none', max_retries=0)
    (listed,) = client.models.list().data
    how = dict(model=listed.id, max_tokens=16, temperature=0)
    for text, answer in zip(ASKED, said):
      asked = [dict(role='user', content=text)]
      whole = client.chat.completions.create(messages=asked, **how).choices[0]
      assert whole.message.content == answer.text
      parts = client.chat.completions.create(messages=asked, stream=True, **how)
      told = [part.choices[0].delta.content or '' for part in parts if part.choices]
      assert ''.join(told) == answer.text
  finally:
    assert server.close()
