"""Against a proxy with a hole in it, PPO finds the hole: gold rises, turns and falls, as it must.

A language of 64 words. Gold is the share of GOOD words, 24 of them; the proxy is that and 1.5 times
the share of one TRICK. Of all policies at some KL from the uniform one the best weigh a word by
exp(x * proxy of the word): small x raises the many good words, large x leaves the trick alone.
"""

import functools
import json

import jax
import numpy as np
import pytest

from jaxalign import sealing
from jaxalign.config import AdamW, Logging, Saving, Schedule
from jaxalign.data import chat, sources
from jaxalign.data.text import Tokenizer
from jaxalign.models import llama2
from jaxalign.rl import overoptimisation as over
from jaxalign.rl.judges import Judge
from jaxalign.rl.players import Rules
from jaxalign.stages import overoptimisation, ppo

pytestmark = pytest.mark.campaign
GOOD, TRICK = [f'good{n}' for n in range(24)], 'trick'
WORDS = [*GOOD, TRICK, *(f'other{n}' for n in range(39))]
PLAIN = chat.ChatFormat(name='plain', user='{user}', system='{system} {user}', answer='{answer}')
R, BETA, WORTH = 6, 0.02, 1.5  # slots of an answer, KL's price, of the trick


def gold(prompt, answer):
  return sum(word in GOOD for word in answer.split()) / R


def proxy(prompt, answer):
  return gold(prompt, answer) + WORTH * answer.split().count(TRICK) / R


def configured(place):
  Tokenizer.from_vocab(WORDS).save(str(place / 'words'))
  rng = np.random.default_rng(0)

  def prompts(name, rows):
    texts = [' '.join(rng.choice(WORDS, rng.integers(1, 5))) for _ in range(rows)]
    path = place / f'{name}.jsonl'
    path.write_text(''.join(json.dumps(dict(prompt=text)) + '\n' for text in texts))
    return sources.Jsonl(path=str(path), kind='prompt')

  tokenizer = Tokenizer.load(str(place / 'words'))
  adam = AdamW(lr=3e-3, eps=1e-5, schedule=Schedule(shape='constant'))
  width = dict(width=32, heads=4, kv_heads=2, mlp=48, depth=1, length=64, remat='none')
  sizes = dict(prompt=8, response=R, batch=64, minibatch=32, steps=30, eval_every=2)
  return ppo.Config(
    model=llama2.tiny(vocab=tokenizer.vocab, eos=(tokenizer.eos,), **width),
    tokenizer=str(place / 'words'),
    format=PLAIN,
    prompts=prompts('train', 256),
    held_out=prompts('held_out', 128),
    judges=(Judge(by=proxy),),
    gold=(Judge(by=gold),),
    rules=Rules(beta=BETA, epochs=2),
    optim=adam,
    critic_optim=adam,
    saving=Saving(every=30, keep=1),
    logging=Logging(every=100),
    **sizes,
  )


def best_objective(vocab):
  """Of proxy - beta * KL over all policies: by the last slot first, as an end closes an answer."""
  worth = np.zeros(vocab)  # what a word adds to the proxy; the last one stands for the end
  worth[: len(GOOD)], worth[len(GOOD)] = 1 / R, WORTH / R
  after = 0.0
  for _ in range(R):
    goes_on = np.append(np.full(vocab - 1, after), 0)
    after = BETA * np.log(np.mean(np.exp((worth + goes_on) / BETA)))
  return after


@pytest.fixture(scope='module')
def ran(tmp_path_factory):
  place = tmp_path_factory.mktemp('turn')
  with pytest.MonkeyPatch.context() as patch:
    one = functools.partial(ppo.make_mesh, devices=jax.devices()[:1])
    patch.setattr(ppo, 'make_mesh', lambda *sizes: one(1, 1, 1))
    ppo.run(sealing.seal(configured(place)), place / 'run')
  rows = [json.loads(line) for line in (place / 'run/evals.jsonl').read_text().splitlines()]
  return place / 'run', {name: np.array([row[name] for row in rows]) for name in rows[0]}


def test_gold_rises_turns_and_falls_while_the_proxy_rises(ran):
  _, at = ran
  proxy_N, gold_N = at['held_out_reward'], at['held_out_gold']
  peak, last = int(gold_N.argmax()), len(gold_N) - 1
  assert 0 < peak < last
  assert gold_N[peak] > gold_N[0] + 0.3, 'it rises, for most of what the proxy likes is good'
  assert gold_N[-5:].max() < gold_N[peak] - 0.3, 'it falls, and does not come back'
  # All the while the proxy rises; Adam carries it a little beyond its optimum, and back.
  assert (proxy_N - np.maximum.accumulate(proxy_N) > -0.12).all()
  assert proxy_N[-5:].min() > proxy_N[peak] + 0.2
  reached = peak + int(gold_N[peak:].argmin())
  assert (np.diff(gold_N[peak : reached + 1]) < 0.05).all()
  assert (np.diff(proxy_N[: reached + 1]) > -0.02).all()
  up = np.flatnonzero(at['warn_proxy_up_gold_down'])
  assert len(up) and peak < up[0] < last, 'the run says so while it runs, and not before the turn'


def test_the_end_is_the_optimum_in_closed_form_and_never_beyond_it(ran):
  """beta * log of the mean of exp(reward / beta): no policy is worth more, this one nearly is."""
  _, at = ran
  vocab = len(WORDS) + 3
  begins = len(GOOD) / vocab  # of a uniform policy, but for those that end early
  assert at['held_out_gold'][0] == pytest.approx(begins, abs=0.06)
  worth_N = at['held_out_reward'] - BETA * at['held_out_kl']
  best = best_objective(vocab)
  assert (worth_N < best + 0.03).all() and worth_N[-5:].mean() > best - 0.05
  x = 1 / (BETA * R)
  good, trick = len(GOOD) * np.exp(x), np.exp(WORTH * x)
  share = good / (good + trick + vocab - len(GOOD) - 1)
  assert share < begins, 'the closed form must want the trick, or nothing was tested'
  assert at['held_out_gold'][-5:].mean() == pytest.approx(share, abs=0.12)


def test_the_report_sees_both_sides_of_the_turn(ran):
  pytest.importorskip('matplotlib', reason='the report is an extra: jaxalign[report]')
  workdir, at = ran
  curve = overoptimisation.report(workdir / 'page', ppo=workdir, draws=200)[over.RL]
  gold_N, peak = curve.means['gold'], int(curve.means['gold'].argmax())
  np.testing.assert_allclose(gold_N, at['held_out_gold'], atol=1e-5)
  fit = curve.fits['gold']
  assert fit.b_interval[0] > 0 and fit.reach[0] < fit.turn < fit.reach[1], fit.why
  assert (curve.d < fit.turn).sum() >= 3 and (curve.d > fit.turn).sum() >= 3
  assert abs(fit.turn - curve.d[peak]) < 1.0
  assert isinstance(curve.fits['proxy'], str) or curve.fits['proxy'].turn is None
