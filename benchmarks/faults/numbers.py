"""Cases of numbers: every numeric field of every stage's `:smoke`, given what it cannot be.

What is in range is known from the field's own annotation (Annotated metadata that `holds` a value);
where it has none, only what no number of a run can be is tried, and what POSITIVE says.
"""

import itertools
import re
import typing

from benchmarks.faults.case import Case
from jaxalign import sealing

STAGES = {
  'explain': 'explain_llama2_7b',
  'sft': 'sft_llama2_7b',
  'reward': 'reward_llama2_7b',
  'dpo': 'dpo_llama2_7b',
  'ppo': 'ppo_llama2_7b',
  'bon': 'bon_llama2_7b',
  'study': 'study_valueworld',
}
VALUES = (
  '-1',
  '0',
  'nan',
  'inf',
  '-inf',
  '1e308',
  '1e-320',
  '1' + '0' * 30,
  'many',
  '',
  'none',
  '1,2',
  '-0.5',
  '1e12',
  '0x10',
)
POSITIVE = re.compile(
  r'(^|\.)(depth|width|heads|mlp|vocab|length|batch|minibatch|microbatches|steps|steps_per_call'
  r'|every|keep|lr|eval_every|epochs|temperature|count|n|prompt|response)$'
)  # of a field without a range: 0 and below are not for these
FREE = re.compile(r'(^|\.)(pad|bos|eos|fsdp|data|tensor)$')  # -1 may mean something there
WARMUP = {'optim.schedule.warmup': 0}
SHORT = {  # so that an input that is let through costs seconds
  'explain': dict(steps=2, eval_every=2, steps_per_call=1, batch=2, length=64, **WARMUP),
  'sft': dict(steps=2, eval_every=2, steps_per_call=1, batch=2, **WARMUP),
  'reward': dict(steps=2, eval_every=2, batch=2, **WARMUP),
  'dpo': dict(steps=2, eval_every=2, batch=2, **WARMUP),
  'ppo': dict(steps=2, eval_every=2, batch=4, minibatch=4, eval_prompts=4),
  'bon': dict(count=4, n=4, batch=16),
  'study': {},
}


def fields(cfg, name=''):
  """(dotted name, its annotation with bounds) of every numeric field, those of parts included."""

  hints = typing.get_type_hints(type(cfg), include_extras=True)
  for field in sealing.field_types(cfg):
    value = getattr(cfg, field)
    inside = [(field, value)]
    if isinstance(value, tuple):
      inside = [(f'{field}.{n}', one) for n, one in enumerate(value)]
    for part, one in inside:
      if sealing.is_config(one):
        yield from fields(one, f'{name}{part}.')
    if set(map(plain, sealing.choices(hints[field]))) & {int, float}:
      yield f'{name}{field}', hints[field]


def plain(kind):
  """An annotation without its bounds."""
  return typing.get_args(kind)[0] if typing.get_origin(kind) is typing.Annotated else kind


def refused(name, kind, text):
  """Whether no run could mean this value: only what is certain is a case."""

  kinds = sealing.choices(kind)
  if text == 'none':
    return type(None) not in kinds
  numeric = [one for one in kinds if plain(one) in (int, float)]
  return all(_outside(name, one, text) for one in numeric)


def _outside(name, kind, text):
  base, bounds = plain(kind), [x for x in typing.get_args(kind)[1:] if hasattr(x, 'holds')]
  try:
    value = base(text)
  except (ValueError, OverflowError):
    return True
  if base is float and not abs(value) < float('inf'):
    return True
  if bounds:
    return not all(bound.holds(value) for bound in bounds)
  if base is int and value >= 10**30:
    return True
  return value <= 0 and bool(POSITIVE.search(name)) and not FREE.search(name)


def cases():
  from jaxalign import main

  for stage, file in STAGES.items():
    config, seen = f'configs/{file}.py:smoke', set()
    for name, kind in fields(main.load(config)):
      if (same := re.sub(r'\d+', 'N', name)) in seen:
        continue  # a study has dozens of stages
      seen.add(same)
      for text in VALUES:
        if refused(name, kind, text):
          yield _case(stage, config, name, text)


def drawn(every, rng):
  """All of them in an order in which every stage's turn comes, so that any first part is fair."""
  by_stage = {}
  for one in every:
    by_stage.setdefault(one.name.split()[0], []).append(one)
  for some in by_stage.values():
    rng.shuffle(some)
  turns = itertools.chain.from_iterable(itertools.zip_longest(*by_stage.values()))
  return [one for one in turns if one is not None]


def _case(stage, config, name, text):
  short = [f'--config.{k}={v}' for k, v in SHORT[stage].items() if k != name]
  argv = (f'--config={config}', '--workdir={place}/run', *short, f'--config.{name}={text}')
  says = rf'\b{re.escape(name)}\b'
  return Case(kind='numbers', name=f'{stage} {name}={text}', argv=argv, says=says, limit=40)
