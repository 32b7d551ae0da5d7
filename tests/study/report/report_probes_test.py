"""Sections on probes: their numbers are the summary's, and every seed is drawn."""

import base64
import csv
import io
import re

import pytest

from jaxalign.page import kit
from jaxalign.study.judge import results_file
from jaxalign.study.report import report_layers, report_probes
from jaxalign.study.world import probing
from tests.study import minds

matplotlib = pytest.importorskip('matplotlib')
SECTIONS = dict(
  preferred=report_probes.preferred, held=report_probes.held, layers=report_layers.layers,
  alike=report_layers.alike, contrasts=report_probes.contrasts,
)  # fmt: skip


@pytest.fixture(scope='module')
def found(tmp_path_factory):
  workdir = tmp_path_factory.mktemp('probes')
  probes = results_file.as_json(probing.summary(minds.finished(workdir), workdir))
  arms = {name: {'T2': {}} for name in minds.NAMES} | {'value-align': {'harm': {}}}
  return dict(arms=arms | {'base': {'G0': {}}}, probes=probes)


@pytest.fixture(scope='module')
def drawn(found):
  """{section: HTML}, {picture: figure}."""
  figures = {}
  with pytest.MonkeyPatch.context() as patch:
    patch.setattr(kit, 'svg', lambda name, draw, alt: figures.setdefault(name, draw()) and '')
    return {name: section(found, None) for name, section in SECTIONS.items()}, figures


def data(page, name):
  (held,) = re.findall(rf'download="{name}.csv" href="data:[^,]*,([^"]*)"', page)
  return list(csv.DictReader(io.StringIO(base64.b64decode(held).decode())))


def dots(figure):
  return [sorted(line.get_xdata()) for line in figure.axes[0].lines if len(line.get_xdata()) == 3]


def test_every_measure_of_every_seed_is_in_the_download(found, drawn):
  read = {(row['arm'], row['measure']): row for row in data(drawn[0]['preferred'], 'probes')}
  for arm, of in found['probes']['arms'].items():
    for name, one in of.items():
      row = read.pop((arm, name))
      assert float(row['mean']) == one['mean'] and row['n'] == str(one['n'])
      assert [float(row[f'seed {s}']) for s in one['seeds']] == [*one['seeds'].values()]
  assert not read
  assert not any('://' in section or '<script' in section for section in drawn[0].values())


def test_every_seed_is_drawn(found, drawn):
  arms = found['probes']['arms']
  seeds = lambda arm, name: sorted(arms[arm][name]['seeds'].values())
  for arm in minds.NAMES:
    letter = arm[arm.index('_') + 1]
    assert {tuple(seeds(arm, f'tau_{x}')) for x in 'AB'} <= {*map(tuple, dots(drawn[1]['order']))}
    for name in ('probe', 'conduct'):
      assert seeds(arm, f'{name}_{letter}') in dots(drawn[1]['capacity'])
    assert seeds(arm, 'name_A') in dots(drawn[1]['name-A'])
  assert seeds('value-align', 'probe_H') in dots(drawn[1]['capacity'])
  assert seeds('value-align', 'name_H') in dots(drawn[1]['name-H'])


def test_tables_hold_what_the_summary_has(found, drawn):
  probes, sections = found['probes'], drawn[0]
  one = probes['arms']['explain_A-align']['prefers_A']
  assert f'{one["mean"]:+.2f} [{one["low"]:.2f}, {one["high"]:.2f}]' in sections['preferred']
  rows = {(r['arm'], r['of'], r['layer']): r for r in data(sections['layers'], 'layers')}
  layers = probes['layers']['value-align']
  row = rows['value → align', 'H', '2']
  assert float(row['probe']) == layers['accuracy_H'][2]['mean']
  assert float(row['cosine']) == layers['cosine_H'][2]['mean']
  assert ('base', 'A', '1') in rows and ('value → align', 'A', '1') not in rows
  rows = data(sections['alike'], 'similarity')
  assert len(rows) == 3 * len(probes['similarity'])
  first = probes['similarity'][0]
  assert float(rows[2]['gap']) == first['layers'][2]['gap'] and rows[2]['layer'] == '2'
  rows = data(sections['contrasts'], 'probe-contrasts')
  assert [float(row['mean']) for row in rows] == [one['mean'] for one in probes['contrasts']]


def test_without_probes_there_is_nothing():
  for probes in ({}, dict(probes=None)):
    assert not any(section(dict(arms={}) | probes, None) for section in SECTIONS.values())
