"""An iteration of PPO on a CPU: jaxalign's beside TRL 1.12's, on one core and on two.

  python benchmarks/ppo_cpu.py [--rounds=8] [--cores=1,2] [--trl=DIR]

Llamas of 922,752 parameters for policy, reference, reward and value; float32; 16 prompts of 32
tokens and 32 new tokens without a stop; 4 epochs of one minibatch. TRL, which jaxalign does not
depend on, lives in an environment of its own, DIR, which is made where it is not there (venv and
pip); without it figures of another machine stand in (KNOWN below): 1.255 s on one core. Both sides
start from the same weights, by way of jaxalign.export. Each has a process tied to its cores; rounds
alternate, nobody computes while another does, and the best round counts. On one core the ratio is
of CPU time, which a neighbour cannot stretch; on two it is of the clock: run it alone.

TRL runs as it comes ('trl': it asks for gradient checkpointing) and without that ('fast'); the
faster one counts. Ours keeps freed memory, as jaxalign.main does (jaxalign/allocator.py). The floor
is the arithmetic of jaxalign's iteration, product by product at the core's own rate.
Expected: at most 0.85 of TRL's time on one core, and 0.55 on two, which is the exit status.
"""

import argparse
import contextlib
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

from train_cpu import seconds

ROWS, PROMPT, NEW, EPOCHS = 16, 32, 32, 4
SIZES = dict(depth=4, width=128, heads=4, kv_heads=4, mlp=344, vocab=512)
NEEDED = ('trl==1.12.0', 'torch==2.13.0', 'transformers==5.23.0')
MOST = {1: 0.85, 2: 0.55}
KNOWN = dict(generate=0.100, score=0.081, train=1.073)  # TRL's, one core
OURS = {'jaxalign': {}}
THEIRS = {'trl': {'CHECKPOINT': '1'}, 'fast': {'CHECKPOINT': ''}}


def main():
  parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
  parser.add_argument('--rounds', type=int, default=8, help='the best of so many is reported')
  parser.add_argument('--cores', default='1,2')
  parser.add_argument('--trl', type=pathlib.Path, help='its environment, made where it is missing')
  parser.add_argument('--child', nargs=2, help=argparse.SUPPRESS)  # how this script calls itself
  args = parser.parse_args()
  if args.child:
    side, directory = args.child
    return (ours if side == 'ours' else theirs)(pathlib.Path(directory))
  python = environment(args.trl) if args.trl else None
  print('cores  side     generate    score    train   clock s    cpu s   ratio  floor  share')
  ok = [compare(int(cores), args.rounds, python) for cores in args.cores.split(',')]
  sys.exit(not all(ok))


def environment(directory):
  """The Python of an environment that has TRL; None where it cannot be had."""
  python = directory / 'bin' / 'python'
  if not python.exists():
    subprocess.run([sys.executable, '-m', 'venv', directory], check=True)
    got = subprocess.run([python, '-m', 'pip', 'install', '-q', *NEEDED])
    if got.returncode:
      return print(f'TRL cannot be installed into {directory}: see the lines above')
  return str(python)


def compare(cores, rounds, python):
  """Prints the rows of so many cores; whether jaxalign is as fast as expected."""
  with tempfile.TemporaryDirectory() as directory, contextlib.ExitStack() as stack:
    players = {}
    for name, env in OURS.items():  # first: it writes the weights
      players[name] = stack.enter_context(Player(sys.executable, 'ours', env, cores, directory))
    for name, env in THEIRS.items() if python else ():
      players[name] = stack.enter_context(Player(python, 'theirs', env, cores, directory))
    runs = {name: [] for name in players}
    for n in range(rounds + 1):
      for name, player in players.items():
        got = player.ask('step')
        if n:  # the first warms up
          runs[name].append(got)
    floor = players['jaxalign'].ask('floor')
  entropy = [made[0]['entropy'] for made in runs.values()]
  if max(entropy) - min(entropy) > 0.05:
    sys.exit(f'the policies differ: their entropies are {entropy}')
  return report(cores, runs, floor[0 if cores == 1 else 1])


def report(cores, runs, floor):
  if 'trl' not in runs:
    runs['known'] = [dict(clock=list(KNOWN.values()), cpu=sum(KNOWN.values()))]
  total = lambda r: r['cpu'] if cores == 1 else sum(r['clock'])
  best = {name: min(made, key=total) for name, made in runs.items()}
  peer = min(total(r) for name, r in best.items() if name not in OURS)
  for name, r in best.items():
    phases = ' '.join(f'{s:8.3f}' for s in r['clock'])
    print(
      f'{cores:5}  {name:8} {phases} {sum(r["clock"]):9.3f} {r["cpu"]:8.3f}'
      f' {total(r) / peer:7.2f} {floor:6.3f} {floor / total(r):6.0%}',
      flush=True,
    )
  return min(total(best[name]) for name in OURS) <= MOST[cores] * peer


