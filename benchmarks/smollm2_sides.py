"""The two sides of smollm2_cpu.py: what each does when it is asked, in a process of its own."""

import functools
import os
import time

import numpy as np

ROWS, PROMPT, NEW = 16, 96, 48
TRAIN_ROWS, TRAIN_LENGTH, RANK, ALPHA = 4, 256, 16, 32.0
OPTIM = dict(lr=1e-4, b1=0.9, b2=0.95, eps=1e-8, weight_decay=0.1)
CLIP = 1.0
MATRICES = ('q', 'k', 'v', 'o', 'gate', 'up', 'down')


def batch(vocab, rows, length):
  return np.random.default_rng(0).integers(3, vocab, (rows, length))


def once(run):
  """([seconds], what it said): by the clock; on one core CPU time, which no neighbour stretches."""
  clock = time.process_time if len(os.sched_getaffinity(0)) == 1 else time.perf_counter
  start = clock()
  said = run()
  return [clock() - start], said


def apart(first, whole):
  """([until the first token, each further token], tokens) of one row."""
  (a,), _ = once(first)
  (b,), said = once(whole)
  return [a, (b - a) / (NEW - 1)], said


def ours(directory):
  """{what: a maker of the function that does it}, after the model is loaded."""
  from jaxalign import allocator

  allocator.keep_freed()
  import jax
  import jax.numpy as jnp

  import jaxalign
  from jaxalign.losses import head
  from jaxalign.models.adapters import Lora, adapter_builder
  from jaxalign.rl.answers import answers
  from jaxalign.rl.sample import Sampling, generate, left_pad, row_keys
  from jaxalign.rl.stream import Request
  from jaxalign.sharding.meshes import make_mesh
  from jaxalign.stages import language
  from jaxalign.train.optim import make_optimizer
  from jaxalign.train.state import make_state, make_step

  model = jaxalign.load(directory, dtype='float32')
  model.tokenizer = None
  cfg = model.cfg

  def score():
    @jax.jit
    def logprobs(model, tokens_BT):
      x_BTD, targets_BT = model(tokens_BT)[:, :-1], tokens_BT[:, 1:]
      return head.token_logprobs_from_hidden(x_BTD, *model.head(), targets_BT, entropy=False)[0]

    ids = jnp.asarray(batch(cfg.vocab, ROWS, PROMPT), jnp.int32)
    return lambda: once(lambda: np.asarray(logprobs(model, ids)).ravel().tolist())

  def sampled(rows):
    prompts = batch(cfg.vocab, rows, PROMPT).tolist()
    given = *left_pad(prompts, PROMPT), row_keys(prompts, 0)

    def run(new):
      how = Sampling(slots=NEW, length=new, temperature=None)
      out = generate(model.at_hand(rows), *given, how)
      return np.asarray(out.tokens_BR[:, :new]).tolist()

    return run

  def decode():
    run = sampled(ROWS)
    return lambda: once(lambda: run(NEW))

  def row():
    run = sampled(1)
    return lambda: apart(lambda: run(1), lambda: run(NEW))

  def streamed():
    import dataclasses

    endless = model.under(dataclasses.replace(cfg, eos=()))
    prompts = batch(cfg.vocab, ROWS, PROMPT).tolist()
    asked = [Request(prompt=tuple(p), length=NEW, temperature=0.0) for p in prompts]
    return lambda: once(lambda: [answer.tokens for _, answer in sorted(answers(endless, asked))])

  def step(lora):
    import dataclasses

    free = dataclasses.replace(cfg, remat='none')
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
    tokens = jnp.asarray(batch(cfg.vocab, TRAIN_ROWS, TRAIN_LENGTH), jnp.int32)
    data = dict(tokens_BT=tokens[None], weight_BT=jnp.ones((1, *tokens.shape)))

    def stepped():
      nonlocal state
      state, (metrics, _) = run(state, data, given)
      total, weight = jax.block_until_ready((metrics['loss'], state))[0]
      return [float(total[0] / weight[0])]

    return lambda: once(stepped)

  def shape(rows, inputs, outputs, copies):
    multiply = jax.jit(
      lambda x, ws: [jnp.einsum('ni,oi->no', x, w, precision='highest') for w in ws]
    )
    x, ws = jnp.ones((rows, inputs)), [jnp.full((outputs, inputs), n + 1.0) for n in range(copies)]
    return lambda: jax.block_until_ready(multiply(x, ws))

  train = dict(lora=lambda: step(True), full=lambda: step(False))
  return dict(score=score, decode=decode, row=row, answers=streamed, **train, shape=shape)


