"""Tokens a second from records to rows, beside the tokenizer alone on the same texts.

  python benchmarks/data_path.py --hh ../shared/data/hh-rlhf --times 8 \\
    --tokenizer ../shared/data/tokenizers/llama2

Wall and CPU seconds (of this process and of its workers): where others use the machine, only the
latter can be compared. `tokenizer alone` is encode_batch on texts that lie in memory; prepare reads
and parses the corpus, tokenizes, and writes; rows reads examples back and packs them. Each worker
takes about a second to start: use --times to see what a larger corpus does.
"""

import argparse
import functools
import glob
import os
import tempfile
import time

import numpy as np

from jaxalign.data import chat, dialogues, packing
from jaxalign.data.batches import Batches, Part
from jaxalign.data.prepare import prepare
from jaxalign.data.sources import HH
from jaxalign.data.text import Tokenizer

LENGTH = 2048


def cpu():
  t = os.times()
  return t.user + t.system + t.children_user + t.children_system


def timed(name, work, tokens=None):
  """Prints what `work` did a second; where no count is given, it returns its own."""
  wall, used = time.perf_counter(), cpu()
  result = work()
  wall, used = time.perf_counter() - wall, cpu() - used
  tokens = tokens or result
  print(
    f'{name:28} {tokens / wall / 1e6:8.2f} M tokens/s {tokens / used / 1e6:8.2f} M a CPU second'
  )
  return result


def written(form, tokenizer, records):
  """The texts that prepare tokenizes, as the tokenizer would get them from a plain loop."""
  return [span.text for record in records for span in dialogues.spans(form, tokenizer, record)]


def main():
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument('--hh', required=True)
  parser.add_argument('--tokenizer', required=True)
  parser.add_argument('--times', type=int, default=1, help='the corpus so many times over')
  parser.add_argument('--workers', type=int, nargs='+', default=[1, os.cpu_count()])
  args = parser.parse_args()
  files = sorted(glob.glob(f'{args.hh}/*/test.jsonl.gz'))
  source = HH(path=tuple(files) * args.times, as_='conversation')
  tokenizer = Tokenizer.load(args.tokenizer)
  form = chat.LLAMA2_CHAT if tokenizer.family == 'llama2' else chat.PHI2_INSTRUCT
  print(tokenizer, form.name)
  records = [record for _, record in source.read()]
  texts = written(form, tokenizer, records)

  def alone():
    return sum(map(len, tokenizer.encode_batch(texts, bos=False)))

  alone()
  tokens = timed('tokenizer alone', alone)
  timed('reading alone', lambda: [None for _ in source.read()], tokens)
  for workers in args.workers:
    with tempfile.TemporaryDirectory() as place:
      options = dict(directory=place, length=LENGTH, workers=workers)
      one = functools.partial(prepare, source, tokenizer, form, **options)
      corpus = timed(f'prepare, {workers} workers', one, tokens)
      if workers == args.workers[-1]:
        rows_of(corpus, corpus.manifest['tokens'])


def rows_of(corpus, tokens):
  plan = timed('pack', lambda: packing.pack(corpus.lengths, LENGTH), tokens)
  print(
    f'{len(corpus)} examples in {len(plan)} rows: {plan.efficiency(corpus.lengths, LENGTH):.2%}'
  )
  made = Batches([Part(corpus)], LENGTH, 16, seed=0)
  steps = range(made.order.steps_per_epoch)

  def held():
    return sum(np.count_nonzero(made.rows(n, range(16))['segment_BT']) for n in steps)

  timed('rows, batch 16', held)
  million = np.clip(np.random.default_rng(0).lognormal(5.3, 0.9, 1_000_000), 1, LENGTH).astype(int)
  timed('pack, 1 M lengths', lambda: packing.pack(million, LENGTH), int(million.sum()))


if __name__ == '__main__':
  main()
