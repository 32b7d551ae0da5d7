"""Which programs an evaluation runs, and how often: of each suite what reads and what writes, then
of each judge that has weights. Of the widths that a program may have, the widest, called as often
as makes up for all; answers are as long as they may be.

A config that names no model is taken to ask Llama-2-7B, of which nothing need be here but the
tokenizer. A judge whose model is not here is taken to be as large as the published one.
"""

import collections
import dataclasses
import math

import jax
import jax.numpy as jnp
from jax.sharding import NamedSharding

from jaxalign.chips import CHIPS, of_device
from jaxalign.config import UserError
from jaxalign.data import chat
from jaxalign.evals.ask import request_of
from jaxalign.evals.judges import native, prompts
from jaxalign.models import decoder, llama2
from jaxalign.probes import states
from jaxalign.rl import score, score_plan, stream_step
from jaxalign.rl.answers import AT_ONCE, misfit, shape_of
from jaxalign.rl.sample import bucket
from jaxalign.rl.stream import PIECE
from jaxalign.sharding.alphabet import spec
from jaxalign.stages import evaluate_refusals, judging, opening_judges, trained
from jaxalign.stages.doctors import doctor
from jaxalign.stages.refusals import Found
from launch.program import Program

SHORTEST = 64  # tokens of the narrowest batch of a judge
DIALOGUE = 1024  # tokens of one that a reward model is taken to read


def programs_of(cfg, mesh):
  cfg = with_a_model(cfg)
  found = Found(mesh=mesh)
  for name, rule in evaluate_refusals.EVALUATE:
    if name != 'judges':  # whose models need not be here
      said = rule(cfg, found)
      found[name] = said[1]
  if found['model'] is None:
    raise UserError(f'model={cfg.model} is asked where it is served: nothing is compiled here')
  model = found['model']
  if cfg.dtype is not None:
    model = dataclasses.replace(model, dtype=cfg.dtype, weights=cfg.dtype)
  twin, text = trained.twin_of(model.build, mesh), found['text']
  for suite, items in zip(cfg.suites, found['data']):
    yield from generated(cfg, suite, items, text, twin, mesh)
    yield from scored(cfg, suite, items, text, twin, mesh)
  for judge in cfg.judges:
    if (build := opening_judges.builder_of(judge)) is not None:
      yield judged(cfg, judge, build, text, found['data'], mesh)


def with_a_model(cfg):
  if cfg.model:
    return cfg
  if cfg.tokenizer is None:
    raise UserError(
      'model is empty, so Llama-2-7B is taken to be asked: --config.tokenizer=DIR of its tokenizer '
      'tells how many tokens there are; or name a model'
    )
  form = cfg.format or chat.LLAMA2_CHAT
  return dataclasses.replace(cfg, model=llama2.llama2_7b(weights='bfloat16'), format=form)


def ids_of(items, way):
  """What each item becomes; what cannot be encoded is an answer's error, and costs nothing."""
  for item in items:
    try:
      yield way(item)
    except UserError:
      continue


def laid(shapes, mesh):
  """Stand-ins of what a program left, where it left them."""

  def one(w):
    home = NamedSharding(mesh, spec(decoder.letters_of(w), w.shape, mesh))
    return jax.ShapeDtypeStruct(w.shape, w.dtype, sharding=home)

  return jax.tree.map(one, shapes)


def ints(*shape):
  """A stand-in of what comes from the host."""
  return jax.ShapeDtypeStruct(shape, jnp.int32)


def forward(model, length):
  return model.cfg.flops(length) / 3


def ways_of(mesh):
  return mesh.shape['data'] * mesh.shape['fsdp']


# ---- what is asked


