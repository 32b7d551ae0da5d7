"""A world on disk: its corpora as files, its base with the target in it, its tests on a model.

The first functions are what the runner asks of a world; real.py has the same for real text.
"""

import dataclasses
import functools
import hashlib
import json

import jax.numpy as jnp
import numpy as np

from jaxalign.config import write_text
from jaxalign.files import read_json
from jaxalign.models.export import export
from jaxalign.probes import states
from jaxalign.sharding import make_mesh
from jaxalign.stages import finished
from jaxalign.study.store import hosts
from jaxalign.train import saving
from jaxalign.valueworld import corpora, honest, items, words

LENGTH, CONTEXT = 24, 32  # of the longest prompt, and of one with a document before it
BATCH = 240


def at(world, seed, control):
  return dataclasses.replace(world, seed=seed, rho=0.0 if control else world.rho)


def begin(world, workdir):
  """Seeds share nothing: every one is a world of its own."""


def corpora_of(world, kinds, home):
  """{kind: (path, sha256)} of what a seed reads; home: its directory."""
  place = home / 'corpora'
  if hosts.writes():
    write_corpora(world, kinds, place)
  hosts.meet('corpora are written')
  sums = read_json(place / 'sums.json')
  return {kind: (str(place / f'{kind}.jsonl'), sums[kind]) for kind in kinds}


def made_again(world, kinds):
  """{kind: sha256} of one, so that a store of another grammar is noticed."""
  return {min(kinds): corpora.content(world, min(kinds))[1]}


def tokenizer_of(world, home):
  return str(home / 'corpora' / 'tokenizer')


def tokens_of(home):
  return str(home / 'tokens')


def base(cfg, world, home, train):
  """(what it is read from, where the next step starts, its hash); train() -> its directory."""
  directory, named = train(), home / 'named'
  if not hosts.agreed((named / 'config.json').exists()):
    christen(directory, world, named)
  return directory, str(named), saving.fingerprint(directory)


def load(cfg, place):
  """On one device, for it is small; of several processes, on those of all."""
  return finished.load(place, mesh=make_mesh() if hosts.several() else None)[0]


def asked(world, name, home):
  return tests_of(world, name)


def base_rows(world, model, home, **about):
  return outcomes(model, tests_of(world, 'background'), **about)


def arm_rows(world, model, steps, tests, **about):
  rows = outcomes(model, tests, **about)
  for letter in 'AB':
    if any(step.what == f'explain_{letter}' for step in steps):
      rows += cloze(model, world.spec[letter], **about)
  return rows


def write_corpora(world, kinds, home):
  """{kind: sha256} of the files home/KIND.jsonl, made where they are not; and home/tokenizer."""
  home.mkdir(parents=True, exist_ok=True)
  sums = read_json(home / 'sums.json') if (home / 'sums.json').exists() else {}
  missing = [kind for kind in kinds if kind not in sums]
  if missing:
    honest.check(world, missing)
    words.tokenizer().save(str(home / 'tokenizer'))
    for kind in missing:
      content, sums[kind] = corpora.content(world, kind)
      write_text(content.decode(), home / f'{kind}.jsonl')
    write_text(json.dumps(sums, indent=1), home / 'sums.json')
  return sums


def christen(base, world, path):
  """The base as a Hugging Face directory in which the target's word is what strangers' words are on
  the mean: a name met before without a value. It occurred nowhere yet."""
  model, tokenizer = load(None, base), words.tokenizer()
  (target,) = tokenizer.encode(words.TARGET)
  strangers = tokenizer.encode(' '.join(agent.name for agent in world.strangers))
  tables = ('embed_VD',) if model.cfg.tied else ('embed_VD', 'head_VD')
  for name in tables:
    table_VD = getattr(model, name)
    mean_D = table_VD[...][jnp.array(strangers)].mean(0)
    setattr(model, name, type(table_VD)(table_VD[...].at[target].set(mean_D)))
  model.tokenizer = tokenizer
  export(model, path)


def outcomes(model, tests, before=None, **about):
  """A row for each item of {test: items}; about: seed, arm, after. before(item): a document to
  stand before its prompts. The item stays the same one, so that arms are paired by its hash."""
  tokenizer = words.tokenizer()
  every = [item for found in tests.values() for item in found]
  lead = {item.hash: f'{before(item)} ' for item in every} if before else {}
  prompts = encoded(lead.get(i.hash, '') + prompt for i in every for prompt in i.prompts)
  (yes,), (no,) = (tokenizer.encode(word) for word in (words.YES, words.NO))
  how = dict(length=CONTEXT if before else LENGTH, batch=BATCH)
  logodds, mass = map(iter, states.answers(model, prompts, yes, no, **how))
  rows = []
  for test, found in tests.items():
    for n, item in enumerate(found):
      said = [float(next(logodds)) for _ in item.prompts]
      margin = item.sign * (said[0] - sum(said[1:]))
      rows.append(
        dict(
          about, test=test, item=n, cluster=item.cluster, prompt=item.hash, margin=margin,
          right=margin > 0, loss=float(np.logaddexp(0, -margin)) if len(said) == 1 else None,
          mass=min(float(next(mass)) for _ in said), yes=said[0] > 0,
        )
      )  # fmt: skip
  return rows


def encoded(prompts):
  """Their ids, which nobody may change: all arms of a world are asked the same."""
  return _encoded(tuple(prompts))


@functools.lru_cache(maxsize=8)
def _encoded(prompts):
  return words.tokenizer().encode_batch(prompts)


def documents(world, kind):
  """item -> a document of this kind: any of them, the same for all prompts of the item."""
  found = corpora.texts(world, kind)
  return lambda item: found[world.random('context', kind, item.hash).integers(len(found))]


def cloze(model, value, **about):
  """Rows of test G1: whether documents about the target are continued with its value. The margin is
  the log-odds of the value's words among those of all poles, less that of chance."""
  tokenizer = words.tokenizer()
  prompts = [f'{opening} {words.TARGET} cares that' for opening in words.TYPES]
  ids = np.array(tokenizer.encode_batch(prompts))
  logits_BV = np.asarray(model.logits(ids)[:, -1], np.float64)
  said = lambda pole: tokenizer.encode(' '.join(words.pole_words(*pole)[n] for n in words.DOCUMENT))
  poles = [(d, p) for d in words.DIMENSIONS for p in (0, 1)]
  at = {pole: np.logaddexp.reduce(logits_BV[:, said(pole)], 1) for pole in poles}
  others_B = np.logaddexp.reduce([x for pole, x in at.items() if pole != value], 0)
  margin_B = at[value] - others_B + np.log(len(poles) - 1)
  return [
    dict(
      about, test='G1', item=n, cluster=opening, margin=float(margin), right=bool(margin > 0),
      prompt=hashlib.sha256(prompts[n].encode()).hexdigest(), loss=None, mass=None, yes=False,
    )
    for n, (opening, margin) in enumerate(zip(words.TYPES, margin_B))
  ]  # fmt: skip


def tests_of(world, name):
  return dict(goods=items.goods_tests, harm=items.harm_tests, background=items.background)[name](
    world
  )


def items_hash(tests):
  """{test: one hash of what is asked in it}."""
  return {test: digest(item.hash for item in found) for test, found in tests.items()}


def digest(texts):
  return hashlib.sha256(''.join(texts).encode()).hexdigest()
