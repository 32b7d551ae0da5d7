"""What the doctor says of PPO on the shipped config, and that every rule's check can fail."""

import dataclasses
import json
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxalign import main, sealing
from jaxalign.config import AdamW, UserError
from jaxalign.data import chat
from jaxalign.data.text import Tokenizer, shipped
from jaxalign.doors import examining
from jaxalign.rl import players
from jaxalign.rl.judges import Judge
from jaxalign.stages import bon, ppo, refusals, trained, training
from jaxalign.stages.doctors import doctor, language_doctor, ppo_doctor, ppo_memory
from jaxalign.stages.doctors import ppo_rehearsal as rehearsal

SMOKE = str(pathlib.Path(__file__).resolve().parents[3] / 'configs/ppo_llama2_7b.py:smoke')
BON = str(pathlib.Path(SMOKE).with_name('bon_llama2_7b.py:smoke'))
ONE = doctor.Machine('one', 1, None)


def smoke(**changes):
  return dataclasses.replace(main.load(SMOKE), **changes)


def prompts(cfg):
  source = training.Corpus(source=cfg.prompts, long='drop')
  return language_doctor.corpus(source, shipped(), cfg, 'prompt', cfg.prompt)[1]


@pytest.fixture(scope='module')
def good():
  """One rehearsal, with a temperature that is not 1 and with microbatches."""
  cfg = sealing.seal(smoke(minibatch=16, microbatches=2))
  cfg = dataclasses.replace(cfg, rules=dataclasses.replace(cfg.rules, temperature=0.7))
  with examining.quickly_compiled():
    return rehearsal.rehearse(cfg, shipped(), prompts(cfg), ppo.once)


def test_the_rules_hold_of_the_shipped_config(good):
  assert 'rows ended early' in rehearsal.masks(good)
  assert 'temperature 0.7' in rehearsal.temperature(good)
  assert 'clip fraction 0' in rehearsal.first_ratio(good)
  assert '4 epochs x 2 minibatches = 8 optimizer steps of 2' in rehearsal.steps_counted(good)
  assert 0 < good.seen.finished_B.sum() and len(set(good.seen.length_B.tolist())) > 2


def seen_as(good, **changes):
  return dataclasses.replace(good, seen=dataclasses.replace(good.seen, **changes))


def test_masks_by_ids_fail(good):
  """What the peers do: id != pad. The end goes missing, for pad is an end token here."""
  R, pad = good.cfg.response, good.cfg.model.eos[0]
  tokens_BR = good.seen.tokens_BT[:, -R:]
  tokens_BR = np.where(good.seen.response_BR, tokens_BR, pad)
  with pytest.raises(UserError, match='masks come from lengths'):
    without_end = good.seen.response_BR & ~np.isin(tokens_BR, good.cfg.model.eos)
    rehearsal.masks(seen_as(good, response_BR=without_end))
  with pytest.raises(UserError, match='is said to have length'):
    rehearsal.masks(seen_as(good, length_B=good.seen.length_B + 1))
  with pytest.raises(UserError, match='is said to have length'):
    rehearsal.masks(seen_as(good, finished_B=np.zeros_like(good.seen.finished_B)))
  after = good.seen.tokens_BT.copy()
  row = int(np.argmin(good.seen.length_B))
  after[row, -1] = 9
  with pytest.raises(UserError, match='sampled after its end'):
    rehearsal.masks(seen_as(good, tokens_BT=after))
  segment = good.seen.segment_BT * (good.seen.tokens_BT != pad)
  with pytest.raises(UserError, match='taken for padding'):
    rehearsal.masks(seen_as(good, segment_BT=segment))