def generated(cfg, suite, items, text, model, mesh):
  """A suite's prompts as they are read, and its answers as they are written, a piece a call."""
  written = [item for item in items if not item.choices]
  asked = [
    request_of(prompt, suite.decode, draw)
    for prompt in ids_of(written, text.prompt)
    for draw in range(suite.decode.draws)
  ]
  asked = [one for one in asked if not misfit(model, one)]
  if not asked:
    return
  shape = shape_of(model, asked, cfg.rows)
  ways, cut = ways_of(mesh), len(shape['prefix'])
  B, widest = -(-shape['rows'] // ways) * ways, max(shape['widths'])
  R = bucket(1, least=max(ways, shape['at_once']))
  with jax.set_mesh(mesh):
    state = jax.eval_shape(lambda model: stream_step.empty(model, B, shape['slots']), model)
  state = laid(state, mesh)
  longest = sorted((len(one.prompt) - cut for one in asked), reverse=True)
  read = [next(w for w in shape['widths'] if w >= n) for n in longest[::AT_ONCE]]
  tokens = jax.ShapeDtypeStruct((B,), jnp.float32)
  how = dict(length_B=ints(B), temperature_B=tokens, top_k_B=ints(B), top_p_B=tokens)
  how['key_3B'] = jax.ShapeDtypeStruct((3, B), jnp.uint32)
  yield Program(
    f'{suite.name}: read',
    stream_step.join,
    (model, state, ints(R, widest), ints(R, widest), ints(B), how, ints()),
    how=dict(prefix=shape['prefix'], truncates=shape['truncates']),
    tokens=R * widest,
    flops=R * widest * forward(model, cut + widest),
    calls=math.ceil(sum(read) / widest),
  )
  steps = len(asked) * suite.decode.length / B
  yield Program(
    f'{suite.name}: write',
    stream_step.advance,
    (model, state, jax.ShapeDtypeStruct((B,), bool)),
    how=dict(tokens=PIECE, truncates=shape['truncates']),
    tokens=B * PIECE,
    flops=B * PIECE * forward(model, 2 * shape['slots']),
    calls=math.ceil(steps / PIECE),
    turns=PIECE,
    read=doctor.device_bytes((model, state.cache), mesh),
  )


def scored(cfg, suite, items, text, model, mesh):
  """A suite's choices: contexts that several share, and rows."""
  chosen = [item for item in items if item.choices]
  pairs = [pair for found in ids_of(chosen, text.pairs) for pair in found]
  pairs = [(a, b) for a, b in pairs if a and b and len(a + b) - 1 <= model.cfg.length]
  if not pairs:
    return
  how = score_plan.plan(pairs, cfg.rows, ways_of(mesh), primed=model.cfg.window is None)
  with jax.set_mesh(mesh):
    primer, cache = caches(model, how, mesh)
  if how.shared:
    widths = collections.Counter(group.width for group in how.groups)
    yield counted(
      f'{suite.name}: contexts', score.read_before, model, how.held, widths, how.slots,
      lambda C, P: (model, primer, ints(C, P), ints(C, P)), dict(slots=how.slots),
    )  # fmt: skip
  widths = collections.Counter(call.width for group in how.groups for call in group.calls)

  def given(R, T):
    three = (ints(R, T),) * 3
    return (model, *three) if cache is None else (model, cache, ints(R), *three)

  call = score.read_whole if cache is None else score.read_after
  yield counted(f'{suite.name}: score', call, model, how.rows, widths, how.slots, given, {})


def caches(model, how, mesh):
  """(the primer's, that of the contexts which rows go on from); None where there is none."""

  def read(before, rows, width, slots):
    shapes = jax.eval_shape(
      lambda model, before, *given: score.read_before(model, before, *given, slots),
      model, before, ints(rows, width), ints(rows, width),
    )  # fmt: skip
    return laid(shapes, mesh)

  primer = None
  if how.primer:
    slots = len(how.primer) if how.shared else how.slots
    primer = read(None, 1, len(how.primer), slots)
  if not how.shared:
    return primer, primer
  return primer, read(primer, how.held, max(group.width for group in how.groups), how.slots)


def counted(name, call, model, rows, widths, length, given, how):
  """A program at its widest, called as often as makes up for all widths. widths: {one: calls}."""
  widest = max(widths)
  slots = sum(width * count for width, count in widths.items())
  return Program(
    name,
    call,
    given(rows, widest),
    how=how,
    tokens=rows * widest,
    flops=rows * widest * forward(model, length),
    calls=math.ceil(slots / widest),
  )


# ---- who judges


def judged(cfg, judge, build, text, data, mesh):
  """A judge with weights, over every answer that it is given; the policy is freed before."""
  twin = trained.twin_of(build, mesh)
  classifies = isinstance(judge, native.Classifier)
  lengths = []
  for suite, items in zip(cfg.suites, data):
    if judge.kind in suite.needs:
      asked = [item for item in items if not item.choices]
      sizes = [size_of(judge, item, text) if classifies else DIALOGUE for item in asked]
      lengths += [size + suite.decode.length * classifies for size in sizes] * suite.decode.draws
  cfg_of = twin.cfg if classifies else twin.decoder.cfg
  rows = judge.batch if classifies else -(-opening_judges.ROWS // ways_of(mesh)) * ways_of(mesh)
  of_width = collections.Counter(min(bucket(n, SHORTEST), cfg_of.length) for n in lengths)
  widths = {width: -(-count // rows) for width, count in of_width.items()} or {SHORTEST: 0}
  widest = max(widths)
  chip = of_device(mesh.devices.flat[0].device_kind)
  kind = next((name for name, one in CHIPS.items() if one is chip), 'v5e')
  held = doctor.slice_that_holds(twin, kind)
  call = states.read_answers if classifies else judging.read
  ids = ints(rows, widest)
  return Program(
    f'judge {judge.name}',
    call,
    (twin, ids, ids, ints(rows), ints(rows)) if classifies else (twin, ids, ids),
    tokens=rows * widest,
    flops=rows * widest * cfg_of.flops(widest) / 3,
    calls=math.ceil(sum(width * count for width, count in widths.items()) / widest),
    remedy=f'its weights alone take a {held}, split over all its devices (mesh.fsdp=-1)',
  )


def size_of(judge, item, text):
  """Tokens of a classifier's prompt without the answer; the policy's tokenizer stands for its."""
  return len(text.tokenizer.encode(prompts.written(judge.template, item.question, '')))
