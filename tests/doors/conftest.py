"""A tiny model as Hugging Face lays it, with a tokenizer of bytes and a chat template."""

import jax
import pytest

import jaxalign
from jaxalign.models import llama2


@pytest.fixture(scope='session')
def directory(tmp_path_factory):
  pytest.importorskip('jinja2', reason='chat templates are rendered by Jinja')
  from tests.data.own_template_test import CHATML, byte_tokenizer  # skips its own file without

  place = tmp_path_factory.mktemp('model') / 'tiny'
  tokenizer = byte_tokenizer()
  ends = tokenizer.control('<|im_end|>'), tokenizer.eos
  cfg = llama2.tiny(vocab=320, eos=ends, bos=tokenizer.bos)
  model = cfg.build(jax.random.key(1))
  model.tokenizer = tokenizer
  jaxalign.export(model, place)
  (place / 'chat_template.jinja').write_text(CHATML)
  return place


@pytest.fixture(scope='session')
def served(directory):
  """A server of it, for all who need no other."""
  for name in ('starlette', 'uvicorn', 'httpx'):
    pytest.importorskip(name, reason=f'serving is an extra, jaxalign[serve]: {name}')
  from tests.doors.server import Server

  server = Server(directory)
  yield server
  assert server.close()