@pytest.mark.parametrize('name', ['logprob_BR', 'ref_logprob_BR', 'entropy_BR', 'ref_entropy_BR'])
def test_another_temperature_in_any_player_fails(good, name):
  """At temperature 1, as peers score what they sampled at .7."""
  R, seen = good.cfg.response, good.seen
  rows = jnp.asarray(seen.tokens_BT), jnp.asarray(seen.segment_BT), jnp.asarray(seen.response_BR)
  with jax.disable_jit(False):
    both = jax.jit(lambda policy: players.read(policy, rows, 1.0))(good.policy)
  other = np.asarray(both[0 if 'logprob' in name else 1])
  assert other.shape[1] == R
  with pytest.raises(UserError, match='is off by .* from that at temperature 0.7'):
    rehearsal.temperature(seen_as(good, **{name: other}))


@pytest.mark.parametrize(
  'rule, metrics, says',
  [
    ('first_ratio', dict(first_ratio=1.01), 'first_ratio=1.01'),
    ('first_ratio', dict(first_ratio_max=1.5), 'first_ratio_max'),
    ('first_ratio', dict(first_clip_fraction=0.01), 'first_clip_fraction'),
    ('first_ratio', dict(kl_sequence=0.5), 'kl_sequence'),
    ('steps_counted', dict(optimizer_steps=4.0), '4 optimizer steps, where .* are 8'),
    ('steps_counted', dict(skipped=1.0), 'not finite'),
    ('steps_counted', dict(value_loss=float('nan')), 'not finite'),
    ('steps_counted', dict(critic_grad_norm=0.0), 'the gradient of the critic is 0'),
  ],
)
def test_numbers_that_break_a_rule_fail(good, rule, metrics, says):
  broken = dataclasses.replace(good, metrics=good.metrics | metrics)
  with pytest.raises(UserError, match=says):
    getattr(rehearsal, rule)(broken)


def test_a_score_that_is_read_elsewhere_fails():
  examples = prompts(smoke())
  weight = np.random.default_rng(0).normal(size=1024)

  def total(rows, segment):
    return (weight[rows] * segment).sum(1)

  def first(rows, segment):
    return weight[rows[np.arange(len(rows)), segment.argmax(1)]]

  assert 'without the last token' in rehearsal.same_score(total, examples)
  with pytest.raises(UserError, match='not read at its last token'):
    rehearsal.same_score(lambda rows, segment: weight[rows[:, -1]], examples)
  with pytest.raises(UserError, match='not where it is read'):
    rehearsal.same_score(first, examples)


def of(check, *args):
  with pytest.raises(UserError) as told:
    check(*args)
  return str(told.value)


def test_optimizers_of_pretraining_fail():
  for broken, says in (
    (dict(optim=AdamW(eps=1e-8)), 'optim.eps=1e-08 (1e-05 is right)'),
    (dict(optim=AdamW(eps=1e-5, b2=0.999)), 'optim.b2=0.999 (0.95 is right)'),
    (dict(optim=AdamW(eps=1e-5, weight_decay=0.1)), 'weight_decay=0.1'),
    (dict(optim=AdamW(eps=1e-5, clip=None)), 'set it'),
  ):
    assert says in of(ppo_doctor.optimizer, 'optim', smoke(**broken))
  waits = smoke(minibatch=16, batch=32, rules=players.Rules(critic_first=10))
  assert 'after 240' in ppo_doctor.optimizer('optim', waits)
  assert 'after 320' in ppo_doctor.optimizer('critic_optim', waits)


def no_number(prompt, answer):
  return [1.0, 2.0]


def test_judges_that_cannot_judge_fail():
  visit = doctor.Visit()
  ppo_doctor.functions_answer(visit, judge=smoke().judges, gold=(Judge(by=no_number),))
  good, bad = visit.checks
  assert (good.name, bad.name) == ('judge 0', 'gold 0') and 'gives 0.09' in good.why
  assert bad.state == 'FAIL' and 'not one number' in bad.why
  assert 'no such workdir' in of(judges_read, Judge(by='nowhere'))


def judges_read(judge, tokenizer=None, **changes):
  cfg = smoke(judges=(judge,), **changes)
  return refusals.judges_read(cfg, dict(tokenizer=tokenizer or shipped()), (judge,))[0]


