"""The work of a world as pieces: of a plan that has run nothing, without running anything."""

import collections

from jaxalign import main, sealing
from jaxalign.study.run import pieces
from tests.study import tiny


def kinds(left):
  return collections.Counter(piece.kind for piece in left)


def test_what_arms_share_is_one_piece(tmp_path):
  left = pieces.left_of(tiny.sealed(), tmp_path, 0, '')
  assert [piece.name for piece in left] == [
    'corpora and tests', 'runs/base', 'outcomes/base', 'probes/base',
    'runs/align-demonstrations', 'runs/align-demonstrations.tail', 'outcomes/align', 'probes/align',
    'runs/explain-explain_A', 'runs/explain-explain_A.align-demonstrations',
    'runs/explain-explain_A.align-demonstrations.tail', 'outcomes/explain_A-align',
    'probes/explain_A-align', 'runs/explain-explain_A.tail', 'outcomes/explain_A',
    'probes/explain_A',
  ]  # fmt: skip
  trained = [piece for piece in left if piece.name.startswith('runs/')]
  assert all(piece.arithmetic > 0 and piece.steps > 0 for piece in trained)
  assert not any(piece.arithmetic for piece in left if piece not in trained)


def test_pieces_of_one_kind_cost_alike(tmp_path):
  cfg = sealing.seal(main.load(f'{tiny.ROOT}/configs/study_why.py'))
  left = pieces.left_of(cfg, tmp_path, 200, '')
  found = kinds(left)
  assert found == {
    'corpora and tests': 1, 'base': 1, 'asking the base': 1, 'explain': 8, 'align': 7, 'close': 9,
    'asking goods': 9,
  }  # fmt: skip
  for kind in found:
    assert len({piece.arithmetic for piece in left if piece.kind == kind}) == 1


def test_controls_run_their_own_arms_and_keep_no_probes(tmp_path):
  cfg = tiny.sealed(control_seeds=(0,))
  left = pieces.left_of(cfg, tmp_path, 0, 'rho')
  arms = [piece.name for piece in left if piece.kind == 'asking goods']
  assert arms == [f'outcomes/{arm.name}' for arm in cfg.arms if arm.control] != []
  assert 'probes' not in kinds(left)


def test_climbs_and_arms_after_ppo_are_pieces(tmp_path):
  cfg = sealing.seal(main.load(f'{tiny.ROOT}/configs/study_valueworld.py:smoke_rl'))
  (with_rl,) = cfg.rl_seeds
  with_climbs, without = (
    kinds(pieces.left_of(cfg, tmp_path, seed, ''))
    for seed in (with_rl, next(seed for seed in cfg.seeds if seed != with_rl))
  )
  late = {step.recipe for arm in (*cfg.rl_arms, *cfg.climbs) for step in arm.steps}
  late -= {step.recipe for arm in cfg.arms for step in arm.steps}
  assert late and late <= with_climbs.keys() and not late & without.keys()
  assert with_climbs['reading climbs'] == len(cfg.climbs) and 'reading climbs' not in without
