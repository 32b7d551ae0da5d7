"""What transformers and PyTorch do on the card, in a process of their own: eager, then with each
layer compiled (regional torch.compile). Random weights in bf16, SDPA, gradient checkpointing.
"""

import argparse
import contextlib
import gc
import importlib.metadata
import json
import pathlib
import statistics
import sys
import time

import torch
import transformers

CUDA = torch.cuda.is_available()
DEVICE = 'cuda' if CUDA else 'cpu'


class Paper:
  """What was measured, written to its file after every line."""

  def __init__(self, path, seconds):
    self.path, self.deadline = path, time.monotonic() + seconds
    version = importlib.metadata.version
    names = 'torch', 'transformers'
    self.made = dict(versions={n: version(n) for n in names} | dict(cuda=torch.version.cuda))
    self.made |= dict(rows=[])

  def row(self, what, **values):
    self.made['rows'].append(dict(what=what, **values))
    print(f'{what:40} {values}', flush=True)
    self.path.write_text(json.dumps(self.made, indent=1) + '\n')

  def part(self, what, measure):
    if time.monotonic() > self.deadline:
      return self.row(what, left_out='no time left')
    try:
      self.row(what, **measure())
    except torch.OutOfMemoryError:
      self.row(what, left_out='does not fit')
    finally:
      gc.collect()
      if CUDA:
        torch.cuda.empty_cache()


def timed(run, at_least):
  """As ours: the median, n, and the middle half; the first run is not counted."""
  times = []
  run()
  wait()
  end = time.perf_counter() + at_least
  while len(times) < 3 or time.perf_counter() < end:
    begun = time.perf_counter()
    run()
    wait()
    times.append(time.perf_counter() - begun)
  low, _, high = statistics.quantiles(times, n=4)
  return dict(seconds=statistics.median(times), n=len(times), low=low, high=high)


def wait():
  if CUDA:
    torch.cuda.synchronize()


def fresh(raw, compiled):
  raw = {k: v for k, v in raw.items() if k not in ('torch_dtype', 'architectures')}
  config = transformers.AutoConfig.for_model(**raw)
  with torch.device(DEVICE):
    make = transformers.AutoModelForCausalLM.from_config
    model = make(config, dtype=torch.bfloat16, attn_implementation='sdpa')
  if compiled:
    for layer in model.model.layers:
      layer.compile(backend='inductor' if CUDA else 'aot_eager')
  return model


def step(raw, sizes, compiled):
  model = fresh(raw, compiled).train()
  model.gradient_checkpointing_enable(gradient_checkpointing_kwargs=dict(use_reentrant=False))
  opt = torch.optim.AdamW(model.parameters(), lr=1e-5, fused=CUDA)
  shape = sizes['rows'], sizes['length']
  ids = torch.randint(3, raw['vocab_size'], shape, device=DEVICE)

  def run():
    opt.zero_grad()
    model(input_ids=ids, labels=ids, use_cache=False).loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    opt.step()

  took = timed(run, sizes['seconds'])
  return dict(tokens_s=ids.numel() / took['seconds'], rows=shape[0], length=shape[1], **took)


@torch.inference_mode()
def prefill(raw, sizes, compiled):
  model = fresh(raw, compiled).eval()
  ids = torch.randint(3, raw['vocab_size'], (sizes['batch'], sizes['prompt']), device=DEVICE)
  took = timed(lambda: model(ids, use_cache=True, logits_to_keep=1), sizes['seconds'])
  return dict(tokens_s=ids.numel() / took['seconds'], **took)


@torch.inference_mode()
def decode(raw, sizes, compiled):
  """Seconds a token: two lengths apart; compiled, over a cache of one size."""
  model = fresh(raw, False).eval()
  ids = torch.randint(3, raw['vocab_size'], (sizes['batch'], sizes['prompt']), device=DEVICE)
  how = dict(attention_mask=torch.ones_like(ids), do_sample=False, use_cache=True, pad_token_id=0)
  how |= dict(cache_implementation='static') if compiled else {}

  def say(n):
    return lambda: model.generate(ids, **how, max_new_tokens=n, min_new_tokens=n, eos_token_id=None)

  few, many = max(sizes['new'] // 32, 1), sizes['new']  # their cache grows: all of it, as asked
  short, long = (timed(say(n), sizes['seconds'] / 2) for n in (few, many))
  apart = {k: (long[k] - short[k]) / (many - few) for k in ('seconds', 'low', 'high')}
  return dict(tokens_s=sizes['batch'] / apart['seconds'], n=long['n'], **apart)


def main(argv=None):
  parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
  parser.add_argument('--out', type=pathlib.Path, required=True)
  parser.add_argument('--models', type=pathlib.Path, required=True, help='sizes, and configs')
  parser.add_argument('--seconds', type=float, default=1e9)
  parser.add_argument('--parts', required=True)
  args = parser.parse_args(argv)
  transformers.logging.set_verbosity_error()
  given, paper = json.loads(args.models.read_text()), Paper(args.out, args.seconds)
  sizes = given['sizes'] | dict(seconds=given['sizes']['seconds'] / 2)
  parts = dict(train=step, prefill=prefill, decode=decode)
  for compiled in (False, True):
    for name, raw in given['models'].items():
      for what, measure in parts.items():
        if {'prefill': 'decode'}.get(what, what) in args.parts.split(','):
          how = 'compiled' if compiled else 'eager'
          with contextlib.suppress(KeyboardInterrupt):
            paper.part(f'{what} {name}, {how}', lambda m=measure, r=raw, c=compiled: m(r, sizes, c))
  return 0


if __name__ == '__main__':
  sys.exit(main())