class Player:
  """One side in its own process, which computes only while it is asked."""

  def __init__(self, python, side, env, cores, directory):
    clean = {k: v for k, v in os.environ.items() if k != 'PYTHONPATH' or side == 'ours'}
    self.process = subprocess.Popen(
      [python, __file__, '--child', side, directory],
      stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
      env=clean | env | dict(PYTHONWARNINGS='ignore', TRL_EXPERIMENTAL_SILENCE='1'),
      preexec_fn=lambda: os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[-cores:]),
    )  # fmt: skip
    self.answer()

  def __enter__(self):
    return self

  def __exit__(self, *_):
    self.process.kill()
    self.process.wait()

  def ask(self, what):
    time.sleep(0.3)  # the other side's threads spin for a moment before they sleep
    self.process.stdin.write(what + '\n')
    self.process.stdin.flush()
    return self.answer()

  def answer(self):
    for line in self.process.stdout:
      if line.startswith('@'):  # TRL prints too
        return json.loads(line[1:])
    return sys.exit(f'{self.process.args[2:4]} ended without answer')


def tell(what):
  print('@' + json.dumps(what), flush=True)


def now():
  return time.perf_counter(), time.process_time()


def prompts():
  import numpy as np

  return np.random.default_rng(0).integers(3, SIZES['vocab'], (ROWS, PROMPT))


def ours(directory):
  import jax
  import jax.numpy as jnp

  import jaxalign
  from jaxalign import allocator, config
  from jaxalign.models import llama2
  from jaxalign.models.heads import Critic, Scorer
  from jaxalign.rl import improve, players
  from jaxalign.rl.sample import Sampling, generate
  from jaxalign.sharding.meshes import make_mesh
  from jaxalign.stages.ppo import collect, learn
  from jaxalign.stages.ppo_start import optimizers
  from jaxalign.train.state import make_state

  allocator.keep_freed()
  cfg = llama2.tiny(**SIZES, eos=(), remat='none', unroll=SIZES['depth'])
  rules = players.Rules(epochs=EPOCHS, value_clip=0.2)
  game = players.Game(rules=rules, response=NEW, minibatches=1, microbatches=1)
  adam = config.AdamW(lr=3e-6, eps=1e-5, schedule=config.Schedule(shape='constant'))
  tx = optimizers(adam, adam, 1000, 1000)
  model = jax.jit(cfg.build)(jax.random.key(0))
  if not any(directory.iterdir()):
    jaxalign.export(model, directory, overwrite=True)
  copy = lambda: jax.tree.map(lambda w: jnp.array(w, copy=True), model)
  mesh = make_mesh(devices=jax.devices()[:1])
  build = players.fresh_players(cfg.build)
  _, make = make_state(build, tx, 0, mesh, lambda: improve.carried(rules))
  state = make(dict(policy=copy(), critic=Critic(copy(), jax.random.key(1))))
  given = dict(reference=model, scorers=(Scorer(copy(), jax.random.key(2)),))
  batch = dict(tokens_BT=jnp.asarray(prompts(), jnp.int32)[None])
  batch |= dict(segment_BT=jnp.ones_like(batch['tokens_BT']))
  prompt = batch['tokens_BT'][0], batch['segment_BT'][0]

  def iterate():
    nonlocal state
    marks = [now()]
    key_B = players.row_keys(state.key, state.step, ROWS)
    policy = state.model['policy']
    jax.block_until_ready(generate(policy, *prompt, key_B, Sampling(slots=NEW)))
    marks.append(now())
    seen = jax.block_until_ready(collect(game, state.model, batch, key_B, given))
    marks.append(now())
    state, (metrics, _) = learn(game, tx, state, batch, seen, seen.scores, given)
    jax.block_until_ready(state)
    marks.append(now())
    alone, both, train = (b[0] - a[0] for a, b in zip(marks, marks[1:]))
    cpu = marks[3][1] - marks[1][1]  # the sampler's run by itself only tells the phases apart
    entropy = float(metrics['entropy'][0][0] / metrics['entropy'][1][0])
    return dict(clock=[alone, both - alone, train], cpu=cpu, entropy=entropy)

  with jax.set_mesh(mesh):
    tell(iterate())
    for line in sys.stdin:
      tell(iterate() if line == 'step\n' else floor())