def critic_reads(critic, tokenizer=None):
  return refusals.critic_reads(smoke(critic=critic), dict(tokenizer=tokenizer or shipped()))


def reward_run(workdir, monkeypatch, form=chat.TRANSCRIPT, about=None, length=512):
  """The files that a reward model's text side is known by; no weights are read for it."""
  (workdir / 'checkpoints/7').mkdir(parents=True, exist_ok=True)
  raw = {'class': trained.REWARD, 'init': None, 'tokenizer': 'shipped', 'lora': None}
  raw |= dict(model=sealing.tree(dataclasses.replace(smoke().model, length=length)))
  (workdir / 'config.json').write_text(json.dumps(raw | dict(format=sealing.tree(form))))
  said = about or trained.text_side(shipped(), form)
  monkeypatch.setattr(trained.saving, 'about', lambda path: said)
  monkeypatch.setattr(trained, 'fingerprint_of', lambda path: 'abc')
  return Judge(by=str(workdir))


def test_a_reward_model_s_template_and_tokenizer_are_compared(tmp_path, monkeypatch):
  judge = reward_run(tmp_path, monkeypatch)
  assert 'tokens pass through' in judges_read(judge)
  other = judges_read(judge, format=chat.PHI2_INSTRUCT)
  assert 'written anew in its template transcript' in other
  changed = dict(trained.text_side(shipped(), chat.TRANSCRIPT), template='0' * 64)
  judge = reward_run(tmp_path, monkeypatch, about=changed)
  assert 'trained with template 000000000000' in of(judges_read, judge)
  judge = reward_run(tmp_path, monkeypatch, length=smoke().length - 1)
  assert 'was trained on 63 positions' in of(judges_read, judge)
  assert 'was trained on 63 positions' in of(critic_reads, judge.by)
  reward_run(tmp_path, monkeypatch)
  words = Tokenizer.from_vocab(['a', 'b'])
  assert 'the policy writes' in of(critic_reads, judge.by, words)


def test_what_cannot_be_read_is_refused_before_a_prompt_is_tokenised(tmp_path, monkeypatch):
  judge = reward_run(tmp_path / 'judge', monkeypatch)
  odd = chat.ChatFormat(name='odd', user='{user}', system='{system}{user}', answer='{answer}!')
  short = dataclasses.replace(smoke().model, length=1024)
  cases = (
    (ppo, smoke(judges=(judge,), format=odd), 'judge judge reads another template'),
    (ppo, smoke(gold=(judge,), format=odd), 'judge judge reads another template'),
    (ppo, smoke(critic=judge.by, model=short, response=600), 'critic=.* 512 positions'),
    (bon, dataclasses.replace(main.load(BON), proxy=(judge,), format=odd), 'another template'),
  )
  for stage, cfg, words in cases:
    monkeypatch.setattr(stage, 'open_prompts', lambda *_: pytest.fail('tokenised'))
    with pytest.raises(UserError, match=words):
      stage.run(sealing.seal(cfg), tmp_path / 'run')


def test_gold_is_counted_too():
  big = smoke(gold=(Judge(by='gold'),))
  mesh = doctor.mesh_fits(big.mesh, ONE)[1]
  assert '1 judges of its size' in ppo_memory.words(big, mesh, doctor.Machine('one', 1, 1 << 40))


@pytest.mark.campaign
def test_the_whole_visit():
  cfg = sealing.seal(smoke())
  with examining.quickly_compiled():
    found = {check.name: check for check in ppo.doctor(cfg, None, ONE)}
  assert {check.state for check in found.values()} == {'ok', 'skipped'}
  assert [n for n, check in found.items() if check.state == 'skipped'] == ['memory']
  found = {check.name: check.state for check in ppo.doctor(smoke(prompt=2), None, ONE)}
  assert (found['prompts'], found['rehearsal']) == ('FAIL', 'skipped')
