"""The stage: refusals before anything is spent, runs that go on as if unbroken, evaluation."""

import dataclasses
import functools
import json
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxalign
from jaxalign import chips, config, main, sealing
from jaxalign.config import UserError
from jaxalign.data import chat
from jaxalign.data.decontaminate import Decontaminated
from jaxalign.data.sources import Shipped
from jaxalign.models import llama2
from jaxalign.models.adapters import Lora
from jaxalign.rl import overoptimisation as over
from jaxalign.rl.judges import Judge
from jaxalign.rl.players import Rules
from jaxalign.sharding.meshes import make_mesh
from jaxalign.stages import ppo, ppo_start, trained
from jaxalign.train import saving
from jaxalign.train.optim import learning_rate
from tests.stages import trained_test
from tests.train import running

ROOT = pathlib.Path(__file__).resolve().parents[2]
DRIVER = str(ROOT / 'tests/rl/driver.py')
TALKS = Shipped(name='conversations', as_='prompt')
pytestmark = pytest.mark.usefixtures('one_device')  # any mesh: tests/rl/improve_test.py
ANSWERS = ('reward', 'kl', 'length', 'finished', 'entropy', 'distinct_2')
SCORES = ('held_out_cost', *(f'{way}_{name}' for way in ('held_out', 'greedy') for name in ANSWERS))


def small(**changes):
  cfg = main.load(DRIVER)
  vars(cfg).update(dict(minibatch=8) | changes)
  return cfg


def start(cfg, workdir):
  main.run_stage(main.stage_of(sealing.seal(cfg)), cfg, workdir, False)


def lines(path):
  return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.fixture(scope='module')
def unbroken(tmp_path_factory, one_device):
  """On a device whose peak is known, as on every TPU: the progress line may count on it."""
  workdir = tmp_path_factory.mktemp('unbroken')
  with pytest.MonkeyPatch.context() as patch:
    patch.setattr(chips, 'of_device', lambda name: chips.CHIPS['v5e'])
    start(small(), workdir)
  return workdir


def test_rule_24_broken_by_its_judge_and_resumed_it_is_the_unbroken_run(unbroken, tmp_path):
  """A judge that fails in iteration 6 ends the run with one line, and nothing is overwritten: what
  follows is the unbroken run bit for bit, beta, moments, prompts, metrics and samples included."""
  broken, calls = small(), []

  @functools.wraps(broken.judges[0].by)
  def failing(prompt, answer):
    calls.append(prompt)
    value = broken.judges[0].by.__wrapped__(prompt, answer)
    return float('nan') if len(calls) == 16 + 5 * 8 + 3 else value

  broken.judges = (Judge(by=failing),)
  with pytest.raises(UserError, match='judge share_of_e gave nan for the answer'):
    start(broken, tmp_path)
  assert len(running.metrics(tmp_path)) == 4 and not (tmp_path / 'final.npz').exists()
  start(small(), tmp_path)
  running.assert_same_run(tmp_path, unbroken)
  final = running.final(tmp_path)
  assert final['.extra.moments.count'] == 8 * 8 and final[".extra.taken['policy']"] == 16
  assert final['.extra.kl.beta'] != np.float32(0.05)
  for name in ('samples.jsonl', 'evals.jsonl'):
    assert (tmp_path / name).read_text() == (unbroken / name).read_text()


def test_evaluation_is_greedy_and_sampled_by_fixed_keys_and_written_down(unbroken):
  said = lines(unbroken / 'samples.jsonl')
  assert [line['step'] for line in said] == [0] * 16 + [4] * 16 + [8] * 16
  assert sum(line['greedy'] for line in said) == 24
  for line in said:
    assert line['score'] == pytest.approx(line['answer'].count('e') / max(len(line['answer']), 1))
  prompts = [[x['prompt'] for x in said if x['step'] == step] for step in (0, 4, 8)]
  assert prompts[0] == prompts[1] == prompts[2]  # the same at every evaluation
  evals = lines(unbroken / 'evals.jsonl')
  flags = {f'warn_{name}' for name in over.FLAGS}
  assert {*SCORES, 'step', *flags} == set(evals[0])
  sampled = [x['score'] for x in said if x['step'] == 0 and not x['greedy']]
  assert evals[0]['held_out_reward'] == pytest.approx(np.mean(sampled), rel=1e-5)
  assert evals[0]['held_out_cost'] == -evals[0]['held_out_reward']


