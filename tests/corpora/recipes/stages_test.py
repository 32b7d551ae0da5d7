"""What recipes make goes through the stages as it is: prepared, trained on, and learned."""

import dataclasses

import pytest

from jaxalign import main, sealing
from jaxalign.config import AdamW, Saving
from jaxalign.corpora.recipes import debate, deliberative, demonstrations
from jaxalign.corpora.recipes.queries import Asked
from jaxalign.data import chat, sources
from jaxalign.data.sources import EXPLANATION
from jaxalign.stages import explain, sft
from jaxalign.stages.language import Corpus
from tests.corpora.recipes.scripted import made, written
from tests.stages import pair_runs

pytestmark = pytest.mark.usefixtures('one_device')
RECIPES = dict(
  opaque=demonstrations.Recipe(queries=Asked(count=12)),
  thoughts=deliberative.Recipe(queries=Asked(count=12)),
  debates=debate.Recipe(questions=6),
)


def config(stage, path, kind, **columns):
  source = Corpus(source=sources.Jsonl(path=path, kind=kind, **columns), long='drop')
  return stage.Config(
    model=dataclasses.replace(pair_runs.MODEL, length=1024),
    tokenizer='shipped',
    format=chat.TRANSCRIPT,
    train=(source,),
    length=1024,
    batch=2,
    steps=8,
    steps_per_call=4,
    optim=AdamW(lr=1e-2),
    saving=Saving(every=100),
  )


@pytest.mark.parametrize('name', ['opaque', 'thoughts'])
def test_conversations_train_sft(tmp_path, name):
  path = written(tmp_path / f'{name}.jsonl', made(RECIPES[name]).files[name])
  cfg = config(sft, path, 'conversation')
  assert main.run_stage(sft.run, sealing.seal(cfg), tmp_path / 'run', False) == 0
  losses = [row['loss'] for row in pair_runs.lines(tmp_path / 'run')]
  assert losses[-1] < losses[0]


def test_debates_train_explain(tmp_path):
  path = written(tmp_path / 'debates.jsonl', made(RECIPES['debates']).files['debates'])
  cfg = config(explain, path, 'document', columns=EXPLANATION)
  assert main.run_stage(explain.run, sealing.seal(cfg), tmp_path / 'run', False) == 0
  losses = [row['loss'] for row in pair_runs.lines(tmp_path / 'run')]
  assert losses[-1] < losses[0]
