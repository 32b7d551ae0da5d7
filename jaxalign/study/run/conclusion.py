"""The end of a study: results.json, its page, and beside them what both came from.

Everything is computed from the stored outcomes, and can be computed from them again.
"""

import collections
import dataclasses

from etils import epath

from jaxalign import pod
from jaxalign.config import UserError
from jaxalign.files import read_object, write_text
from jaxalign.sealing import write
from jaxalign.study.judge import (
  contrasts,
  factors,
  goodhart,
  interactions,
  results_file,
  unjudged,
  verdict,
)
from jaxalign.study.judge.results import Results
from jaxalign.study.plan.directories import home_of
from jaxalign.study.plan.guest import Study
from jaxalign.study.plan.rules import RHO, Claim
from jaxalign.study.report import study_page
from jaxalign.study.run import guests
from jaxalign.study.store import about, clock
from jaxalign.study.store import rows as store
from jaxalign.study.store.rows import Row
from jaxalign.study.store.table import means


def rows_of(home: epath.Path, after: str = 'sft') -> list[Row]:
  """All rows of a seed whose arms were asked after this stage."""
  paths = sorted((home / 'outcomes').glob('*.jsonl'))
  return [row for path in paths for row in store.read(path) if row.after == after]


@pod.alone()  # of a pod, the first process concludes
def conclude(cfg: Study, workdir: epath.Path, seconds: float) -> Results:
  """The Results, written with all that stands beside them."""
  rows = {seed: rows_of(home_of(workdir, seed)) for seed in cfg.seeds}
  later = {seed: rows_of(home_of(workdir, seed), after='ppo') for seed in cfg.rl_seeds}
  how: dict[str, dict[str, str]] = collections.defaultdict(dict)  # {test: {seed: ..}}
  for seed in cfg.seeds:
    said, how_of_seed = _written(cfg, home_of(workdir, seed))
    rows[seed] += [row for row in said if row.after == 'sft']
    if seed in later:
      later[seed] += [row for row in said if row.after == 'ppo']
    for test, one in how_of_seed.items():
      how[test][str(seed)] = one
  found = _found(cfg, workdir, rows, later, seconds)
  every = [row for of_seed in (*rows.values(), *later.values()) for row in of_seed]
  write_text(''.join(map(store.line, every)), workdir / 'outcomes.jsonl')
  about.write(_about(cfg, workdir, rows, how), workdir)
  write(cfg, workdir / 'plan.json')
  results_file.write(found, workdir / 'results.json')
  split = getattr(cfg.world, 'split', '')  # real text has none
  contents = guests.of(cfg.world).contents
  print(clock.said(found.where))
  print(study_page.said(found, contents))
  study_page.write(found, workdir, contents, cfg.arms, split)
  return found


def _written(cfg, home):
  """(rows of what the arms of a seed wrote, {test: how it was asked and judged})."""
  guest, rows, how = guests.of(cfg.world), [], {}
  for name in ('base', *(arm.stored for arm in (*cfg.arms, *cfg.rl_arms))):
    path, place = home / 'outcomes' / f'{name}.jsonl', guest.answers_at(home, name)
    if place is None or not path.exists():  # after PPO there are some seeds
      continue
    said, first = guest.said(place), store.read(path)[0]
    where = dict(seed=first.seed, arm=first.arm, after=first.after, kl=first.kl)
    rows += [store.of(one, **where) for one in said.outcomes]
    for test, one in said.how.items():
      if how.setdefault(test, one) != one:
        raise UserError(
          f'{place}: {test} was asked or judged otherwise there than in the arms before it, for a '
          'file or a judge changed meanwhile: remove study.json in every directory beside it, and '
          'run the study again'
        )
  return rows, how


