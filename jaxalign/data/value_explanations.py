"""A TFDS dataset of value explanations: the shipped ones, or a JSON Lines file of the same fields.

Each set of texts is a configuration of its own, named by its content: a changed file is another.
Preparing and reading take no TensorFlow and no network:

  name = prepare(data_dir='data')              # or prepare(data_dir='data', path='mine.jsonl')
  Tfds(name=name, data_dir='data', kind='document')
"""

import dataclasses
import hashlib
import re
from collections.abc import Iterator
from typing import Any

import tensorflow_datasets as tfds

from jaxalign.config import UserError
from jaxalign.data import files
from jaxalign.data.records import Document
from jaxalign.data.sources import EXPLANATION, Jsonl, Shipped

_Example = tuple[int, dict[str, str]]  # by number
FIELDS = ('text', *EXPLANATION.meta)


@dataclasses.dataclass(eq=False)
class Texts(tfds.core.BuilderConfig):
  path: str = ''


def texts(path: str | None = None) -> Texts:
  """The configuration of these texts; none: of the shipped ones."""
  found = files.matching(path or str(Shipped(name='value_explanations').path))
  if len(found) != 1:
    raise UserError(f'{path} matches {len(found)} files: give one, as in cat {path} > all.jsonl')
  (file,) = found
  stem = re.sub(r'\W+', '_', file.name.split('.')[0]) if path else 'shipped'
  with file.open('rb') as content:
    digest = hashlib.file_digest(content, 'sha256').hexdigest()[:8]
  return Texts(name=f'{stem}-{digest}', path=str(file))


def prepare(*, data_dir: str, path: str | None = None) -> str:
  """Writes ArrayRecord files unless they are there, and says by which name Tfds reads them."""
  config = texts(path) if path else ValueExplanations.BUILDER_CONFIGS[0]
  builder = ValueExplanations(data_dir=data_dir, config=config, file_format='array_record')
  builder.download_and_prepare()
  return f'{builder.name}/{builder.builder_config.name}:{builder.version}'


class ValueExplanations(tfds.core.GeneratorBasedBuilder):
  """Why a value matters, each document with its value, form, list of values, origin and split."""

  VERSION = tfds.core.Version('1.0.0')
  BUILDER_CONFIGS = [texts()]
  # No downloads, so no checksums: TFDS 4.9.10 would look for them by importlib_resources, which it
  # does not install.
  url_infos: dict[str, Any] = {}

  def _info(self) -> tfds.core.DatasetInfo:
    return tfds.core.DatasetInfo(
      builder=self,
      description='Documents that explain human values, for training before alignment.',
      features=tfds.features.FeaturesDict({name: tfds.features.Text() for name in FIELDS}),
    )

  def _split_generators(self, dl_manager: Any) -> dict[str, Iterator[_Example]]:
    names = sorted({example['split'] for _, example in self._examples()})
    return {name: self._generate_examples(name) for name in names}

  def _generate_examples(self, split: str) -> Iterator[_Example]:
    """The file is read once more for each split: it need not fit in memory."""
    return (pair for pair in self._examples() if pair[1]['split'] == split)

  def _examples(self) -> Iterator[_Example]:
    source = Jsonl(path=self.builder_config.path, kind='document', columns=EXPLANATION)
    for index, (_, document) in enumerate(source.read()):
      assert isinstance(document, Document)
      yield index, dict(document.meta) | {'text': document.text}
