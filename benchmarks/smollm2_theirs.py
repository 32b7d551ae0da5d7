"""What transformers and PyTorch do for smollm2_cpu.py, in a process of their own."""

import functools
import os

import torch
import transformers
from smollm2_cpu import (
  ALPHA,
  CLIP,
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

load = functools.partial(transformers.AutoModelForCausalLM.from_pretrained, dtype=torch.float32)


def ids(model, *size):
  return torch.tensor(batch(model.config.vocab_size, *size), dtype=torch.long)


def score(model):
  given = ids(model, ROWS, PROMPT)

  @torch.inference_mode()
  def run():
    logits = model(given, use_cache=False).logits[:, :-1]
    picked = torch.gather(logits, -1, given[:, 1:, None])[..., 0]
    return (picked - torch.logsumexp(logits, -1)).ravel().tolist()

  return lambda: once(run)


def sampled(model, rows):
  given = ids(model, rows, PROMPT)
  how = dict(attention_mask=torch.ones_like(given), do_sample=False, use_cache=True)

  @torch.inference_mode()
  def run(new):
    length = dict(max_new_tokens=new, min_new_tokens=new, eos_token_id=None, pad_token_id=0)
    return model.generate(given, **how, **length)[:, PROMPT:].tolist()

  return run


def decode(model):
  run = sampled(model, ROWS)
  return lambda: once(lambda: run(NEW))


def row(model):
  run = sampled(model, 1)
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


def step(directory, lora):
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
  given = ids(trained, TRAIN_ROWS, TRAIN_LENGTH)

  def run():
    opt.zero_grad()
    loss = trained(input_ids=given, labels=given, use_cache=False).loss
    loss.backward()
    torch.nn.utils.clip_grad_norm_(free, CLIP)
    opt.step()
    return [loss.item()]

  return lambda: once(run)


def shape(rows, inputs, outputs, copies, kind):
  """kind: y, a product; dx and dw, those of its gradient, as autograd multiplies."""
  products = dict(y=torch.nn.functional.linear, dx=lambda dy, w: dy @ w, dw=lambda dy, x: dy.T @ x)
  ones = torch.ones(rows, inputs if kind == 'y' else outputs)
  other = (rows, inputs) if kind == 'dw' else (outputs, inputs)
  others = [torch.full(other, n + 1.0) for n in range(copies)]

  @torch.inference_mode()
  def run():
    return [products[kind](ones, one) for one in others]

  return run


def side(directory):
  """{what: a maker of the function that does it}."""
  transformers.utils.logging.disable_progress_bar()
  transformers.logging.set_verbosity_error()
  torch.set_num_threads(len(os.sched_getaffinity(0)))
  model = load(directory).eval()
  parts = dict(score=score, decode=decode, row=row, answers=decode)
  made = {name: functools.partial(part, model) for name, part in parts.items()}
  made |= {name: functools.partial(step, directory, name == 'lora') for name in ('lora', 'full')}
  return made | dict(shape=shape)
