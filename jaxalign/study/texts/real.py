"""What a study on real texts does where one in a world does what bench.py says: the functions are
the same."""

import hashlib
import json

import jax

from jaxalign.config import UserError, write_text
from jaxalign.evals import asking, benches, sentiment
from jaxalign.files import read_json, rows
from jaxalign.models import hub
from jaxalign.sharding import make_mesh
from jaxalign.stages import finished
from jaxalign.study.store import hosts
from jaxalign.study.texts import texts
from jaxalign.study.texts.texts import SEEDED, SHARED, content, open_tokenizer, sampled
from jaxalign.train import saving

ALL = 'all'  # beside the seeds' directories: of what they share
LEARNED = 64  # demonstrations and documents whose learning is looked at
BLOCKS, BLOCK = 64, 1 << 16  # of a file of weights, by which it is known again

at = texts.at


def text_of(world):
  return asking.Text(open_tokenizer(world), world.format, world.length)


def begin(world, workdir):
  """The corpora that seeds share, made once before any of them; what is missing is said first."""
  benches.asked(world.benches)
  sentiment.refuse_missing(world.benches)
  return written(world, SHARED, workdir / ALL / 'corpora')


def corpora_of(world, kinds, home):
  """{kind: (path, sha256)} of what a seed reads; home: its directory."""
  there = written(world, SHARED, home.parent / ALL / 'corpora')
  there |= written(world, SEEDED, home / 'corpora')
  return {kind: there[kind] for kind in kinds}


def written(world, kinds, place):
  known = place / 'sums.json'
  if hosts.writes():
    place.mkdir(parents=True, exist_ok=True)
    sums = read_json(known) if known.exists() else {}
    missing = [kind for kind in kinds if kind not in sums]
    for kind in missing:
      made, sums[kind] = content(world, kind)
      write_text(made.decode(), place / f'{kind}.jsonl')
    if missing:
      write_text(json.dumps(sums, indent=1), known)
  hosts.meet('corpora are written')
  sums = read_json(known)
  return {kind: (str(place / f'{kind}.jsonl'), sums[kind]) for kind in kinds}


def made_again(world, kinds):
  """{kind: sha256} of what a changed source would change."""
  return {kind: content(world, kind)[1] for kind in {'explain', 'demonstrations'} & {*kinds}}


def tokenizer_of(world, home):
  return world.tokenizer


def tokens_of(home):
  return str(home.parent / 'tokens')


def base(cfg, world, home, train):
  """(what it is read from, where the next step starts, its hash): one base for all seeds."""
  if cfg.base is None:
    init = cfg.recipes[0].stage.init
    return init, init, mark(init)
  directory = home.parent / ALL / 'runs' / 'base'
  return directory, str(directory), saving.fingerprint(directory)


def mark(init):
  """A sha256 by which weights are known again wherever they lie, from parts of every file."""
  if finished.is_workdir(init):
    return finished.fingerprint_of(init)
  place = hub.resolve(init)
  paths = [place] if place.is_file() else sorted(place.glob('*.safetensors'))
  digest = hashlib.sha256()
  for path in paths:
    with path.open('rb') as file:
      size = file.seek(0, 2)
      digest.update(f'{path.name} {size} '.encode())
      for n in range(BLOCKS):
        file.seek(size * n // BLOCKS)
        digest.update(file.read(BLOCK))
  return digest.hexdigest()


def load(cfg, place):
  """On all devices, as the stages lay it out."""
  stage = cfg.recipes[0].stage
  sizes = stage.mesh.data, stage.mesh.fsdp, stage.mesh.tensor
  mesh = make_mesh(*sizes) if jax.device_count() > 1 else None
  if finished.is_workdir(place):
    return finished.load(place, mesh=mesh)[0]
  return finished.weights_of(place, stage.model.weights, mesh).under(stage.model)


def asked(world, name, home):
  """{test: items}, of what was taught and of the benches; what does not fit is left out."""
  assert name == 'texts', name
  text, found = text_of(world), learning(world, home) | benches.asked(world.benches)
  found = {test: asking.fitting(items, text) for test, items in found.items()}
  for test, items in found.items():
    if not items:
      raise UserError(f'{test}: no item fits length={text.length}: raise world.length')
  return found | sentiment.items(world.benches)


def learning(world, home):
  """T0: a demonstration's answer against the next one's. D0: explanations against neutral text."""
  taught = benches.spread(sampled(world)['demonstrations'], LEARNED)
  answers = [conversation.turns[-1].text for conversation in taught]
  t0 = [
    asking.Item(test='T0', cluster=str(n % 8), turns=one.turns[:-1], good=(own,), bad=(other,))
    for n, (one, own, other) in enumerate(zip(taught, answers, answers[1:] + answers[:1]))
    if own != other
  ]
  both = [
    lines_of(home.parent / ALL / 'corpora' / f'{kind}.jsonl') for kind in ('explain', 'neutral')
  ]
  d0 = [
    asking.Item(test='D0', cluster=a.get('value', ''), good=(a['text'],), bad=(b['text'],))
    for a, b in benches.spread(list(zip(*both)), LEARNED)
  ]
  return dict(T0=t0, D0=d0)


def lines_of(path):
  return [row for _, row in rows(path, 'remove that file and run the study again')]


def outcomes(world, model, tests, **about):
  answered = [item for items in tests.values() for item in items if hasattr(item, 'good')]
  begun = [item for items in tests.values() for item in items if not hasattr(item, 'good')]
  text = text_of(world)
  said = asking.rows(model, answered, text, **about)
  return [*said, *sentiment.rows(model, begun, text.tokenizer, world.seed, **about)]


def base_rows(world, model, home, **about):
  return outcomes(world, model, asked(world, 'texts', home), **about)


def arm_rows(world, model, steps, tests, **about):
  return outcomes(world, model, tests, **about)
