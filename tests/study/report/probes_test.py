"""Sections on probes: their numbers are the summary's, and every seed is drawn."""

import pytest

from jaxalign.study.report import probes
from jaxalign.study.world import probing
from tests.study import minds
from tests.study.report.finished import data, dots, figures_of, results

matplotlib = pytest.importorskip('matplotlib')
SECTIONS = probes.preferred, probes.held, probes.layers, probes.alike, probes.probe_contrasts


@pytest.fixture(scope='module')
def found(tmp_path_factory):
  workdir = tmp_path_factory.mktemp('probes')
  arms = {name: {'T2': {}} for name in minds.NAMES} | {'value-align': {'harm': {}}}
  measured = probing.summary(minds.finished(workdir), workdir)
  return results(arms=arms | {'base': {'G0': {}}}, probes=measured)


@pytest.fixture(scope='module')
def drawn(found):
  """{picture: figure}, {section: HTML}."""
  with pytest.MonkeyPatch.context() as patch:
    return figures_of(patch, lambda: {one.__name__: one(found, None) for one in SECTIONS})


def test_every_measure_of_every_seed_is_in_the_download(found, drawn):
  read = {(row['arm'], row['measure']): row for row in data(drawn[1]['preferred'], 'probes')}
  for arm, of in found.probes.arms.items():
    for name, one in of.items():
      row = read.pop((arm, name))
      assert float(row['mean']) == one.mean and row['n'] == str(one.n)
      assert [float(row[f'seed {s}']) for s in one.seeds] == [*one.seeds.values()]
  assert not read
  assert not any('://' in section or '<script' in section for section in drawn[1].values())


def test_every_seed_is_drawn(found, drawn):
  def seeds(arm, name):
    return sorted(found.probes.arms[arm][name].seeds.values())

  there = {name: [x for x in dots(figure) if len(x) == 3] for name, figure in drawn[0].items()}
  for arm in minds.NAMES:
    letter = arm[arm.index('_') + 1]
    assert all(seeds(arm, f'tau_{x}') in there['order'] for x in 'AB')
    assert all(seeds(arm, f'{x}_{letter}') in there['capacity'] for x in ('probe', 'conduct'))
    assert seeds(arm, 'name_A') in there['name-A']
  assert seeds('value-align', 'probe_H') in there['capacity']
  assert seeds('value-align', 'name_H') in there['name-H']


def test_tables_hold_what_the_summary_has(found, drawn):
  sections = drawn[1]
  one = found.probes.arms['explain_A-align']['prefers_A']
  assert f'{one.mean:+.2f} [{one.low:.2f}, {one.high:.2f}]' in sections['preferred']
  rows = {(r['arm'], r['of'], r['layer']): r for r in data(sections['layers'], 'layers')}
  of, row = found.probes.layers['value-align'], rows['value → align', 'H', '2']
  assert float(row['probe']) == of['accuracy_H'][2].mean
  assert float(row['cosine']) == of['cosine_H'][2].mean
  assert ('base', 'A', '1') in rows and ('value → align', 'A', '1') not in rows
  rows, similarity = data(sections['alike'], 'similarity'), found.probes.similarity
  assert len(rows) == 3 * len(similarity)
  assert float(rows[2]['gap']) == similarity[0].layers[2].gap and rows[2]['layer'] == '2'
  rows = data(sections['probe_contrasts'], 'probe-contrasts')
  assert [float(row['mean']) for row in rows] == [one.mean for one in found.probes.contrasts]


def test_without_probes_there_is_nothing():
  assert not any(section(results(), None) for section in SECTIONS)
