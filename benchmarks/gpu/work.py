"""What is measured and compiled: sizes, models, and the stages' own configs."""

import dataclasses

import jax
import jax.numpy as jnp

from configs import explain_llama2_7b, ppo_phi2
from jaxalign.config import AdamW, Schedule
from jaxalign.models import llama2, phi2
from jaxalign.stages import explain, ppo

ADAM = AdamW(lr=1e-5, eps=1e-5, schedule=Schedule(shape='constant'))


@dataclasses.dataclass(frozen=True)
class Sizes:
  product: int = 8192  # sides of the matrices whose product is the card's rate
  copy: int = 2**32  # bytes of what is copied
  seconds: float = 2.0  # of a figure, at least
  length: int = 2048
  rows: int = 8  # of an optimizer step
  prompt: int = 512
  new: int = 256  # tokens sampled
  batch: int = 32  # rows sampled
  documents: tuple[int, ...] = (4, 8, 16)  # told to cuDNN at most


TINY = Sizes(
  product=128, copy=2**16, seconds=0.05, length=64, rows=4, prompt=16, new=16, batch=4,
  documents=(4,),
)  # fmt: skip
MODELS = {'llama2_7b': llama2.llama2_7b(), 'phi2': phi2.phi2()}
TINY_MODELS = {
  'llama2_tiny': llama2.tiny(eos=(), dtype='bfloat16'),
  'phi2_tiny': phi2.tiny(eos=(), dtype='bfloat16'),
}
DIALECTS = {llama2.Config: llama2.HUGGING_FACE, phi2.Config: phi2.HUGGING_FACE}


def of(tiny: bool):
  """(sizes, models)."""
  return (TINY, TINY_MODELS) if tiny else (Sizes(), MODELS)


def changed(cfg, **fields):
  return type(cfg)(**{**vars(cfg), **fields})


def count(cfg) -> int:
  """Of its weights."""
  return sum(w.size for w in jax.tree.leaves(jax.eval_shape(cfg.build, jax.random.key(0))))


def stored(cfg, memory: int | None, copies: int = 1, share: float = 0.75):
  """(the config with the widest weights of which so many trained copies fit, that in words).

  AdamW in float32 takes 16 bytes a weight with its gradient, in bfloat16 8: enough for a step's
  time, too coarse to train with. memory: None, as on a CPU, is enough for all.
  """
  weights = count(cfg)
  wide = memory is None or copies * 16 * weights < share * memory
  dtype = 'float32' if wide else 'bfloat16'
  return changed(cfg, weights=dtype), f'{weights / 1e9:.2f} B weights and moments in {dtype}'


def training(cfg, sizes: Sizes, microbatches: int = 1, remat: str = 'full') -> explain.Config:
  """The stage explain on so many packed rows a step."""
  stage = explain_llama2_7b.full(
    changed(cfg, remat=remat), init=None, batch=sizes.rows, length=sizes.length
  )
  return dataclasses.replace(stage, microbatches=microbatches, optim=ADAM)


def rounds(cfg, sizes: Sizes) -> ppo.Config:
  """PPO's iteration: one epoch of two minibatches, a reward model of the policy's kind."""
  given = ppo_phi2.get_config()
  return dataclasses.replace(
    given, model=cfg, critic=None, pretraining=(), batch=sizes.batch, minibatch=sizes.batch // 2,
    microbatches=1, prompt=sizes.prompt, response=sizes.new, optim=ADAM, critic_optim=ADAM,
    rules=dataclasses.replace(given.rules, epochs=1, ptx=0.0),
  )  # fmt: skip


def packed(rows: int, length: int, vocab: int):
  """Token ids and four documents a row, as packing leaves them."""
  tokens_BT = jax.random.randint(jax.random.key(0), (rows, length), 3, vocab)
  segment_BT = jnp.broadcast_to(jnp.arange(length) * 4 // length + 1, (rows, length))
  return tokens_BT, segment_BT.astype(jnp.int32)


def token_bytes(cfg, rows: int, slots: int) -> int:
  """What a sampled token must read in bfloat16: the weights but the embedding, of which rows are
  looked up, and the cache."""
  embedding = 0 if cfg.tied else cfg.vocab * cfg.width
  cache = 2 * rows * cfg.depth * cfg.kv_heads * slots * cfg.head_size
  return 2 * (count(cfg) - embedding + cache)