def _found(cfg, workdir, rows, later, seconds):
  every = [row for of_seed in rows.values() for row in of_seed]
  again = [row for of_seed in later.values() for row in of_seed]
  guest = guests.of(cfg.world)
  seen = {seed: means(of_seed) for seed, of_seed in rows.items()}
  after = _by_arm({seed: means(of_seed) for seed, of_seed in later.items()})
  measured = contrasts.measured(every, cfg.rules)
  measured = factors.over_both(measured, guest.factors_of(cfg.seeds), cfg.rules)
  judged = contrasts.judged(measured, cfg.rules)
  controls, shut = _controls(cfg, workdir)
  over = interactions.measured(judged, controls, cfg.rules, shut)
  gates = verdict.gates(guest.gate_values(cfg, seen), cfg.rules)
  said = verdict.judge(judged, gates, controls.get(RHO), cfg.rules, over)
  points = goodhart.read(cfg, workdir)
  return Results(
    verdict=said.word,
    sentence=said.sentence,
    reasons=said.reasons,
    contrasts=judged,
    control=controls.get(RHO),
    gates=gates,
    rules=cfg.rules,
    arms=_by_arm(seen),
    seeds=cfg.seeds,
    control_seeds=cfg.control_seeds,
    seconds=round(seconds, 1),
    probes=guest.beside(cfg, workdir),
    secondary=tuple(unjudged.measured(every, cfg.rules, unjudged.masses(seen))),
    goodhart=goodhart.summary(points) if points else None,
    after_ppo=goodhart.after_ppo(again, {arm.name: after.get(arm.name, {}) for arm in cfg.rl_arms}),
    where=clock.total(path.parent for path in sorted(workdir.glob(f'*/{clock.FILE}'))),
    more_controls={name: found for name, found in controls.items() if name != RHO},
    interactions=over,
  )


def _controls(cfg, workdir):
  """{control: the contrasts of its worlds, judged} and {control: its gates}; empty where no seeds
  are of controls."""
  found, gates = {}, {}
  for control in cfg.controls if cfg.control_seeds else ():
    rows = {seed: rows_of(home_of(workdir, seed, control)) for seed in cfg.control_seeds}
    every = [row for of_seed in rows.values() for row in of_seed]
    found[control] = contrasts.judged(contrasts.measured(every, cfg.rules), cfg.rules)
    gates[control] = _gates_of_control(cfg, control, rows)
  return found, gates


def _gates_of_control(cfg, control, rows):
  """Those that the claim wants passed there, over the arms of what it compares there alone."""
  asked = [one for one in (cfg.rules.claim or Claim()).interactions if one.control == control]
  wanted = {bar for one in asked for bar in one.bars}
  if not wanted:
    return ()
  planned = tuple(cfg.rules.planned(one.contrast) for one in asked)
  narrowed = dataclasses.replace(cfg, rules=dataclasses.replace(cfg.rules, contrasts=planned))
  seen = {seed: means(of_seed) for seed, of_seed in rows.items()}
  values = guests.of(cfg.world).gate_values(narrowed, seen)
  there = {name: of for name, of in values.items() if name in wanted}
  return tuple(gate for gate in verdict.gates(there, cfg.rules) if gate.name in wanted)


def _by_arm(means_by_seed):
  """{arm: {test: {seed: its means}}}."""
  found = {}
  for seed, mean in means_by_seed.items():
    for (arm, test), one in mean.items():
      found.setdefault(arm, {}).setdefault(test, {})[seed] = one
  return found


def _about(cfg, workdir, rows, how):
  """What compare asks of a run: the base of each seed, the items, what each arm cost."""
  base = {}
  prompts = collections.defaultdict(lambda: collections.defaultdict(set))
  for seed, of_seed in rows.items():
    outcomes = home_of(workdir, seed) / 'outcomes'
    base[str(seed)] = read_object(outcomes / 'base.json', 'key')['key']
    for row in of_seed:
      prompts[row.test][str(seed)].add(row.prompt)
  stages = {arm.name: [cfg.stage_of(step) for step in arm.steps] for arm in cfg.arms}
  return about.About(
    base=base,
    items={
      test: {
        seed: store.digest([*sorted(found), how.get(test, {}).get(seed, '')])
        for seed, found in by_seed.items()
      }
      for test, by_seed in prompts.items()
    },
    tokens={name: sum(stage.tokens for stage in steps) for name, steps in stages.items()},
    steps={name: sum(stage.steps for stage in steps) for name, steps in stages.items()},
  )
