"""The report reads what runs leave, finds the turn that is in it, and stands alone."""

import base64
import csv
import dataclasses
import io
import json
import re

import numpy as np
import pytest

from jaxalign.config import UserError
from jaxalign.rl import overoptimisation as over
from jaxalign.stages import overoptimisation, overoptimisation_page

pytest.importorskip('matplotlib', reason='the report is an extra: jaxalign[report]')


def write(path, rows):
  path.parent.mkdir(parents=True, exist_ok=True)
  path.write_text(''.join(json.dumps(row) + '\n' for row in rows))


def bon_run(workdir, prompts=80, answers=128, exploit=0.8, gold=True):
  """Gold = quality; proxy = quality + an exploit whose tail is heavy and that hurts gold."""
  rng = np.random.default_rng(0)
  rows = []
  for _ in range(prompts):
    quality, trick = rng.normal(size=answers), rng.exponential(size=answers)
    row = dict(prompt='<why & how?>', answers=['a b c a b'] * answers, distinct_2=[0.75] * answers)
    row['proxy'] = (quality + exploit * trick).tolist()
    row['tokens'] = rng.integers(5, 40, answers).tolist()
    row['finished'] = (rng.random(answers) < 0.9).tolist()
    row['gold'] = (quality - 0.25 * exploit * trick**2).tolist() if gold else None
    rows.append(row)
  write(workdir / 'bon-00000.jsonl', rows[:50])
  write(workdir / 'bon-00001.jsonl', rows[50:])
  return workdir


def ppo_run(workdir, evaluations=21, prompts=60, turn=True, kl=True):
  rng = np.random.default_rng(1)
  samples, evals, metrics = [], [], []
  own = rng.normal(size=prompts)
  for n in range(evaluations):
    step, d = 20 * n, 0.3 * n
    gold = d * (1.5 - 0.8 * np.log(d)) if turn and d else d
    for row in range(prompts):
      one = dict(step=step, greedy=False, row=row, prompt='p', answer='to be or not to be')
      one |= dict(tokens=20 + n, finished=n % 3 > 0, distinct_2=0.8)
      one['score'] = 2 * d + own[row] + 0.2 * rng.normal()
      one['gold'] = gold + own[row] + 0.2 * rng.normal()
      one |= dict(kl=d**2 + 0.1 * rng.normal()) if kl else {}
      samples += [one, one | dict(greedy=True, score=99.0)]
    evals.append(dict(step=step, held_out_kl=d**2, held_out_reward=2 * d))
  for step in range(1, 20 * evaluations):
    k = (0.015 * step) ** 2
    quarters = {f'kl_token_q{q}': k * q / 40 for q in range(1, 5)}
    row = dict(step=step, kl_sequence=k, entropy=3 / (1 + step / 60), reward_raw=step / 30)
    metrics.append(row | dict(length=20, truncated=0.1, distinct_2=0.9) | quarters)
  for name, rows in (('samples', samples), ('evals', evals), ('metrics', metrics)):
    write(workdir / f'{name}.jsonl', rows)
  (workdir / 'config.json').write_text(json.dumps(dict(rules=dict(kl_target=4.0))))
  return workdir


