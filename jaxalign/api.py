"""The four names a notebook needs; `import jaxalign` gives them, and jax when they are used."""

import os

from jax.sharding import Mesh

from jaxalign.config import UserError
from jaxalign.data.text import Tokenizer
from jaxalign.models import hub
from jaxalign.models.decoder import Decoder
from jaxalign.models.export import export
from jaxalign.rl.prompts import sample
from jaxalign.rl.score import score
from jaxalign.stages import trained

__all__ = ['export', 'load', 'sample', 'score']


def load(
  path: str | os.PathLike[str], *, dtype: str | None = None, mesh: Mesh | None = None
) -> Decoder:
  """A model from a Hugging Face directory (local, gs://, a hub name), a .gguf, a llama2.c .bin, or
  a workdir of ours (its newest checkpoint, or WORKDIR/checkpoints/STEP; adapters folded in).

  dtype: 'float32', 'bfloat16' or 'float16', of weights and arithmetic; None keeps the file's.
  mesh: from jaxalign.sharding.meshes.make_mesh; the weights are laid out on it while they load.
  The directory's tokenizer comes along as model.tokenizer, or None where there is none.
  """
  place = hub.resolve(path)
  if trained.is_workdir(place):
    model, its_own = trained.load(place, dtype=dtype, mesh=mesh)
    model.tokenizer = its_own
    return model
  tokenizer = _of_directory(place) if place.is_dir() else None
  model = hub.load(place, dtype=dtype, mesh=mesh)
  if place.is_file():
    tokenizer = _beside(place, model.cfg.vocab)
  if tokenizer is not None and tokenizer.vocab > model.cfg.vocab:
    raise UserError(
      f'{place}: its tokenizer has {tokenizer.vocab} tokens, its model {model.cfg.vocab}; '
      'one of them is of another model'
    )
  model.tokenizer = tokenizer
  return model


def _of_directory(path):
  names = ('tokenizer.json', 'tokenizer.model', 'vocab.json')
  return Tokenizer.load(str(path)) if any((path / name).exists() for name in names) else None


def _beside(path, vocab):
  """A .gguf has its own; llama2.c names a tokenizer by its size, and Llama-2's own by nothing."""
  if path.suffix == '.gguf':
    return Tokenizer.load(str(path))
  names = (f'tok{vocab}.bin', f'tok{vocab}.model', 'tokenizer.bin', 'tokenizer.model')
  found = [path.parent / name for name in names if (path.parent / name).exists()]
  return Tokenizer.load(str(found[0])) if found else None