def test_what_it_trained_loads_as_a_language_model(unbroken, monkeypatch):
  raw = json.loads((unbroken / 'config.json').read_text())
  monkeypatch.setattr('jaxalign.stages.trained.PPO', raw['class'])  # the driver's, here
  model = jaxalign.load(unbroken)
  final = running.final(unbroken)
  np.testing.assert_array_equal(model.embed_VD, final[".model['policy'].embed_VD.value"])


def test_every_metric_that_others_plot_is_there(unbroken):
  rows = running.metrics(unbroken)
  wanted = (
    'reward_raw reward reward_shaped kl_sequence kl_token kl_token_q1 beta entropy ratio '
    'clip_fraction approx_kl explained_variance value_loss length finished truncated sampler_gap '
    'distinct_2 repetition optimizer_steps masked_steps skipped flags score_share_of_e ptx_loss '
    'first_ratio_max policy_grad_norm critic_grad_norm policy_lr critic_lr'
  )
  for name in wanted.split():
    assert all(row[name] is not None for row in rows), name
  assert all(row['optimizer_steps'] == 2 for row in rows)
  assert rows[0]['kl_sequence'] == 0
  rates = [learning_rate(small().optim, 16)(2 * n) for n in range(8)]
  np.testing.assert_allclose([row['policy_lr'] for row in rows], rates, rtol=1e-5)


def test_beyond_its_kl_bound_a_policy_costs_more_than_any_other():
  means = dict(held_out_kl=2.0, held_out_reward=0.5)
  assert ppo.held_out.cost(means, None) == ppo.held_out.cost(means, 2.0) == -0.5
  assert ppo.held_out.cost(means, 1.9) == float('inf')


@pytest.mark.campaign
def test_a_kl_bound_keeps_a_policy_that_went_too_far_from_being_the_best(tmp_path):
  cfg = small(kl_bound=1e-9, saving=config.Saving(every=4, best='held_out_cost'))
  start(cfg, tmp_path)
  costs = [row['held_out_cost'] for row in lines(tmp_path / 'evals.jsonl')]
  assert costs[0] is not None  # before the first step KL is 0, within any bound
  assert costs[1:] and set(costs[1:]) == {None}  # JSON has no infinity


def exported(directory, seed):
  cfg = main.load(DRIVER).model
  model = jax.jit(cfg.build)(jax.random.key(seed))
  jaxalign.export(model, directory, overwrite=True)
  return str(directory)


def test_rule_21_resumed_with_another_reference_is_refused(tmp_path):
  """The directory that init names holds other weights by now: the run does not go on against
  them, and nothing is overwritten."""
  cfg = sealing.seal(small(init=exported(tmp_path / 'hf', 0)))
  tx = ppo_start.optimizers(cfg.optim, cfg.critic_optim, 10, 10)
  mesh = ppo.make_mesh(1, 1, 1)
  with jax.set_mesh(mesh), saving.Saves(tmp_path / 'run', cfg.saving) as saves:
    state, _ = ppo_start.start(cfg, tx, mesh, saves, ())
    saves.save(state.replace(step=state.step + 1))
    saves.wait()
    again, _ = ppo_start.start(cfg, tx, mesh, saves, ())
    assert again.step == 1
    exported(tmp_path / 'hf', 1)
    with pytest.raises(UserError, match='was trained against another reference than'):
      ppo_start.start(cfg, tx, mesh, saves, ())
  assert saving.newest(tmp_path / 'run') == 1


@pytest.fixture
def reward(tmp_path):
  trained_test.store(tmp_path / 'reward')
  return str(tmp_path / 'reward')


def opened(cfg, tmp_path):
  """(state, given) as the run starts, and what the players say of its first prompts."""
  mesh = ppo.make_mesh(1, 4, 2)
  tokenizer = ppo.training.open_tokenizer(cfg)
  tx = ppo_start.optimizers(cfg.optim, cfg.critic_optim, 10, 10)
  with jax.set_mesh(mesh), saving.Saves(tmp_path / 'run', cfg.saving) as saves:
    readers, hosts, names, weights = ppo.judging.open_judges(cfg, tokenizer, mesh, cfg.judges)
    game = ppo.game_of(cfg, names, weights)
    state, given = ppo_start.start(cfg, tx, mesh, saves, readers)
    feed = ppo.Feed(ppo.open_prompts(cfg, tokenizer, tmp_path), cfg.batch, mesh)
    key_B = ppo.keys(state.key, 0, cfg.batch)
    seen = jax.device_get(ppo.collect(game, state.model, feed.at(0, 1), key_B, given))
  return state, given, seen, hosts, names