def floor():
  """[CPU, clock] seconds of an iteration's products, each shape at this process' own rate."""
  import jax
  import jax.numpy as jnp
  import numpy as np

  D, F, V, H, L = (SIZES[name] for name in ('width', 'mlp', 'vocab', 'heads', 'depth'))
  T, K = PROMPT + NEW - 1, D // H
  multiply = jax.jit(lambda a, b: jnp.matmul(a, b, precision='highest'))

  def fastest(batch, n, k, m):
    a, b = jnp.ones((batch, n, k)), jnp.ones((batch, k, m))
    a, b = (a[0], b[0]) if batch == 1 else (a, b)
    run = lambda: multiply(a, b).block_until_ready()
    run()
    return np.array([min(times) for times in zip(*(seconds(run) for _ in range(12)))])

  def body(N):
    return [(4 * L, N, D, D), (2 * L, N, D, F), (L, N, F, D)]

  def backward(shapes):
    return [x for c, N, i, o in shapes for x in ((c, N, o, i), (c, i, N, o))]

  train, head = body(ROWS * T), [(1, ROWS * NEW, D, V)]
  plain = [(2 * EPOCHS, train + backward(train)), (EPOCHS, head + backward(head))]
  plain += [(4, train), (2, head)]  # scoring: policy, reference, critic, reward
  plain += [(1, body(ROWS * PROMPT)), (NEW - 1, body(ROWS)), (NEW, [(1, ROWS, D, V)])]
  total = sum(n * c * fastest(1, N, i, o) for n, shapes in plain for c, N, i, o in shapes)
  attention = fastest(ROWS * H, T, K, T) + fastest(ROWS * H, T, T, K)
  return (total + (2 * EPOCHS * 3 + 4) * L * attention).tolist()


def theirs(directory):
  """TRL's own loop, which waits at the beginning of every iteration until it is asked."""
  import torch
  import transformers
  from datasets import Dataset
  from tokenizers import Tokenizer, models, pre_tokenizers
  from trl.experimental.ppo import PPOConfig, PPOTrainer, ppo_trainer

  torch.set_num_threads(len(os.sched_getaffinity(0)))
  transformers.utils.logging.disable_progress_bar()
  words = Tokenizer(models.WordLevel({f't{n}': n for n in range(SIZES['vocab'])}, 't1'))
  words.pre_tokenizer = pre_tokenizers.Whitespace()
  tokenizer = transformers.PreTrainedTokenizerFast(
    tokenizer_object=words, pad_token='t0', eos_token='t2', unk_token='t1', padding_side='left'
  )
  lm = transformers.AutoModelForCausalLM
  scalar = transformers.AutoModelForSequenceClassification
  load = lambda kind, **how: kind.from_pretrained(directory, dtype=torch.float32, **how)
  args = PPOConfig(
    output_dir=str(directory / 'trl'), per_device_train_batch_size=ROWS, num_mini_batches=1,
    gradient_accumulation_steps=1, num_ppo_epochs=EPOCHS, response_length=NEW, temperature=1.0,
    total_episodes=ROWS * 1000, local_rollout_forward_batch_size=ROWS, num_sample_generations=0,
    bf16=False, use_cpu=True, report_to='none', save_strategy='no', logging_strategy='no',
    learning_rate=3e-6, gradient_checkpointing=bool(os.environ['CHECKPOINT']), stop_token_id=None,
  )  # fmt: skip
  marks, said = [], {}
  generation, whiten = ppo_trainer.batch_generation, ppo_trainer.masked_whiten

  def waiting_generation(*given):
    if said and not sys.stdin.readline():
      os._exit(0)
    marks[:] = [now()]
    out = generation(*given)
    marks.append(now())
    return out

  def marked_whiten(*given, **how):
    marks.append(now())  # advantages: the last work of its scoring phase
    return whiten(*given, **how)

  class Tell(transformers.TrainerCallback):
    def on_log(self, args, state, control, logs=None, **_):
      said.update(logs)

    def on_step_end(self, *_, **__):
      marks.append(now())
      clock = [b[0] - a[0] for a, b in zip(marks, marks[1:])]
      said['entropy'] = said['policy/entropy_avg']
      tell(dict(clock=clock, cpu=marks[-1][1] - marks[0][1], entropy=said['entropy']))

  ppo_trainer.batch_generation, ppo_trainer.masked_whiten = waiting_generation, marked_whiten
  trainer = PPOTrainer(
    args=args, processing_class=tokenizer, model=load(lm), ref_model=load(lm),
    reward_model=load(scalar, num_labels=1), value_model=load(scalar, num_labels=1),
    train_dataset=Dataset.from_dict(dict(input_ids=prompts().tolist())), callbacks=[Tell()],
  )  # fmt: skip
  trainer.train()


if __name__ == '__main__':
  main()
