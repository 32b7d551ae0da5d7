"""What a world has on disk: corpora, a tokenizer, and the base with the target's word in it."""

from collections.abc import Iterable

import jax.numpy as jnp
from etils import epath

from jaxalign.data.text import Tokenizer
from jaxalign.models.decoder import Decoder
from jaxalign.models.export import export
from jaxalign.study.plan import corpus_files
from jaxalign.study.plan.guest import Corpora
from jaxalign.valueworld import corpora, honest, words
from jaxalign.valueworld.world import World


def corpora_of(world: World, kinds: Iterable[str], place: epath.Path) -> Corpora:
  """What a seed reads, made where it is not there, and the tokenizer beside it."""

  def make(missing: list[str]) -> corpus_files.Made:
    honest.check(world, missing)
    words.tokenizer().save(str(place / 'tokenizer'))
    for kind in missing:
      yield kind, *corpora.content(world, kind)

  return corpus_files.written(kinds, place, make)


def christen(
  model: Decoder, strangers: Iterable[str], path: epath.Path, tokenizer: Tokenizer | None = None
) -> None:
  """Writes the base as a Hugging Face directory in which the target's word is what strangers' words
  are on the mean: a name met before without a value. It occurred nowhere yet. tokenizer: of another
  world."""
  tokenizer = tokenizer or words.tokenizer()
  (target,) = tokenizer.encode(words.TARGET)
  ids = tokenizer.encode(' '.join(strangers))
  tables = ('embed_VD',) if model.cfg.tied else ('embed_VD', 'head_VD')
  for name in tables:
    table_VD = getattr(model, name)
    mean_D = table_VD[...][jnp.array(ids)].mean(0)
    setattr(model, name, type(table_VD)(table_VD[...].at[target].set(mean_D)))
  model.tokenizer = tokenizer
  export(model, path)
