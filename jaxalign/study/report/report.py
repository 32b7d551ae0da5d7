"""The page of a study: report.html, one file without script or address, from results.json.

A section is a function of (found, beside) that gives its Markup, or '' where it has nothing to
show: found is results.json, beside what lies next to it. Which sections there are, the guest says.
Words stand in page/templates/study.
"""

from jaxalign.page import kit
from jaxalign.page.kit import Failed
from jaxalign.pictures import kept
from jaxalign.study.judge import unjudged
from jaxalign.study.report import lessons, reading
from jaxalign.study.report import report_pictures as pictures
from jaxalign.study.report.report_arms import of_seeds
from jaxalign.study.report.report_secondary import least_mass
from jaxalign.study.report.report_tables import (
  columns,
  estimates,
  gate_rows,
  harm_tests,
  other_tests,
)

CAN_SAY = 'What this study can and cannot say'
_KINDS = dict(SUPPORTED='yes', UNINFORMATIVE='', PARTIAL='')  # of a verdict's colour; others: no
_UNREAD = 'sd', 'p_t', 'claim'  # columns that are in the download alone


def write(found, workdir, contents):
  """report.html, where the extra is there to draw it."""
  if kit.drawable('report.html'):
    draw = lambda: page(found, lessons.beside(workdir, found['seeds'], contents))
    if kept(draw, workdir / 'report.html'):
      print(f'the page: {workdir / "report.html"}')


def page(found, beside):
  found = reading.measured(found) | dict(arms=_in_order(found['arms'], beside.plan))
  made = [(title, section(found, beside)) for title, section in beside.contents.sections]
  return kit.render(
    'study/report.html', found=found, plan=beside.plan, subject=beside.contents.subject,
    sections=[(title, section) for title, section in made if section],
    kind=_KINDS.get(found['verdict'], 'no'), scale=_scale_of(found, beside),
    sentence=found['sentence'].removeprefix(f'{found["verdict"]}: '),
  )  # fmt: skip


def _in_order(arms, plan):
  """As the plan has them; the base, which is in no plan, last."""
  order = [arm['name'] for arm in plan.get('arms', ())]
  return {name: arms[name] for name in (*filter(arms.get, order), *(arms.keys() - {*order}))}


def _scale_of(found, beside):
  return beside.contents.scales[found['rules']['scale']]


def words(template):
  """Section of words alone, which hang on no number of the study."""
  return lambda found, beside: kit.render(template)


def forest(found, beside):
  return _contrasts('contrasts', found['contrasts'], found, beside)


def control(found, beside):
  if found['control'] is None:
    return kit.render('study/no_control.html')
  return _contrasts('control', found['control'], found, beside, len(found['control_seeds']))


def _contrasts(name, every, found, beside, worlds=None):
  rules, exact = found['rules'], estimates(every)
  some, by_seed = columns(exact, _UNREAD)
  return kit.render(
    'study/contrasts.html', name=name, exact=exact, read=some, by_seed=by_seed, rules=rules,
    worlds=worlds, alt='; '.join(f'{x["name"]} {pictures.told(x, rules["alpha"])}' for x in every),
    draw=lambda: pictures.forest(every, _scale_of(found, beside), rules['alpha']),
  )  # fmt: skip


def gates(found, beside):
  """Whether the instrument works, and what G4 does not gate: cells whose log-odds are of two things
  that the model would not say."""
  head, rows = gate_rows(found['gates'], found['seeds'])
  bar = least_mass(found)
  masses = {
    (arm, test): {seed: one['mass'] for seed, one in by_seed.items()}
    for arm, tests in found['arms'].items() for test, by_seed in tests.items()
  }  # fmt: skip
  lean = unjudged.lean_masses(masses, bar) if bar else []
  return kit.render(
    'study/gates.html', head=head, needed=found['rules']['needed_share'],
    marked=[[Failed(kit.shown(x)) if bad else x for x, bad in row] for row in rows],
    plain=[[x for x, _ in row] for row in rows], bar=bar, cells=len(masses),
    lean=[(kit.named(arm), *rest) for arm, *rest in lean],
  )  # fmt: skip


def others(found, beside):
  goods, harm = other_tests(found), harm_tests(found)
  if not goods[1] and not harm[1]:
    return ''
  every = [(a, t) for a, tests in found['arms'].items() for t in tests]
  return kit.render('study/others.html', goods=goods, harm=harm, exact=of_seeds(found, every))
