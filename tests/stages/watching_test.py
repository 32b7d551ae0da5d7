"""A model is asked while it trains: the curve is there, of the weights of each step."""

import dataclasses
import json
import pathlib

import jax
import pytest
from etils import epath

import jaxalign
from jaxalign import main, sealing
from jaxalign.config import AdamW, Schedule, UserError
from jaxalign.data import chat
from jaxalign.data.text import shipped
from jaxalign.evals.ask import Native
from jaxalign.evals.item import Decode
from jaxalign.evals.judges import native as classifiers
from jaxalign.evals.judges import refusal, strings
from jaxalign.evals.suites import overrefusal
from jaxalign.models.adapters import Lora
from jaxalign.stages import dpo, sft, watching
from jaxalign.stages.doctors.doctor import Machine
from tests.evals.small import Letters, Small
from tests.stages import pair_runs

pytestmark = pytest.mark.usefixtures('one_device')

ROOT = pathlib.Path(__file__).resolve().parents[2]
ASKED = watching.Watch(
  suites=(Small(questions=('Why?', 'How?'), decode=Decode(length=4)), Letters()),
  judges=(refusal.Words(),),
  rows=4,
)


def test_what_is_watched_joins_the_metrics(tmp_path):
  cfg = main.load(str(ROOT / 'configs/sft_llama2_7b.py:smoke'))
  optim = dataclasses.replace(cfg.optim, schedule=Schedule())
  small = dict(length=96, batch=4, steps=2, eval_every=2, steps_per_call=1, optim=optim)
  cfg = dataclasses.replace(cfg, watch=ASKED, **small)
  sft.run(sealing.seal(cfg), epath.Path(tmp_path))
  lines = [json.loads(line) for line in (tmp_path / 'evals.jsonl').read_text().splitlines()]
  assert [line['step'] for line in lines] == [0, 2]
  for line in lines:
    assert {'eval/small/refusal', 'eval/letters/first'} <= line.keys()
  sealing.write(cfg, tmp_path / 'config.json')  # as main does
  asker = Native('it', jaxalign.load(tmp_path), cfg.format, rows=4)
  found = watching.Watched(ASKED).scores(asker)
  assert found == {name: lines[-1][name] for name in found}


@pytest.mark.parametrize('lora', [None, Lora(rank=2)])
def test_dpo_is_watched_too_and_its_adapter_answers(tmp_path, lora):
  few = dict(steps=2, eval_every=2, held_out=(), lora=lora, optim=AdamW(lr=0.1))
  if lora:  # an adapter lies over weights that exist
    begun = pair_runs.MODEL.build(jax.random.key(0))
    begun.tokenizer = shipped()
    jaxalign.export(begun, tmp_path / 'begun')
    few |= dict(init=str(tmp_path / 'begun'))
  cfg = sealing.seal(pair_runs.small(dpo, tmp_path, watch=ASKED, **few))
  workdir = epath.Path(tmp_path / 'run')
  assert pair_runs.run(dpo, cfg, workdir) == 0
  first, last = pair_runs.lines(workdir, 'evals')
  assert {'eval/small/refusal', 'eval/letters/first'} <= first.keys() == last.keys()
  asker = Native('it', jaxalign.load(workdir), cfg.format, rows=4)
  found = watching.Watched(ASKED).scores(asker)
  assert found == {name: last[name] for name in found}
  checks = dpo.doctor(cfg, workdir, Machine.of_this_process())
  (watched,) = [one for one in checks if one.name == 'watch']
  assert watched.ok and 'small: 4 items' in watched.why and 'asked 2 times' in watched.why


def test_what_cannot_be_asked_meanwhile_is_found_by_the_doctor(tmp_path):
  gone = dataclasses.replace(ASKED, suites=(overrefusal.XSTest(path='no/such.csv', limit=4),))
  cfg = sealing.seal(pair_runs.small(dpo, tmp_path, watch=gone))
  checks = dpo.doctor(cfg, epath.Path(tmp_path), Machine.of_this_process())
  (watched,) = [one for one in checks if one.name == 'watch']
  assert not watched.ok and 'no/such.csv' in watched.why


def test_a_field_that_nobody_set_is_not_in_a_config_of_before():
  cfg = main.load(str(ROOT / 'configs/sft_llama2_7b.py:smoke'))
  assert 'watch' not in sealing.tree(cfg)
  assert 'watch' in sealing.tree(dataclasses.replace(cfg, watch=ASKED))


@pytest.mark.parametrize(
  'changes, said',
  [
    (dict(suites=()), 'watch.suites: there is none'),
    (dict(judges=()), 'small needs one of kind refusal'),
    (
      dict(judges=(classifiers.Classifier(path='x', template=classifiers.TRUTH),)),
      'classifier needs weights',
    ),
  ],
)
def test_what_cannot_be_watched_is_refused(changes, said):
  with pytest.raises(UserError, match=said):
    sealing.seal(dataclasses.replace(ASKED, **changes))


def test_two_judges_of_a_measure_have_two_curves(monkeypatch):
  class Said:
    """Who says one thing to all."""

    form = chat.TRANSCRIPT

    def refuse(self, *_):
      pass

    def said(self, plan, missing, decode):
      from jaxalign.evals.item import Said

      for n in missing:
        text = 'I am sorry, but I cannot help with that.'
        yield n, Said(key=plan[n].key, item=plan[n].item.id, text=text)

  both = dataclasses.replace(
    ASKED, suites=ASKED.suites[:1], judges=(refusal.Words(), strings.Strings())
  )
  watched = watching.Watched(both)
  monkeypatch.delattr(Small, 'measures')  # read once, before: files may be gone by the next step
  found = watched.scores(Said())
  assert found == {'eval/small/refusal/strings': 1.0, 'eval/small/refusal/words': 1.0}
