"""What --doctor looks at for stage evaluate: all that refuses it, how every prompt is written, and
what it will cost."""

import dataclasses
import math
import os
import urllib.parse
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from jaxalign.chips import CHIPS, of_device
from jaxalign.config import UserError
from jaxalign.evals.encoding import Encoding
from jaxalign.evals.item import Item
from jaxalign.stages import asking, evaluate_refusals, opening_judges
from jaxalign.stages.doctors import doctor, surroundings
from jaxalign.stages.doctors.doctor import Check, Machine
from jaxalign.stages.refusals import Skip

_PACE = 100  # tokens a second, of a small model on a laptop: where a machine's is not known
_USED = 0.4  # of what a chip can do, while it generates
_LINKS = 9e10  # bytes a second that a chip takes in from the others
_CACHES = 'cache, which is there three times while rows join'  # as compiled for a v5e: preflight
_LINE = 400  # bytes of an answer's line, less its text
_CHARACTERS = 5  # bytes of a token's text, generously


@dataclasses.dataclass(frozen=True)
class _Load:
  """What all suites come to: answers, and tokens that are read and written at most."""

  answers: int
  read: int
  written: int
  longest: int = 0  # tokens of one, prompt and answer


def examine(cfg: Any, workdir: Any, machine: Machine) -> list[Check]:
  """The checks of a config of evaluate."""
  visit = doctor.Visit()
  asked = visit.ask(evaluate_refusals.EVALUATE, cfg, machine)
  endpoint = asking.endpoint_of(cfg.model)
  if endpoint is None:
    load = visit.check('prompts', prompts, cfg, asked['model'], asked['text'], asked['data'])
    visit.check('memory', _memory, cfg, asked['model'], asked['mesh'], load, machine)
    visit.check('cost', _cost, cfg, asked['model'], asked['mesh'], load, machine)
  else:
    visit.check('endpoint', _reachable, endpoint.url)
    load = visit.check('cost', _of_endpoint, cfg, asked['data'])
  visit.check('disk', _room, workdir, load)
  return visit.checks


def prompts(
  cfg: Any, model: Any, text: Encoding, data: Sequence[Sequence[Item]]
) -> tuple[str, _Load]:
  """Every prompt of a config's suites is written as the run will; those that do not fit are
  counted."""
  said, total = [], _Load(0, 0, 0)
  for suite, items in zip(cfg.suites, data):
    sizes = []
    draws, length = suite.decode.draws, suite.decode.length
    for item in items:
      if item.choices:
        pairs = text.pairs(item)
        each = [len(head + tail) for head, tail in pairs]
        size, more, most = sum(each), 0, max(each) - 1
      else:
        size, more = len(text.prompt(item)), length
        most = size + length
      sizes.append((size, more, most))
    read, written = (draws * sum(column) for column in zip(*(size[:2] for size in sizes)))
    long = sum(most > model.length for *_, most in sizes)
    total = _Load(
      total.answers + draws * len(items),
      total.read + read,
      total.written + written,
      max(total.longest, *(min(most, model.length) for *_, most in sizes)),
    )
    middle = np.median([size for size, *_ in sizes])
    words = f'{suite.name}: {len(items):,} items of {middle:.0f} tokens'
    said.append(words + (f', of which {long:,} do not fit {model.length:,}' if long else ''))
  return '; '.join(said), total


def _memory(cfg: Any, model: Any, mesh: Any, load: _Load, machine: Machine) -> str:
  """Weights, and the keys and values of all rows at the longest; and of each judge with weights,
  which is loaded when these are freed, its own."""
  if cfg.dtype is not None:
    model = dataclasses.replace(model, dtype=cfg.dtype, weights=cfg.dtype)
  shapes = jax.eval_shape(model.build, jax.random.key(0))
  size = np.dtype('float32' if model.dtype == 'float32' else 'float16').itemsize
  heads = model.depth * 2 * model.kv_heads * model.head_size
  ways = mesh.shape['data'] * mesh.shape['fsdp']
  cache = math.ceil(cfg.rows / ways) * load.longest * heads * size // mesh.shape['tensor']
  told = ''.join(_room_of(judge, mesh, machine) for judge in cfg.judges)
  try:
    parts = {'weights': doctor.device_bytes(shapes, mesh), _CACHES: 3 * cache}
    return doctor.fits_memory(parts, machine) + told
  except Skip as skip:
    raise Skip(f'{skip}{told}') from skip


