"""A model of whatever kind of place, as it is asked: its weights, its tokenizer, and its format."""

import os

from etils import epath
from jax.sharding import Mesh

from jaxalign.config import UserError
from jaxalign.data import chat, dialogues
from jaxalign.data.text import Tokenizer
from jaxalign.models import hub
from jaxalign.models.decoder import Decoder
from jaxalign.stages import trained

FORMATS: dict[str, chat.ChatFormat] = {
  form.name: form
  for form in (
    chat.CHATML, chat.QWEN, chat.LLAMA3, chat.ZEPHYR, chat.LLAMA2_CHAT, chat.PHI2_INSTRUCT,
    chat.TRANSCRIPT,
  )
}  # fmt: skip


def load(
  path: str | os.PathLike[str], *, dtype: str | None = None, mesh: Mesh | None = None
) -> Decoder:
  """As jaxalign.load: a model with its tokenizer, None where there is none."""
  place = hub.resolve(path)
  if trained.is_workdir(place):
    model, its_own = trained.load(place, dtype=dtype, mesh=mesh)
    model.tokenizer, model.format = its_own, trained.format_of(trained.raw_of(place), its_own)
    return model
  model = hub.load(place, dtype=dtype, mesh=mesh)
  tokenizer = tokenizer_of(place, model.cfg.vocab)
  if tokenizer is not None and tokenizer.vocab > model.cfg.vocab:
    raise UserError(
      f'{place}: its tokenizer has {tokenizer.vocab} tokens, its model {model.cfg.vocab}; '
      'one of them is of another model'
    )
  model.tokenizer, model.format = tokenizer, tokenizer.template if tokenizer else None
  return model


def tokenizer_of(place: epath.Path, vocab: int) -> Tokenizer | None:
  """The tokenizer that lies in a directory, in a .gguf, or beside a llama2.c .bin of so many ids;
  None where there is none."""
  if place.is_dir():
    names = ('tokenizer.json', 'tokenizer.model', 'vocab.json')
    return Tokenizer.load(str(place)) if any((place / name).exists() for name in names) else None
  return _beside(place, vocab)


def _beside(path, vocab):
  """A .gguf has its own; llama2.c names a tokenizer by its size, and Llama-2's own by nothing."""
  if path.suffix == '.gguf':
    return Tokenizer.load(str(path))
  names = (f'tok{vocab}.bin', f'tok{vocab}.model', 'tokenizer.bin', 'tokenizer.model')
  found = [path.parent / name for name in names if (path.parent / name).exists()]
  return Tokenizer.load(str(found[0])) if found else None


def format_of(path: str | os.PathLike[str], tokenizer: Tokenizer) -> dialogues.Format | None:
  """How a model was taught to read dialogues: a workdir's format, else the chat template that came
  with the tokenizer; None where nothing says so."""
  place = hub.resolve(path, weights=False)
  if trained.is_workdir(place):
    return trained.format_of(trained.raw_of(place), tokenizer)
  return tokenizer.template
