"""What the tests of sampling sample from, and how they call `generate`.

`Table`: the next token's logits stand in a table, by the last token: every distribution is known.
`tiny`: a small Llama, whose caches, padding, precision and meshes are real.
"""

import dataclasses
import functools

import flax
import jax
import jax.numpy as jnp
import numpy as np

from jaxalign.models import llama2
from jaxalign.rl.sample import Sampling, generate, left_pad, row_keys
from jaxalign.sharding.layout import born

STEPS = []


@dataclasses.dataclass(unsafe_hash=True)
class Config:
  vocab: int
  eos: tuple[int, ...] = ()
  length: int = 4096
  dtype: str = 'float32'


@flax.struct.dataclass
class Table:
  """logits of what follows token v: logits_VV[v]. STEPS grows with every step it is asked for."""

  logits_VV: jax.Array
  cfg: Config = flax.struct.field(pytree_node=False)
  tokenizer = None
  small = True

  def grow(self, cache, slots):
    return cache

  def at_hand(self, rows):
    return self

  def prefill(self, prompt_BP, segment_BP, slots):
    return self.logits_VV[prompt_BP], jnp.int32(0)

  def extend(self, token_B1, cache):
    jax.debug.callback(lambda: STEPS.append(1))
    return self.logits_VV[token_B1], cache + 1

  def unembed(self, x_BTV):
    return x_BTV


def chain(follows, **cfg):
  """A table in which token v is followed by follows[v] (all but) surely."""
  logits_VV = 60 * np.eye(len(follows), dtype=np.float32)[np.array(follows)]
  return Table(jnp.array(logits_VV), Config(len(follows), **cfg))


@functools.cache
def tiny(mesh=None, **changes):
  """A Llama whose logits spread enough that its samples differ."""
  cfg = llama2.tiny(vocab=64, width=32, mlp=48, eos=(), **changes)
  model = born(lambda key: llama2.Llama2(cfg, key), mesh, jax.random.key(0))
  return jax.tree.map(lambda w: w * 5 if w.ndim > 1 else w, model)


def run(model, ids, length, *, seed=0, slots=None, padded=None, **how):
  prompt_BP, segment_BP = left_pad(ids, padded or max(map(len, ids)))
  how = Sampling(slots=slots or length, eos=model.cfg.eos, length=length, **how)
  return generate(model, prompt_BP, segment_BP, row_keys(ids, seed), how)


def prompts(lengths, vocab=64, seed=1):
  rng = np.random.default_rng(seed)
  return [rng.integers(0, vocab, n).tolist() for n in lengths]
