"""The table of benchmarks/maxtext_tpu.py, from answers that are there. Compiling takes minutes."""

import json

import pytest

from benchmarks import maxtext_tpu

GIB = 2**30


def said(cycles, wire, temp):
  return dict(cycles=cycles, wire_bytes=wire, bytes=dict(temp=temp), peak_bytes=9 * GIB)


def test_a_figure_stands_beside_its_peer(tmp_path, capsys):
  pair = 'v5e-256 llama2_7b qkv 1'
  known = {f'ours {pair}': said(1.5e9, 30 * GIB, 2 * GIB)}
  known |= {f'theirs {pair}': said(2e9, 40 * GIB, 4 * GIB)}
  known |= {'ours v5e-256 llama2_7b dots 1': said(1e9, GIB, GIB)}  # whose peer was not compiled
  out = tmp_path / 'out.json'
  out.write_text(json.dumps(known))
  maxtext_tpu.main(['--slices=v5e-256', f'--out={out}', '--minutes=0'])
  (row,) = capsys.readouterr().out.splitlines()[2:]
  cells = 'v5e-256', 'llama2_7b', '1', 'qkv, save_qkv_proj', '1.500; 2.000', '0.75'
  cells += '30.000; 40.000', '0.75', '2.000; 4.000', '0.50'
  assert row == '| ' + ' | '.join(cells) + ' |'


def test_what_does_not_fit_has_no_ratio():
  big = dict(cycles=None, peak_bytes=20 * GIB, hbm_bytes=16 * GIB)
  fits = said(1e9, GIB, GIB) | dict(hbm_bytes=16 * GIB)
  assert list(maxtext_tpu.figures(fits, big)) == ['9.00 GiB of 16.00', '20.00 GiB of 16.00']


@pytest.mark.parametrize('flag', ['--models=gpt', '--remat=some'])
def test_an_unknown_name_is_refused(flag, capsys):
  with pytest.raises(SystemExit) as end:
    maxtext_tpu.main([flag])
  assert end.value.code == 2 and 'is none of' in capsys.readouterr().err
