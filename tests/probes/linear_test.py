"""A probe finds what was planted, and neither what it could learn by heart nor noise."""

import numpy as np
import pytest

from jaxalign.config import UserError
from jaxalign.probes import linear
from jaxalign.probes.linear import Probe, capacity_gap, probe


def items(rng, types=60, each=8, D=12, size=3.0, own=1.0, classes=2):
  """(x_LND, label_N, type_N): layer 0 says nothing, layer 1 has the labels on its first axes; in
  both a type has a place of its own."""
  type_N = np.repeat(np.arange(types), each)
  label_N = (np.arange(types) % classes)[type_N]
  x_LND = own * rng.standard_normal((2, types, D))[:, type_N]
  x_LND += 0.3 * rng.standard_normal(x_LND.shape)
  x_LND[1, :, :classes] += size * np.eye(classes)[label_N]
  return x_LND, label_N, type_N


def test_a_planted_label_is_read_on_types_never_seen():
  found = probe(*items(np.random.default_rng(0), D=6), draws=99, splits=3)
  assert found.accuracy_L[1] > 0.93 and found.p_L[1] == 0.01 and found.layer == 1
  assert abs(found.accuracy_L[0] - 0.5) < 0.15 and found.p_L[0] > 0.05
  assert found.selectivity_L[1] > 0.2  # 36 types in 6 dimensions are not learned by heart
  assert abs(found.selectivity_L[0]) < 0.12
  assert found.chance == pytest.approx(0.5)
  assert (found.types, found.items, found.draws) == (60, 480, 99)


def test_learning_types_by_heart_is_not_reading():
  """More dimensions than types: seen types are all right, and so is the control; unseen ones are
  at chance. A probe without these two would claim everything here."""
  found = probe(*items(np.random.default_rng(1), types=24, D=60, size=0.0), draws=40, splits=4)
  assert (found.seen_L > 0.95).all() and (found.control_L > 0.95).all()
  assert (np.abs(found.selectivity_L) < 0.05).all()
  assert (np.abs(found.accuracy_L - 0.5) < 0.25).all() and (found.p_L > 0.05).all()


def test_three_labels():
  found = probe(*items(np.random.default_rng(2), size=4.0, classes=3), draws=20, splits=2)
  assert found.accuracy_L[1] > 0.9 and found.chance == pytest.approx(1 / 3)
  assert abs(found.accuracy_L[0] - 1 / 3) < 0.2


def test_p_holds_its_level():
  rng = np.random.default_rng(3)
  p_R = []
  for _ in range(100):
    x_LND, label_N, type_N = items(rng, types=18, each=4, D=5, size=0.0)
    p_R.append(probe(x_LND[:1], label_N, type_N, draws=19, splits=2, seed=int(rng.integers(9999))))
  p_R = np.array([found.p_L[0] for found in p_R])
  assert np.mean(p_R <= 0.05) <= 0.12 and np.mean(p_R <= 0.5) <= 0.65
  assert p_R.min() >= 1 / 20


def test_splits_share_no_type_and_no_item():
  _, label_N, type_N = items(np.random.default_rng(4), types=30)
  for seed in range(5):
    part = linear.split(label_N, type_N, np.random.default_rng(seed))
    types = {name: set(type_N[here]) for name, here in part.items()}
    assert not types['types'] & (types['fit'] | types['develop'] | types['seen'])
    assert not types['develop'] & types['fit'] and types['seen'] <= types['fit']
    assert sorted(np.concatenate(list(part.values()))) == list(range(240))
    for name in ('fit', 'develop', 'types'):  # as many types of either label
      assert np.mean([label_N[type_N == t][0] for t in types[name]]) == 0.5
    assert [len(types[name]) for name in ('fit', 'develop', 'types')] == [18, 6, 6]


def test_control_labels_are_of_types_and_as_frequent():
  label_N, type_N = np.repeat([0, 0, 0, 1], 6), np.repeat(np.arange(8), 3)
  drawn_NP = linear.control_labels(label_N, type_N, 30, np.random.default_rng(5))
  np.testing.assert_array_equal(drawn_NP[:, 0], label_N)
  assert (drawn_NP.sum(0) == 6).all()
  assert (drawn_NP.reshape(8, 3, 31) == drawn_NP.reshape(8, 3, 31)[:, :1]).all()
  assert len({tuple(row) for row in drawn_NP.T}) > 10


