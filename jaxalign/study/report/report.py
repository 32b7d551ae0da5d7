"""The page of a study: report.html, one file without script or address, from results.json.

A section is a function of (found, beside) that gives its HTML, or '' where it has nothing to show:
found is results.json, beside what lies next to it. Which sections there are, the guest says.
"""

from jaxalign.page import pages
from jaxalign.page.pages import Failed, text
from jaxalign.pictures import kept
from jaxalign.study.report import lessons, reading
from jaxalign.study.report import report_pictures as pictures
from jaxalign.study.report.report_arms import of_seeds
from jaxalign.study.report.report_secondary import unanswered
from jaxalign.study.report.report_tables import estimates, gate_rows, harm_tests, other_tests

_QUESTION = 'What do documents add to the same demonstrations?'
CAN_SAY = 'What this study can and cannot say'


def write(found, workdir, contents):
  """report.html, where matplotlib is there to draw it."""
  if pages.drawable('report.html'):
    draw = lambda: page(found, lessons.beside(workdir, found['seeds'], contents))
    if kept(draw, workdir / 'report.html'):
      print(f'the page: {workdir / "report.html"}')


def page(found, beside):
  found = reading.measured(found) | dict(arms=_in_order(found['arms'], beside.plan))
  made = [(title, section(found, beside)) for title, section in beside.contents.sections]
  made = [(title, content) for title, content in made if content]
  links = ''.join(f'<a href="#s{n}">{text(t)}</a>' for n, (t, _) in enumerate(made))
  parts = [verdict(found, beside), f'<nav>{links}</nav>']
  parts += [f'<h2 id="s{n}">{text(title)}</h2>{body}' for n, (title, body) in enumerate(made)]
  return pages.frame(f'{beside.contents.subject}: {found["verdict"]}', parts)


def _in_order(arms, plan):
  """As the plan has them; the base, which is in no plan, last."""
  order = [arm['name'] for arm in plan.get('arms', ())]
  return {name: arms[name] for name in (*filter(arms.get, order), *(arms.keys() - {*order}))}


def verdict(found, beside):
  word, kind = found['verdict'], dict(SUPPORTED='yes').get(found['verdict'], 'no')
  kind = '' if word in ('UNINFORMATIVE', 'PARTIAL') else kind
  seeds = ', '.join(map(str, found['seeds']))
  note = ''
  if beside.plan.get('world', {}).get('split') == 'dev':
    note = ' <b>These are development seeds and words, on which recipes are tried: no record.</b>'
  return (
    f'<p class="soft">{beside.contents.subject}</p><h1>{_QUESTION}</h1>'
    f'<div class="verdict {kind}"><b>{text(word)}</b>'
    f'<p>{text(found["sentence"].removeprefix(f"{word}: "))}</p></div>'
    f'<p class="soft">{counted(len(found["seeds"]), "seed")} ({seeds}); primary scale: '
    f'{_scale_of(found, beside)}; rules fixed beforehand.{note}</p>'
  )


def _scale_of(found, beside):
  return beside.contents.scales[found['rules']['scale']]


def counted(n, word):
  return f'{n:,} {word}{"s" * (n != 1)}'


def cautions(found, beside):
  """What no number below can show, before any of them."""
  lines = ''.join(f'<li>{text(line)}</li>' for line in beside.contents.cautions)
  return f'<ul>{lines}</ul>'


def forest(found, beside):
  return contrasts('contrasts', found['contrasts'], found, beside, (
    'A row is a contrast fixed beforehand, in words that say what its arms differ by. Grey dots: '
    'every seed. Diamond and line: their mean and its '
    f'{found["rules"]["level"]:.0%} t interval (an arrow: it goes on); filled and blue where it '
    'holds after Holm over all. Upright ticks beside a null: the detection floor, '
    'the effect that such seeds would find in 4 studies of 5 (off the axis: written only); less '
    'than that could have been missed.'
  ))  # fmt: skip


def contrasts(name, every, found, beside, caption):
  if not every:
    return '<p>None of the planned contrasts was measured.</p>'
  alpha = found['rules']['alpha']
  alt = '; '.join(f'{one["name"]} {pictures.told(one, alpha)}' for one in every)
  draw = lambda: pictures.forest(every, _scale_of(found, beside), alpha)
  head, rows = estimates(every)
  wide = {'sd', 'p_t', 'claim'}
  some = [n for n, column in enumerate(head) if column not in wide and 'seed ' not in column]
  each = [n for n, column in enumerate(head) if n < 2 or 'seed ' in column]
  seen = (pages.table([head[n] for n in of], [[row[n] for n in of] for row in rows])
          for of in (some, each))  # fmt: skip
  numbers = pages.numbers(name, head, rows, ''.join(seen))
  return pages.picture(name, draw, alt, caption) + f'<p class="soft">{_terms(found)}</p>' + numbers


def _terms(found):
  rules = found['rules']
  return (
    'In the table: d_z, mean over spread; p, exact sign-flip; floor, detection floor; better, '
    'share of seeds above 0; tost, p that the effect is within '
    f'{rules["sesoi_margin"]:g} nats or {rules["sesoi"]:g} of none (no difference is claimed of '
    f'fewer than {rules.get("null_seeds", 16)} seeds); bootstrap over seeds, domains and items. A '
    'difference of differences (C1, C3, C5) holds only if its sign is the same on the log-odds and '
    'on the rate, logit and arcsine scales.'
  )


def gates(found, beside):
  head, rows = gate_rows(found['gates'], found['seeds'])
  marked = [[Failed(pages.shown(x)) if bad else x for x, bad in row] for row in rows]
  plain = [[x for x, _ in row] for row in rows]
  return (
    '<p>Whether the instrument works at all, seed by seed. A seed that misses the bar is marked ✗; '
    f'each gate needs {found["rules"]["needed_share"]:.1%} of the seeds, else the study cannot '
    f'tell.</p>{pages.table(head, marked)}<p>{pages.download("gates", head, plain)}</p>'
    + unanswered(found)
  )


def others(found, beside):
  parts = []
  goods, harm = other_tests(found), harm_tests(found)
  if goods[1]:
    parts.append(
      '<h3>S: margin towards A in nats (rate of choosing as A would)</h3>' + pages.table(*goods)
      + '<p class="soft">T0 as the demonstrations, where right is right; T1 their words in new '
      'domains; T3A, T3B only one value at stake (towards that value); T4 what follows from the '
      'attributes; T5 with a wrapper around the question (mean of four). Means over seeds.</p>'
    )  # fmt: skip
  if harm[1]:
    parts.append(
      '<h3>H: sensitivity d on held-out harms, plain and under pressure</h3>' + pages.table(*harm)
      + '<p class="soft">prefill: the answer already begins with yes. Means over seeds; benign '
      'refusal is the last column.</p>'
    )  # fmt: skip
  if not parts:
    return ''
  every = [(a, t) for a, tests in found['arms'].items() for t in tests]
  return ''.join(parts) + f'<p>{pages.download("tests", *of_seeds(found, every))}</p>'


def control(found, beside):
  if found['control'] is None:
    return (
      '<p>It was not run: worlds in which documents say nothing about conduct (rho = 0), where '
      'every effect must vanish. <code>configs/study_valueworld.py:full</code> runs it.</p>'
    )
  return contrasts('control', found['control'], found, beside, (
    f'The same contrasts in {counted(len(found["control_seeds"]), "world")} where documents say '
    'nothing about conduct (rho = 0). Nothing should show. Signs as above.'
  ))  # fmt: skip
