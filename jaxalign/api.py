"""The four names a notebook needs; `import jaxalign` gives them, and jax when they are used."""

import os

from jax.sharding import Mesh

from jaxalign.models.decoder import Decoder
from jaxalign.models.export import export
from jaxalign.rl.prompts import sample
from jaxalign.rl.score import score
from jaxalign.stages import loading

__all__ = ['export', 'load', 'sample', 'score']


def load(
  path: str | os.PathLike[str], *, dtype: str | None = None, mesh: Mesh | None = None
) -> Decoder:
  """A model from a Hugging Face directory (local, gs://, a hub name), a .gguf, a llama2.c .bin, or
  a workdir of ours (its newest checkpoint, or WORKDIR/checkpoints/STEP; adapters folded in).

  dtype: 'float32', 'bfloat16' or 'float16', of weights and arithmetic; None keeps the file's.
  mesh: from jaxalign.sharding.meshes.make_mesh; the weights are laid out on it while they load.
  The directory's tokenizer comes along as model.tokenizer, or None where there is none; and as
  model.format how it is spoken to: a workdir's format, else the checkpoint's chat template, if any.
  """
  return loading.load(path, dtype=dtype, mesh=mesh)