def theirs(directory):
  import torch
  import transformers

  transformers.utils.logging.disable_progress_bar()
  transformers.logging.set_verbosity_error()
  torch.set_num_threads(len(os.sched_getaffinity(0)))
  load = functools.partial(transformers.AutoModelForCausalLM.from_pretrained, dtype=torch.float32)
  model = load(directory).eval()
  vocab = model.config.vocab_size

  def ids(*size):
    return torch.tensor(batch(vocab, *size), dtype=torch.long)

  def score():
    given = ids(ROWS, PROMPT)

    @torch.inference_mode()
    def run():
      logits = model(given, use_cache=False).logits[:, :-1]
      picked = torch.gather(logits, -1, given[:, 1:, None])[..., 0]
      return (picked - torch.logsumexp(logits, -1)).ravel().tolist()

    return lambda: once(run)

  def sampled(rows):
    given = ids(rows, PROMPT)
    how = dict(attention_mask=torch.ones_like(given), do_sample=False, use_cache=True)

    @torch.inference_mode()
    def run(new):
      length = dict(max_new_tokens=new, min_new_tokens=new, eos_token_id=None, pad_token_id=0)
      return model.generate(given, **how, **length)[:, PROMPT:].tolist()

    return run

  def decode():
    run = sampled(ROWS)
    return lambda: once(lambda: run(NEW))

  def row():
    run = sampled(1)
    return lambda: apart(lambda: run(1), lambda: run(NEW))

  class Adapted(torch.nn.Module):
    def __init__(self, base):
      super().__init__()
      self.base = base.requires_grad_(False)
      self.low = torch.nn.Parameter(torch.randn(RANK, base.in_features) * base.in_features**-0.5)
      self.high = torch.nn.Parameter(torch.zeros(base.out_features, RANK))

    def forward(self, x):
      linear = torch.nn.functional.linear
      return self.base(x) + ALPHA / RANK * linear(linear(x, self.low), self.high)

  def step(lora):
    trained = load(directory).train()
    if lora:
      trained.requires_grad_(False)
      for part in [part for layer in trained.model.layers for part in (layer.self_attn, layer.mlp)]:
        for name, base in [*part.named_children()]:
          if isinstance(base, torch.nn.Linear):
            setattr(part, name, Adapted(base))
    free = [p for p in trained.parameters() if p.requires_grad]
    groups = [dict(params=[p for p in free if p.ndim > 1])]
    groups += [dict(params=[p for p in free if p.ndim == 1], weight_decay=0.0)]
    how = dict(lr=OPTIM['lr'], betas=(OPTIM['b1'], OPTIM['b2']), eps=OPTIM['eps'])
    opt = torch.optim.AdamW(groups, weight_decay=OPTIM['weight_decay'], **how)
    given = ids(TRAIN_ROWS, TRAIN_LENGTH)

    def run():
      opt.zero_grad()
      loss = trained(input_ids=given, labels=given, use_cache=False).loss
      loss.backward()
      torch.nn.utils.clip_grad_norm_(free, CLIP)
      opt.step()
      return [loss.item()]

    return lambda: once(run)

  def shape(rows, inputs, outputs, copies):
    x = torch.ones(rows, inputs)
    ws = [torch.full((outputs, inputs), n + 1.0) for n in range(copies)]

    @torch.inference_mode()
    def run():
      return [torch.nn.functional.linear(x, w) for w in ws]

    return run

  train = dict(lora=lambda: step(True), full=lambda: step(False))
  return dict(score=score, decode=decode, row=row, answers=decode, **train, shape=shape)