def test_the_probe_is_ridge_regression(monkeypatch):
  """Against its normal equations, on states of very unequal scales and few items."""
  rng = np.random.default_rng(6)
  monkeypatch.setattr(linear, 'RIDGES', (0.03,))
  x_ND = rng.standard_normal((40, 30)) * np.logspace(-3, 3, 30) + 5
  label_N = rng.integers(0, 2, 40)
  part = dict(zip(('fit', 'develop', 'develop_seen', 'seen', 'types'), np.arange(40).reshape(5, 8)))
  part['fit'] = np.arange(24)
  part['types'] = np.arange(24, 40)
  fit = (x_ND - x_ND[:24].mean(0)) / x_ND[:24].std(0)
  hot = np.eye(2)[label_N]
  gram = fit[:24].T @ fit[:24] + 0.03 * 24 * np.eye(30)
  w_DC = np.linalg.solve(gram, fit[:24].T @ (hot[:24] - hot[:24].mean(0)))
  best_N = (fit @ w_DC + hot[:24].mean(0)).argmax(1)
  right = linear._right(x_ND, label_N[:, None], part)
  assert right['types'] == np.mean(best_N[24:] == label_N[24:])


def test_a_ridge_is_chosen_where_many_noisy_features_need_one(monkeypatch):
  data = items(np.random.default_rng(7), types=40, each=2, D=60, size=1.5)
  chosen = probe(*data, draws=1, splits=4).accuracy_L[1]
  monkeypatch.setattr(linear, 'RIDGES', (1e-9,))
  assert chosen > probe(*data, draws=1, splits=4).accuracy_L[1] + 0.05


def test_a_layer_where_all_items_are_one_gives_the_most_frequent_label():
  rng = np.random.default_rng(8)
  type_N = np.repeat(np.arange(30), 4)
  label_N = (np.arange(30) % 3 == 0).astype(int)[type_N]
  x_LND = np.full((1, 120, 5), 3.0) * (1 + 1e-8 * rng.standard_normal((1, 120, 5)))
  found = probe(x_LND, label_N, type_N, draws=20)
  assert found.accuracy_L[0] == pytest.approx(found.chance) and found.p_L[0] > 0.3


def test_capacity_is_read_at_the_layer_of_the_development_types():
  """And not at the layer that happens to be best on the test."""
  found = Probe(
    accuracy_L=np.array([0.5, 0.8, 0.9]), develop_L=np.array([0.5, 0.9, 0.9]), chance=0.5,
    p_L=np.ones(3), seen_L=np.array([0.6, 0.9, 0.9]), control_L=np.array([0.6, 0.7, 0.5]),
    types=9, items=9, draws=9,
  )  # fmt: skip
  gap = capacity_gap(found, 0.3)
  assert gap == dict(layer=1, probe=0.8, conduct=0.3, gap=pytest.approx(0.5))
  np.testing.assert_allclose(found.selectivity_L, [0, 0.2, 0.4])
  with pytest.raises(UserError, match='rate=30'):
    capacity_gap(found, 30)


def test_bad_input_is_one_line():
  x_LND, type_N = np.ones((1, 8, 2)), np.repeat(np.arange(4), 2)
  for label_N, says in (
    (np.zeros(8, int), 'at least two'),
    (np.array([0, 2] * 4), 'each of them occurs'),
    (np.array([0.0, 1.0] * 4), 'labels are 0, 1'),
    (np.array([0, 1]), '2 labels and 8 types do not fit'),
    (np.repeat([0, 0, 0, 1], 2), 'label 1 has 1 types'),
  ):
    with pytest.raises(UserError, match=says):
      probe(x_LND, label_N, type_N)
  uneven = np.array([1] + [0] * 99)
  with pytest.raises(UserError, match='too few for a control task'):
    probe(np.ones((1, 100, 2)), uneven, np.arange(100) // 10)