def test_rules_9_10_20_a_reward_model_judges_and_the_critic_starts_from_it(reward, tmp_path):
  """Its hashes agree with the policy's, so tokens pass; its score is that of the row alone, read at
  the last real token; and the critic's values there are its scores."""
  judges = (Judge(by=reward), Judge(by=trained_test.store, weight=0.5))
  cfg = sealing.seal(small(judges=judges, critic=reward))
  state, given, seen, hosts, names = opened(cfg, tmp_path)
  assert len(given['scorers']) == len(hosts) == 1 and names == ('reward', 'store')
  scorer, _, _ = trained.scorer_of(reward)
  for a, b in zip(jax.tree.leaves(scorer), jax.tree.leaves(state.model['critic'])):
    np.testing.assert_array_equal(a, b)
  run = jax.jit(lambda tokens_BT, segment_BT: scorer(tokens_BT, segment_BT))
  alone = lambda ids: run(np.resize(ids, 40)[None], (np.arange(40) < len(ids)).astype(int)[None])[0]
  for row in range(8):
    tokens = seen.tokens_BT[row][seen.segment_BT[row] != 0]  # padded on the right, here
    np.testing.assert_allclose(seen.scores[0][row], alone(tokens), rtol=1e-4)
    at = seen.length_B[row] - 1  # the value before the last token is of the text without it
    np.testing.assert_allclose(seen.value_BR[row, at], alone(tokens[:-1]), rtol=1e-4)


@pytest.mark.parametrize('form, tokens', [(None, 1), (chat.PHI2_INSTRUCT, 0)])
def test_rule_9_tokens_go_only_to_a_judge_of_the_same_template(reward, form, tokens):
  cfg = sealing.seal(small(judges=(Judge(by=reward),), **(dict(format=form) if form else {})))
  tokenizer, mesh = ppo.training.open_tokenizer(cfg), ppo.make_mesh(1, 1, 1)
  with jax.set_mesh(mesh):
    readers, hosts, _, _ = ppo.judging.open_judges(cfg, tokenizer, mesh, cfg.judges)
  assert (len(readers), len(hosts)) == (tokens, 1 - tokens)


@pytest.mark.campaign
def test_rule_9_a_reward_model_of_another_template_reads_text(reward, tmp_path):
  cfg = sealing.seal(small(judges=(Judge(by=reward),), format=chat.PHI2_INSTRUCT))
  _, given, seen, hosts, _ = opened(cfg, tmp_path)
  assert given['scorers'] == () and len(hosts) == 1
  assert np.isfinite(np.asarray(hosts[0](jax.tree.map(jnp.asarray, seen)))).all()


@pytest.mark.parametrize(
  'change, says',
  [
    (dict(minibatch=3), 'batch=8 is not a multiple of minibatch=3'),
    (dict(microbatches=3), 'minibatch=8 is not a multiple of microbatches=3'),
    (dict(prompt=500, response=100), 'are 600 tokens: the model was trained on 512 positions'),
    (dict(reference='/no/such/place'), 'reference is missing: /no/such/place'),
    (dict(judges=()), 'judges: none with a weight'),
    (dict(gold=(Judge(by=trained_test.store),), held_out=None), 'gold scores .*: name them'),
    (dict(lora=Lora()), 'share the base that init names'),
    (dict(pretraining=()), 'one without the other does nothing'),
    (dict(rules=Rules(critic_first=9, ptx=0.1)), 'critic_first=9: below steps=8'),
    (dict(held_out=None, saving=config.Saving(best='held_out_cost')), 'no held_out prompts'),
    (dict(saving=config.Saving(best='held_out_reward')), 'lowest is kept.*held_out_cost, minus'),
    (dict(optim=config.AdamW(frozen=('norm*',))), 'optim.frozen is not for ppo'),
    (dict(prompt=2), 'nothing is left .* longer than 2 tokens'),
    (dict(batch=2**24), 'batch=16777216: .* GiB, and it has'),
    (dict(steps=2**30), 'optimizer steps: at most'),
    (dict(prompts=Decontaminated(source=TALKS, against=(TALKS,))), 'none of 124 .*shares a prompt'),
  ],
  ids=lambda x: x[:40] if isinstance(x, str) else '-'.join(x),
)
def test_bad_config_is_one_line_before_anything_is_spent(change, says, tmp_path):
  with pytest.raises(UserError, match=says):
    start(small(**change), tmp_path)
  assert not (tmp_path / 'metrics.jsonl').exists()


