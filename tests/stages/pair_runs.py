"""The smallest runs of the stages that learn from pairs."""

import json

from jaxalign import main, sealing
from jaxalign.config import AdamW, Saving
from jaxalign.data import chat, rows, sources
from jaxalign.models import llama2

MODEL = llama2.tiny(
  depth=1, width=32, heads=4, kv_heads=2, mlp=64, vocab=1024, length=128, remat='none'
)


def write_pairs(path, count=24):
  """The chosen answer says yes, the rejected one no, in as many words; two subsets, margins."""
  made = []
  for n in range(count):
    pair = dict(prompt=f'Is {n * 7919 % 1000} a number?', chosen=f'yes it is {n % 7}')
    pair |= dict(rejected=f'no it is {n % 7}', subset=('even', 'odd')[n % 2], margin=0.25 * (n % 3))
    made.append(pair)
  path.write_text(''.join(json.dumps(row) + '\n' for row in made))
  columns = rows.Columns(subset='subset', margin='margin')
  return sources.Jsonl(path=str(path), kind='pair', columns=columns)


def small(stage, place, **changes):
  """A config of a few steps on one width of rows, so that little is compiled."""
  source = write_pairs(place / 'pairs.jsonl')
  fields = dict(model=MODEL, tokenizer='shipped', format=chat.TRANSCRIPT, train=(source,))
  fields |= dict(held_out=(source,), length=40, batch=8, steps=4, eval_every=4)
  fields |= dict(optim=AdamW(lr=1e-2), saving=Saving(every=100))
  return stage.Config(**fields | changes)


def run(stage, cfg, workdir):
  return main.run_stage(stage.run, sealing.seal(cfg), workdir, False)


def lines(workdir, name='metrics'):
  return [json.loads(line) for line in (workdir / f'{name}.jsonl').read_text().splitlines()]
