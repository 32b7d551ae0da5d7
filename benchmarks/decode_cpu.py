"""Greedy decoding on one core: jaxalign.sample's program beside transformers' generate.

  python benchmarks/decode_cpu.py [--rounds=5] [--stories=FILE]

Two Llamas, 16 rows, prompts of 16 tokens, 128 and 256 new tokens, float32, no stopping: stories260K
(where the file is there) and random weights of 1M parameters. Both sides hold the same weights, by
way of jaxalign.export, and must give the same tokens. Everything is pinned to one core, and time is
that core's, spent by this process: what a clock shows on an idle machine, and a neighbour cannot
stretch. Rounds alternate between the two sides; the best of each counts. Last comes the floor: the
multiplications a token needs, at the rate of the core's own matrix product.
Expected: every ratio is at least 2, which is also the exit status.
"""

import os

CORE = max(os.sched_getaffinity(0))
os.sched_setaffinity(0, {CORE})  # before any library counts the cores

import argparse  # noqa: E402
import pathlib  # noqa: E402
import sys  # noqa: E402
import tempfile  # noqa: E402
import time  # noqa: E402

import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
import numpy as np  # noqa: E402
import torch  # noqa: E402
import transformers  # noqa: E402

import jaxalign  # noqa: E402
from jaxalign.models import llama2  # noqa: E402
from jaxalign.rl.sample import Sampling, bucket, generate, left_pad, row_keys  # noqa: E402

STORIES = pathlib.Path(__file__).resolve().parents[1] / '../shared/data/stories260K/stories260K.bin'
ROWS, PROMPT, NEW = 16, 16, (128, 256)
LEAST = 2.0


def main():
  parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
  parser.add_argument('--rounds', type=int, default=5, help='the best of so many is reported')
  parser.add_argument('--stories', type=pathlib.Path, default=STORIES)
  args = parser.parse_args()
  torch.set_num_threads(1)
  transformers.logging.set_verbosity_error()
  transformers.utils.logging.disable_progress_bar()
  rate = matmul_rate()
  print(f'core {CORE}, best of {args.rounds}; matrix product {rate / 1e9:.0f} GFLOP/s')
  print('model          new   compile   jaxalign   transformers   ratio   share of the core')
  ratios = [
    compare(name, model, new, args.rounds, rate)
    for name, model in models(args.stories)
    for new in NEW
  ]
  sys.exit(min(ratios) < LEAST)


def models(stories):
  if stories.exists():
    yield 'stories260K', jaxalign.load(stories)
  else:
    print(f'skipped: stories260K ({stories.name} is not there)')
  cfg = llama2.tiny(depth=4, width=128, heads=4, kv_heads=4, mlp=344, vocab=512)
  model = llama2.Llama2(cfg, jax.random.key(0))
  # Larger than a fresh start, so that logits are well apart and rounding does not pick the token.
  yield 'random 1M', jax.tree.map(lambda w: 4 * w if w.ndim > 1 else w, model)


def compare(name, model, new, rounds, rate):
  """Prints one row of the table; the ratio of the two speeds."""
  prompt_BP = np.random.default_rng(0).integers(3, model.cfg.vocab, (ROWS, PROMPT))
  ours, theirs = jaxalign_run(model, prompt_BP, new), transformers_run(model, prompt_BP, new)
  start = time.process_time()
  tokens = ours()
  compiling = time.process_time() - start
  if not np.array_equal(tokens, theirs()):
    sys.exit(f'{name}: the two do not sample the same tokens')
  pairs = [(seconds(ours), seconds(theirs)) for _ in range(rounds)]
  us, them = (ROWS * new / min(side) for side in zip(*pairs))
  share = flops(model.cfg, new) * us / rate
  print(
    f'{name:12} {new:5} {compiling:8.1f}s {us:10,.0f} {them:14,.0f} {us / them:7.2f} {share:19.0%}',
    flush=True,
  )
  return us / them


def jaxalign_run(model, prompt_BP, new):
  prompts = prompt_BP.tolist()
  how = Sampling(slots=bucket(new), length=new, temperature=None)
  given = *left_pad(prompts, bucket(PROMPT)), row_keys(prompts, 0), how
  return lambda: np.asarray(generate(model, *given).tokens_BR[:, :new])


def transformers_run(model, prompt_BP, new):
  with tempfile.TemporaryDirectory() as directory:
    jaxalign.export(model, directory, overwrite=True)
    theirs = transformers.AutoModelForCausalLM.from_pretrained(directory).eval()
  ids = torch.tensor(prompt_BP)
  how = dict(attention_mask=torch.ones_like(ids), do_sample=False, use_cache=True)
  how |= dict(max_new_tokens=new, min_new_tokens=new, eos_token_id=None, pad_token_id=0)

  @torch.inference_mode()
  def run():
    return theirs.generate(ids, **how)[:, PROMPT:].numpy()

  return run


def flops(cfg, new):
  """Of one new token, on average: two for each weight, and attention over what is there by then."""
  D, H, G, K, F = (cfg.sizes[letter] for letter in 'DHGKF')
  weights = cfg.depth * (2 * D * H * K + 2 * D * G * K + 3 * D * F) + D * cfg.vocab
  return 2 * weights + cfg.depth * 4 * H * K * (PROMPT + new / 2)


def matmul_rate(n=1024):
  """FLOP/s of this core in float32: the best of several products of two large matrices."""
  product = jax.jit(jnp.matmul)
  a = jnp.ones((n, n))
  product(a, a).block_until_ready()
  best = min(seconds(lambda: product(a, a).block_until_ready()) for _ in range(10))
  return 2 * n**3 / best


def seconds(run):
  start = time.process_time()
  run()
  return time.process_time() - start


if __name__ == '__main__':
  main()