def test_microbatches_are_split_over_every_device(tmp_path, monkeypatch):
  monkeypatch.setattr(ppo, 'make_mesh', make_mesh)  # all eight
  with pytest.raises(UserError, match='rows of one are not a multiple of the 8 ways'):
    start(small(microbatches=2, mesh=config.Mesh(fsdp=4, data=2)), tmp_path)


def test_a_reference_of_another_model_is_refused_before_prompts_are_read(tmp_path):
  jaxalign.export(jax.jit(llama2.tiny(vocab=512).build)(jax.random.key(0)), tmp_path / 'hf')
  with pytest.raises(UserError, match='vocab=1024 .init has 512'):
    start(small(reference=str(tmp_path / 'hf')), tmp_path / 'run')
  assert [file.name for file in (tmp_path / 'run').iterdir()] == ['config.json']


def test_prepare_leaves_the_run_nothing_to_tokenise(tmp_path, monkeypatch):
  cfg = sealing.seal(small())
  ppo.prepare(cfg, tmp_path)
  monkeypatch.setattr(ppo.training.prepare, 'prepare', lambda *_, **__: pytest.fail('tokenised'))
  monkeypatch.setattr(ppo.training, 'train', lambda *_: None)
  ppo.run(cfg, tmp_path)


def test_frozen_models_are_held_in_the_type_of_the_arithmetic(reward, tmp_path):
  model = dataclasses.replace(small().model, dtype='bfloat16')
  cfg = sealing.seal(small(model=model, judges=(Judge(by=reward),)))
  mesh, tokenizer = ppo.make_mesh(1, 4, 2), ppo.training.open_tokenizer(cfg)
  with jax.set_mesh(mesh), saving.Saves(tmp_path / 'run', cfg.saving) as saves:
    (judge,), *_ = ppo.judging.open_judges(cfg, tokenizer, mesh, cfg.judges)
    state, given = ppo_start.start(cfg, ppo_start.optimizers_of(cfg), mesh, saves, (judge,))
  for tree, kind in (
    (given['reference'], 'bfloat16'),
    (judge.decoder, 'bfloat16'),
    (state.model, 'float32'),
  ):
    assert {str(w.dtype) for w in jax.tree.leaves(tree)} == {kind}


def test_rule_1_long_prompts_are_dropped_and_counted_not_cut(unbroken):
  manifests = [json.loads(p.read_text()) for p in (unbroken / 'prepared').glob('*/manifest.json')]
  (prompts,) = (m for m in manifests if m['kind'] == 'prompt')
  assert prompts['dropped'] == {'longer than 32 tokens': 124 - prompts['examples']}
  assert 0 < prompts['examples'] < 124


def test_rule_22_the_defaults_of_the_optimizers():
  for field in dataclasses.fields(ppo.Config):
    if field.name in ('optim', 'critic_optim'):
      adam = field.default_factory()
      assert (adam.eps, adam.b2, adam.weight_decay, adam.clip) == (1e-5, 0.95, 0.0, 1.0)


def test_rules_20_22_each_player_has_its_own_rate_schedule_and_clip():
  """Constant gradients, so that Adam moves by the rate; every other one is 100 times too long."""
  adam = functools.partial(config.AdamW, eps=1e-5, schedule=config.Schedule(warmup=1, end=0.0))
  rules = Rules(epochs=2, critic_first=4, ptx=0.1)
  cfg = small(optim=adam(lr=1e-2), critic_optim=adam(lr=3e-2), rules=rules)
  tx = ppo_start.optimizers_of(cfg)
  weights = dict(policy={'w': jnp.ones(1)}, critic={'w': jnp.ones(1)})
  state = tx.init(weights)
  for n in range(8):  # as many as the policy takes, half of the critic's
    grads = jax.tree.map(lambda w, n=n: w * (100.0 if n % 2 else 1.0), weights)
    moved, state = tx.update(grads, state, weights)
    for name, player, steps in (('policy', cfg.optim, 8), ('critic', cfg.critic_optim, 16)):
      rate = learning_rate(player, steps)(n)
      np.testing.assert_allclose(moved[name]['w'], -rate, rtol=1e-3, atol=1e-9)
