"""What jaxalign does for smollm2_cpu.py, in a process of its own."""

from jaxalign import allocator

allocator.keep_freed()  # as jaxalign.main does, before jax touches a device

import dataclasses  # noqa: E402
import functools  # noqa: E402

import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
import numpy as np  # noqa: E402
from smollm2_cpu import (  # noqa: E402
  ALPHA,
  CLIP,
  MATRICES,
  NEW,
  OPTIM,
  PROMPT,
  RANK,
  ROWS,
  TRAIN_LENGTH,
  TRAIN_ROWS,
  apart,
  batch,
  once,
)

import jaxalign  # noqa: E402
from jaxalign.losses import head  # noqa: E402
from jaxalign.models import layers  # noqa: E402
from jaxalign.models.adapters import Lora, adapter_builder  # noqa: E402
from jaxalign.rl.answers import answers  # noqa: E402
from jaxalign.rl.sample import Sampling, generate, left_pad, row_keys  # noqa: E402
from jaxalign.rl.stream import Request  # noqa: E402
from jaxalign.sharding.meshes import make_mesh  # noqa: E402
from jaxalign.stages import language  # noqa: E402
from jaxalign.train.optim import make_optimizer  # noqa: E402
from jaxalign.train.state import make_state, make_step  # noqa: E402


def score(model):
  @jax.jit
  def logprobs(model, tokens_BT):
    x_BTD, targets_BT = model(tokens_BT)[:, :-1], tokens_BT[:, 1:]
    return head.token_logprobs_from_hidden(x_BTD, *model.head(), targets_BT, entropy=False)[0]

  ids = jnp.asarray(batch(model.cfg.vocab, ROWS, PROMPT), jnp.int32)
  return lambda: once(lambda: np.asarray(logprobs(model, ids)).ravel().tolist())


def sampled(model, rows):
  prompts = batch(model.cfg.vocab, rows, PROMPT).tolist()
  given = *left_pad(prompts, PROMPT), row_keys(prompts, 0)

  def run(new):
    how = Sampling(slots=NEW, length=new, temperature=None)
    out = generate(model.at_hand(rows), *given, how)
    return np.asarray(out.tokens_BR[:, :new]).tolist()

  return run


def decode(model):
  run = sampled(model, ROWS)
  return lambda: once(lambda: run(NEW))


def row(model):
  run = sampled(model, 1)
  return lambda: apart(lambda: run(1), lambda: run(NEW))


def streamed(model):
  endless = model.under(dataclasses.replace(model.cfg, eos=()))
  prompts = batch(model.cfg.vocab, ROWS, PROMPT).tolist()
  asked = [Request(prompt=tuple(p), length=NEW, temperature=0.0) for p in prompts]
  return lambda: once(lambda: [answer.tokens for _, answer in sorted(answers(endless, asked))])


def step(model, lora):
  free = dataclasses.replace(model.cfg, remat='none')
  schedule = jaxalign.config.Schedule(shape='constant')
  optim = jaxalign.config.AdamW(**OPTIM, clip=CLIP, schedule=schedule)
  tx, mesh = make_optimizer(optim, 1000), make_mesh(devices=jax.devices()[:1])
  weights = Lora(rank=RANK, alpha=ALPHA, weights=tuple(f'{name}_*' for name in MATRICES))
  build = adapter_builder(free, weights) if lora else free.build
  loss = language.adapted_loss(weights) if lora else language.loss
  base = model.under(free)
  _, make = make_state(build, tx, 0, mesh)
  run = make_step(loss, tx)
  state = make() if lora else make(jax.tree.map(jnp.copy, base))
  given = base if lora else None
  tokens = jnp.asarray(batch(model.cfg.vocab, TRAIN_ROWS, TRAIN_LENGTH), jnp.int32)
  data = dict(tokens_BT=tokens[None], weight_BT=jnp.ones((1, *tokens.shape)))

  def stepped():
    nonlocal state
    state, (metrics, _) = run(state, data, given)
    total, weight = jax.block_until_ready((metrics['loss'], state))[0]
    return [float(total[0] / weight[0])]

  return lambda: once(stepped)


def shape(rows, inputs, outputs, copies, kind):
  """kind: y, a product; dx and dw, those of its gradient, as layers writes them."""
  how = dict(precision='highest')
  products = dict(
    y=lambda x, w: jnp.einsum('ni,oi->no', x, w, **how),
    dx=lambda dy, w: jnp.einsum('no,oi->ni', dy, w, **how),
    dw=lambda dy, x: layers.of_weight(dy, x),
  )
  ones = jnp.ones((rows, inputs if kind == 'y' else outputs))
  other = (rows, inputs) if kind == 'dw' else (outputs, inputs)
  others = [jnp.full(other, n + 1.0) for n in range(copies)]
  multiply = jax.jit(lambda one, others: [products[kind](one, other) for other in others])
  return lambda: jax.block_until_ready(multiply(ones, others))


def side(directory):
  """{what: a maker of the function that does it}."""
  model = jaxalign.load(directory, dtype='float32')
  del model.tokenizer, model.format  # of what trains neither is a part
  parts = dict(score=score, decode=decode, row=row, answers=streamed)
  parts |= dict(lora=functools.partial(step, lora=True), full=functools.partial(step, lora=False))
  return {name: functools.partial(part, model) for name, part in parts.items()} | dict(shape=shape)