def test_the_report_of_both_finds_the_turns_and_stands_alone(tmp_path):
  best_of, ppo = bon_run(tmp_path / 'bon'), ppo_run(tmp_path / 'ppo')
  curves = overoptimisation.report(tmp_path / 'out', best_of=best_of, ppo=ppo, draws=300)
  text = (tmp_path / 'out/overoptimisation.html').read_text()
  assert '://' not in text and not re.search(r'(src|href)=["\']?(//|\w+\.)', text)
  assert '<script' not in text and text.count('<svg') == 2 + 3 + 3
  held = [
    re.search(rf'download="{n}.csv" href="[^,]*,([^"]*)"', text)[1] for n in ('Best-of-n', 'PPO')
  ]
  for c, data in zip((curves[over.BON], curves[over.RL]), held):
    rows = list(csv.DictReader(io.StringIO(base64.b64decode(data).decode())))
    assert [float(row['gold low']) for row in rows] == c.low['gold'].tolist()
  for words in ('Turning point: d = ', '80 prompts, 128 answers each', 'entropy collapse'):
    assert words in text, words
  fit = curves[over.RL].fits['gold']
  assert abs(fit.turn - np.exp(1.5 / 0.8 - 1)) < 0.15
  assert fit.a_interval[0] < 1.5 < fit.a_interval[1] and curves[over.RL].fits['proxy'].turn is None
  c = curves[over.BON]
  assert c.fits['gold'].turn is not None and c.fits['proxy'].turn is None
  assert c.label[:4] == [1, 2, 3, 4] and c.label[-1] == 128 and c.d[0] == 0
  assert (np.diff(c.means['proxy']) > 0).all() and (c.low['proxy'] < c.means['proxy']).all()
  assert {'kl', 'entropy_collapse'} <= set(curves[over.RL].warned)
  written = json.loads((tmp_path / 'out/overoptimisation.json').read_text())
  assert written[over.RL]['fits']['gold']['turn'] == pytest.approx(fit.turn)
  overoptimisation.report(tmp_path / 'again', best_of=best_of, ppo=ppo, draws=300)
  assert (tmp_path / 'again/overoptimisation.html').read_text() == text


def test_a_run_that_does_not_turn_says_so(tmp_path):
  ppo = ppo_run(tmp_path / 'ppo', turn=False, kl=False)
  curves = overoptimisation.report(tmp_path / 'out', ppo=ppo, draws=100)
  assert curves[over.RL].fits['gold'].turn is None
  assert over.NOT_SEEN in (tmp_path / 'out/overoptimisation.html').read_text()


def test_without_gold_nothing_is_said_of_it(tmp_path):
  best_of = bon_run(tmp_path / 'bon', prompts=60, answers=8, gold=False)
  curves = overoptimisation.report(tmp_path / 'out', best_of=best_of, draws=50)
  assert 'gold' not in curves[over.BON].fits
  assert 'no gold reward was recorded' in (tmp_path / 'out/overoptimisation.html').read_text()


def test_too_few_points_for_a_fit_are_words_not_a_crash(tmp_path):
  best_of = bon_run(tmp_path / 'bon', prompts=51, answers=2)
  curves = overoptimisation.report(tmp_path / 'out', best_of=best_of, draws=20)
  assert 'at least two points' in curves[over.BON].fits['gold']
  assert 'no fit' in (tmp_path / 'out/overoptimisation.html').read_text()


def test_what_cannot_be_read_is_one_line_and_overwrites_nothing(tmp_path):
  out = tmp_path / 'out'
  with pytest.raises(UserError, match='or both'):
    overoptimisation.report(out)
  with pytest.raises(UserError, match='not the workdir of a run of stage bon'):
    overoptimisation.report(out, best_of=tmp_path)
  with pytest.raises(UserError, match='held_out and eval_every'):
    overoptimisation.report(out, ppo=tmp_path)
  best_of = bon_run(tmp_path / 'bon')
  torn = best_of / 'bon-00001.jsonl'
  torn.write_text(torn.read_text()[:-20])
  with pytest.raises(UserError, match='bon-00001.jsonl, line 30 cannot be read'):
    overoptimisation.report(out, best_of=best_of)
  late = ppo_run(tmp_path / 'late')
  rows = [json.loads(line) for line in (late / 'samples.jsonl').read_text().splitlines()]
  write(late / 'samples.jsonl', [row for row in rows if row['step'] >= 300])
  with pytest.raises(UserError, match='evaluate more often'):
    overoptimisation.report(out, ppo=late)
  assert not out.exists()


def test_a_form_that_does_not_fit_is_said_to(tmp_path):
  best_of = bon_run(tmp_path / 'bon')
  c = overoptimisation.best_of_n(best_of, 20)
  fit = dataclasses.replace(c.fits['gold'], r2=0.5)
  assert 'fits badly (R² 0.50): trust the points' in overoptimisation_page.turn_words(fit)
  assert 'trust' not in overoptimisation_page.turn_words(dataclasses.replace(fit, r2=0.95))
