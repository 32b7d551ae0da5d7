"""The page of a study: report.html, one file without script or address, from results.json.

Which sections there are, the guest says (contents.py). Words stand in page/templates/study.
"""

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING

from etils import epath

from jaxalign.page import kit
from jaxalign.pictures import kept
from jaxalign.study.judge.results import Results
from jaxalign.study.report import page_words, study_files
from jaxalign.study.report.contents import Contents, Section, StudyFiles

if TYPE_CHECKING:
  from jaxalign.study.plan.arms import Arm

CAN_SAY = 'What this study can and cannot say'


def write(
  found: Results,
  workdir: epath.Path,
  contents: Contents,
  arms: Sequence['Arm'] = (),
  split: str = '',
) -> None:
  """report.html, where the extra is there to draw it; arms, split: of the plan."""

  def draw():
    return page(found, study_files.read(workdir, found.seeds, contents, arms, split))

  path = workdir / 'report.html'
  if kit.drawable(path.name) and kept(draw, path):
    print(f'the page: {path}')


def page(found: Results, files: StudyFiles) -> str:
  found = dataclasses.replace(page_words.in_page_words(found), arms=_in_order(found.arms, files))
  made = [(title, section(found, files)) for title, section in files.contents.sections]
  sections = [(title, section) for title, section in made if section]
  lead = files.contents.lead(found, files) if files.contents.lead else ''
  about = dict(found=found, files=files, sections=sections, lead=lead, seeds=_span(found.seeds))
  return kit.render('study/report.html', answer=said(found, files.contents), **about)


def _span(seeds):
  """'16 to 31' of seeds in a row."""
  if len(seeds) > 2 and [*seeds] == [*range(seeds[0], seeds[0] + len(seeds))]:
    return f'{seeds[0]} to {seeds[-1]}'
  return ', '.join(map(str, seeds))


def said(found: Results, contents: Contents) -> str:
  """The verdict in a sentence, as a study ends with it, on its page and in the terminal."""
  if contents.answer:
    return f'{found.verdict}: {contents.answer(found)}'
  return page_words.plain_sentence(found.sentence)


def _in_order(arms, files):
  """As the plan has them; the base, which is in no plan, last."""
  planned = [arm.name for arm in files.arms if arm.name in arms]
  return {arm: arms[arm] for arm in dict.fromkeys((*planned, *arms))}


def words(template: str) -> Section:
  """Section of words alone, which hang on no number of the study."""
  return lambda found, files: kit.render(template)
