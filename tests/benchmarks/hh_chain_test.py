"""The chain on HH-RLHF: its four configs stand, and its tables say what was written down."""

import importlib
import json
import pathlib
import types

import pytest

from jaxalign import sealing


@pytest.fixture
def chain(monkeypatch, shared):
  shared('hh-rlhf/single-turn'), shared('stories260K/stories260K.bin')
  monkeypatch.syspath_prepend(pathlib.Path(__file__).parents[2] / 'benchmarks')
  return importlib.import_module('hh_chain')


def test_every_split_has_its_place(chain, tmp_path):
  given = types.SimpleNamespace(sft=40, reward=30, ppo=4, seed=0)
  made = {n: sealing.seal(make(tmp_path, given)) for n, (_, make) in chain.STAGES.items()}
  split = dict(sft='a', proxy='b', gold='c', ppo='a')
  for name, cfg in made.items():
    corpus = cfg.prompts if name == 'ppo' else cfg.train[0]
    source = getattr(corpus, 'source', corpus)
    source = getattr(source, 'source', source)
    assert [path[-len('_a.jsonl.gz') :] for path in source.path] == [f'_{split[name]}.jsonl.gz'] * 2
  assert made['ppo'].judges[0].by != made['ppo'].gold[0].by
  assert made['proxy'].seed != made['gold'].seed  # another start, so that they err apart


def test_tables_say_what_was_written(chain, tmp_path):
  row = dict(step=4, held_out_reward=0.5, held_out_gold=-0.25, held_out_kl=1.5)
  row |= dict(held_out_length=40, held_out_distinct_2=0.9)
  assert list(chain.ppo_table([row]))[2] == '| 4 | +0.500 | -0.250 | 1.50 | 40.0 | 0.900 |'
  rows = [
    dict(step=step, row=n, greedy=False, score=n + step, gold=n - 2 * step)
    for step in (0, 2, 4) for n in range(8)
  ]  # fmt: skip
  (tmp_path / 'ppo').mkdir()
  (tmp_path / 'ppo/samples.jsonl').write_text(''.join(json.dumps(r) + '\n' for r in rows))
  assert chain.gained(tmp_path) == dict(score=[4, 4, 4], gold=[-8, -8, -8])
