"""What `datasets` and TFDS prepared, read as records; and every refusal is one line."""

import json

import datasets
import pytest
import tensorflow_datasets as tfds

from jaxalign.config import UserError
from jaxalign.data.libraries import HuggingFace, Tfds
from jaxalign.data.records import Conversation, Document, Pair
from jaxalign.data.rows import Columns
from tests.data.written import A, U, jsonl

COMMIT = '0123456789abcdef' * 2 + '01234567'


@pytest.fixture(scope='module')
def place(tmp_path_factory):
  """Twenty documents in every form, and what `datasets` caches kept out of the home directory."""
  place = tmp_path_factory.mktemp('hf')
  before = datasets.config.HF_DATASETS_CACHE
  datasets.config.HF_DATASETS_CACHE = str(place / 'cache')
  rows = [dict(text=f't{n}', n=n) for n in range(20)]
  jsonl(place / 'd.jsonl', rows)
  jsonl(place / 'd.jsonl.gz', rows)
  (place / 'd.json').write_text(json.dumps(rows))
  dataset = datasets.Dataset.from_list(rows)
  (place / 'folder').mkdir()
  dataset.to_parquet(place / 'd.parquet')
  dataset.to_parquet(place / 'folder/train.parquet')
  dataset.to_csv(place / 'd.csv')
  dataset.save_to_disk(place / 'saved')
  datasets.DatasetDict(train=dataset, test=dataset.select(range(3))).save_to_disk(place / 'dict')
  yield place
  datasets.config.HF_DATASETS_CACHE = before


def read(source):
  return list(source.read())


@pytest.mark.parametrize('streaming', [False, True])
@pytest.mark.parametrize(
  'name', ['d.jsonl', 'd.jsonl.gz', 'd.json', 'd.parquet', 'd*.parquet', 'd.csv', 'saved', 'folder']
)
def test_local_forms(place, name, streaming):
  columns = Columns(meta=('n',))
  name = str(place / name)
  found = read(HuggingFace(name=name, kind='document', columns=columns, streaming=streaming))
  assert [record for _, record in found] == [Document(f't{n}', (('n', str(n)),)) for n in range(20)]
  assert found[7][0] == f'{name}[train][7]'


def test_arrow_files_and_splits(place):
  arrow = next((place / 'saved').glob('*.arrow'))

  def texts(name, split):
    return [r.text for _, r in read(HuggingFace(name=str(name), split=split, kind='document'))]

  assert len(texts(arrow, 'train')) == 20
  assert texts(place / 'dict', 'test') == ['t0', 't1', 't2']
  assert texts(place / 'd.parquet', 'train[10%:20%]') == ['t2', 't3']
  assert texts(place / 'd.parquet', 'validation[5:7]') == ['t5', 't6']


@pytest.mark.parametrize(
  'options, message',
  [
    (dict(name='org/data'), 'org/data: revision=None, .* needs revision=<commit>, 40 hex digits'),
    (dict(name='org/data', revision='main'), 'revision=main'),
    (dict(name='org/data', revision='v1.0', streaming=True), 'revision=v1.0'),
    (dict(name='org/data', revision=COMMIT), "org/data.train. cannot be read: Couldn't reach"),
    (dict(name='{}/absent.parquet'), 'absent.parquet does not exist'),
    (dict(name='{}/dict', split='nope'), 'dict has no split nope; it has train, test'),
    (dict(name='{}/saved', split='train[:5]'), 'was saved whole: split=train'),
    (dict(name='{}/folder', split='nope'), 'Unknown split "nope".*train'),
    (dict(name='{}/d.csv', split='train['), 'Unrecognized instruction'),
    (dict(name='{}/d.csv', columns=Columns(text='body')), 'no column body; columns there: text, n'),
    (dict(name='{}/bad.jsonl'), 'bad.jsonl.train. cannot be read: JSON parse error'),
    (dict(name='{}/bad.parquet'), 'bad.parquet.train. cannot be read: Parquet'),
    (dict(name='{}/empty.jsonl'), 'no rows in it'),
  ],
)
def test_one_line_of_refusal(place, options, message):
  (place / 'bad.jsonl').write_text('{"text": "a"}\n{"text"\n')
  (place / 'bad.parquet').write_text('PAR?')
  (place / 'empty.jsonl').write_text('')
  options['name'] = options['name'].format(place)
  with pytest.raises(UserError, match=message) as caught:
    read(HuggingFace(kind='document', **options))
  assert '\n' not in str(caught.value)


def test_pairs_of_messages(place):

  def said(answer):
    return [dict(role='user', content='a'), dict(role='assistant', content=answer)]

  path = place / 'pairs.parquet'
  datasets.Dataset.from_list([dict(chosen=said('b'), rejected=said('c'))]).to_parquet(path)
  source = HuggingFace(name=str(path), kind='pair', columns=Columns(prompt=None))
  assert [record for _, record in source.read()] == [Pair((U('a'),), 'b', 'c')]


class Dialogues(tfds.core.GeneratorBasedBuilder):
  VERSION = tfds.core.Version('1.0.0')
  url_infos = {}

  def _info(self):
    text = tfds.features.Text()
    messages = tfds.features.Sequence(dict(role=text, content=text))
    features = tfds.features.FeaturesDict(dict(messages=messages))
    return tfds.core.DatasetInfo(builder=self, features=features)

  def _split_generators(self, dl_manager):
    return dict(train=self._generate_examples())

  def _generate_examples(self):
    for n in range(5):
      texts = dict(user='é?', assistant=f'answer {n}')
      yield n, dict(messages=[dict(role=w, content=t) for w, t in texts.items()])


@pytest.fixture(scope='module')
def tfds_dir(tmp_path_factory):
  """Dialogues as TFDS keeps sequences, prepared for real."""
  place = str(tmp_path_factory.mktemp('tfds'))
  Dialogues(data_dir=place, file_format='array_record').download_and_prepare()
  return place


def test_tfds_dialogues(tfds_dir):
  source = Tfds(name='dialogues', kind='conversation', data_dir=tfds_dir)
  found = read(source)
  assert {where for where, _ in found} == {f'dialogues[train][{n}]' for n in range(5)}
  wanted = {Conversation((U('é?'), A(f'answer {n}'))) for n in range(5)}
  assert {record for _, record in found} == wanted
  assert found == read(source)  # in a fixed order
  part = Tfds(name='dialogues', kind='conversation', data_dir=tfds_dir, split='train[:2]')
  assert [record for _, record in read(part)] == [record for _, record in found[:2]]


@pytest.mark.parametrize(
  'options, message',
  [
    (dict(name='absent'), 'absent in .* was not found: check name and data_dir'),
    (dict(name='dialogues:2.0.0'), 'cannot be loaded at version 2.0.0, only: 1.0.0'),
    (dict(split='nope'), "dialogues in .*Unknown split 'nope'"),
    (dict(split='train[:'), 'Error parsing split'),
    (dict(columns=Columns(messages='turns')), 'no column turns; columns there: messages'),
    (dict(name='mnist'), 'mnist in .* is not prepared as ArrayRecord'),
  ],
)
def test_tfds_refusals(tfds_dir, options, message):
  options = dict(name='dialogues', kind='conversation', data_dir=tfds_dir) | options
  with pytest.raises(UserError, match=message) as caught:
    read(Tfds(**options))
  assert '\n' not in str(caught.value)
