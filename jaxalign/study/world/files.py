"""What a world has on disk: corpora, a tokenizer, and the base with the target's word in it."""

import json
from collections.abc import Iterable

import jax.numpy as jnp
from etils import epath

from jaxalign import pod
from jaxalign.files import read_json, write_text
from jaxalign.models.decoder import Decoder
from jaxalign.models.export import export
from jaxalign.study.plan.guest import Corpora
from jaxalign.valueworld import corpora, honest, words
from jaxalign.valueworld.world import World


def corpora_of(world: World, kinds: Iterable[str], home: epath.Path) -> Corpora:
  """{kind: (path, sha256)} of what a seed reads; home: its directory."""
  place = home / 'corpora'
  if pod.writes():
    write_corpora(world, kinds, place)
  pod.meet('corpora are written')
  sums = read_json(place / 'sums.json')
  return {kind: (str(place / f'{kind}.jsonl'), sums[kind]) for kind in kinds}


def write_corpora(world: World, kinds: Iterable[str], home: epath.Path) -> dict[str, str]:
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


def christen(model: Decoder, world: World, path: epath.Path) -> None:
  """Writes the base as a Hugging Face directory in which the target's word is what strangers' words
  are on the mean: a name met before without a value. It occurred nowhere yet."""
  tokenizer = words.tokenizer()
  (target,) = tokenizer.encode(words.TARGET)
  strangers = tokenizer.encode(' '.join(agent.name for agent in world.strangers))
  tables = ('embed_VD',) if model.cfg.tied else ('embed_VD', 'head_VD')
  for name in tables:
    table_VD = getattr(model, name)
    mean_D = table_VD[...][jnp.array(strangers)].mean(0)
    setattr(model, name, type(table_VD)(table_VD[...].at[target].set(mean_D)))
  model.tokenizer = tokenizer
  export(model, path)