def _room_of(judge: Any, mesh: Any, machine: Machine) -> str:
  """What a judge takes when the model is freed; '' of one without weights, refused by its name and
  with the slice that would hold it, where it does not fit."""
  build = opening_judges.builder_of(judge)
  if build is None:
    return ''
  shapes = jax.eval_shape(build, jax.random.key(0))
  size = doctor.device_bytes(shapes, mesh)
  words = f'judge {judge.name}, loaded when the model is freed: {size / 2**30:.2f} GiB a device'
  if machine.memory is not None and size > doctor.ROOM * machine.memory:
    kind = _kind_of(machine)
    what = doctor.slice_that_holds(shapes, kind) if kind else 'a machine with more memory'
    raise UserError(
      f'{words}, and {machine.name} has {machine.memory / 2**30:.2f}: {what} holds it, split over '
      'all devices (mesh.fsdp=-1); or judge later, by jaxalign judge on another machine'
    )
  return f'; then {words}'


def _cost(cfg: Any, model: Any, mesh: Any, load: _Load, machine: Machine) -> str:
  """Tokens, and hours at best: writing reads all weights at each step, which fsdp gathers first
  over the links; reading computes."""
  most = f'{load.read:,} tokens are read, {load.written:,} written at most'
  words = f'{load.answers:,} answers: {most}'
  chip = _chip_of(machine)
  if chip is None:
    left = load.written / _PACE + load.read / (20 * _PACE)
    return f'{words}; {asking.clock(left)} at {_PACE} tokens/s (of {machine.name} it is not known)'
  shapes = jax.eval_shape(model.build, jax.random.key(0))
  count = sum(math.prod(x.shape) for x in jax.tree.leaves(shapes))
  flops = machine.devices * chip.flops * _USED
  held = 2 * count / mesh.shape['tensor']  # bytes that a device reads
  gathered = held / _LINKS if mesh.shape['fsdp'] > 1 else 0.0
  step = max(held / (chip.bandwidth * _USED), 2 * count * cfg.rows / flops) + gathered
  seconds = load.written / cfg.rows * step + load.read * 2 * count / flops
  time = f'{asking.clock(seconds)} on {machine.name} at best'
  rate = f'{cfg.rows / step:,.0f} tokens/s with rows={cfg.rows}'
  advice = '; mesh.tensor in place of fsdp would gather no weights at each token' * bool(gathered)
  return f'{words}; {time}, {seconds * machine.devices / 3600:.1f} chip-hours: {rate}{advice}'


def _chip_of(machine: Machine) -> Any:
  return CHIPS.get(_kind_of(machine))


def _kind_of(machine: Machine) -> str:
  """The kind of a machine's chips; '' where nobody knows it."""
  if not machine.here:
    return machine.name.partition('-')[0]
  chip = of_device(jax.devices()[0].device_kind)
  return next((name for name, one in CHIPS.items() if one is chip), '')


def _of_endpoint(cfg: Any, data: Sequence[Sequence[Item]]) -> tuple[str, _Load]:
  counts = [suite.decode.draws * len(items) for suite, items in zip(cfg.suites, data)]
  written = sum(n * suite.decode.length for n, suite in zip(counts, cfg.suites))
  words = f'{sum(counts):,} calls, {written:,} tokens of answers at most; its prices are not known'
  return words, _Load(sum(counts), 0, written)


def _reachable(url: str) -> str:
  """Whether somebody listens there; only of this machine: no other hears of a doctor's visit."""
  if urllib.parse.urlsplit(url).hostname not in ('localhost', '127.0.0.1', '::1'):
    raise Skip(f'{url} is not of this machine: it is called when the evaluation runs')
  return surroundings.listens(url)


def _room(workdir: Any, load: _Load) -> str:
  place = os.fspath(workdir)
  if '://' in place:
    raise Skip(f'{place} is a bucket')
  needed = load.answers * 3 * _LINE + load.written * _CHARACTERS
  what = f'at most {needed / 2**20:,.0f} MiB of answers and verdicts'
  return surroundings.room(workdir, needed, what)
