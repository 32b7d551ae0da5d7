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
  found = probe(*items(np.random.default_rng(0), D=6), draws=99)
  assert found.accuracy_L[1] > 0.93 and found.p_L[1] == 0.01 and found.layer == 1
  assert found.best > 0.93 and found.best_p == 0.01
  assert abs(found.accuracy_L[0] - 0.5) < 0.2 and found.p_L[0] > 0.05
  assert found.selectivity_L[1] > 0.2  # 36 types in 6 dimensions are not learned by heart
  assert abs(found.selectivity_L[0]) < 0.12
  assert found.chance == 0.5
  assert (found.types, found.items, found.draws) == (60, 480, 99)


def test_learning_types_by_heart_is_not_reading():
  """More dimensions than types: seen types are all right, and so is the control; unseen ones are
  at chance. A probe without these two would claim everything here."""
  found = probe(*items(np.random.default_rng(1), types=24, D=60, size=0.0), draws=40)
  assert (found.seen_L > 0.9).all() and (found.control_L > 0.9).all()
  assert (np.abs(found.selectivity_L) < 0.1).all()
  assert (np.abs(found.accuracy_L - 0.5) < 0.25).all() and (found.p_L > 0.05).all()


def test_three_labels():
  found = probe(*items(np.random.default_rng(2), size=4.0, classes=3), draws=20)
  assert found.accuracy_L[1] > 0.9 and found.chance == pytest.approx(1 / 3)


@pytest.mark.parametrize('within', [False, True], ids=['of types', 'of items'])
def test_p_holds_its_level(within):
  """Also the p of the best of two layers. Labels of types are permuted between types, labels of
  items within them."""
  rng = np.random.default_rng(3)
  p_R = []
  for _ in range(100):
    x_LND, label_N, type_N = items(rng, types=18, each=4, D=5, size=0.0)
    if within:
      label_N = rng.integers(0, 2, len(label_N))
    found = probe(x_LND, label_N, type_N, draws=19, seed=int(rng.integers(9999)))
    p_R.append((found.p_L[0], found.best_p))
  p_R2 = np.array(p_R)
  assert (np.mean(p_R2 <= 0.05, axis=0) <= 0.12).all()  # 3 standard errors above
  assert (np.mean(p_R2 <= 0.5, axis=0) <= 0.65).all() and (p_R2.mean(0) < 0.65).all()
  assert p_R2.min() == 1 / 20


def test_a_label_that_varies_within_types_is_read_too():
  """Every type has items of both labels; the types of the test were still never seen."""
  rng = np.random.default_rng(4)
  x_LND, _, type_N = items(rng, types=20, size=0.0)
  label_N = np.arange(len(type_N)) % 2
  x_LND[1, :, 0] += 4 * label_N
  found = probe(x_LND, label_N, type_N, draws=49)
  assert found.accuracy_L[1] > 0.85 and found.p_L[1] == found.best_p == 0.02
  assert 0.3 < found.accuracy_L[0] < 0.7 and found.p_L[0] > 0.05


def test_folds_share_no_type_and_no_item():
  _, label_N, type_N = items(np.random.default_rng(5), types=30)
  rng = np.random.default_rng(0)
  fold_K = linear.dealt(label_N[::8], rng)
  tested = []
  for fold in range(5):
    part = linear.parts(fold_K[type_N], fold, type_N, rng)
    types = {name: set(type_N[here]) for name, here in part.items()}
    assert not types['test'] & (types['fit'] | types['develop'] | types['seen'])
    assert not types['develop'] & types['fit']
    assert types['seen'] == types['develop_seen'] == types['fit']
    assert sorted(np.concatenate(list(part.values()))) == list(range(240))
    for name in ('fit', 'develop', 'test'):  # as many types of either label
      assert np.mean([label_N[type_N == t][0] for t in types[name]]) == 0.5
    assert [len(types[name]) for name in ('fit', 'develop', 'test')] == [18, 6, 6]
    tested += part['test'].tolist()
  assert sorted(tested) == list(range(240))
  few = linear.dealt(np.repeat([0, 1], [3, 9]), rng)
  assert [sorted(few[:3]), np.bincount(few[3:]).tolist()] == [[0, 1, 2], [3, 3, 3]]


def test_values_are_permuted_within_groups_only():
  rng = np.random.default_rng(6)
  group_N = rng.integers(0, 4, 40)
  value_N = np.arange(40)
  seen = [linear.permuted(value_N, group_N, rng) for _ in range(300)]
  for moved_N in seen[:5]:
    np.testing.assert_array_equal(group_N[moved_N], group_N)
    assert sorted(moved_N) == list(range(40))
  here = np.flatnonzero(group_N == 2)
  counts = np.array([[np.sum(np.array(seen)[:, i] == j) for i in here] for j in here])
  assert counts.min() > 0 and counts.max() < 4 * 300 / len(here)  # anyone may stand anywhere


@pytest.mark.parametrize('n', [24, 60], ids=['fewer items than features', 'more'])
def test_the_probe_is_ridge_regression(n, monkeypatch):
  """Against its normal equations, on states of very unequal scales."""
  rng = np.random.default_rng(7)
  monkeypatch.setattr(linear, 'RIDGES', (0.03,))
  x_ND = rng.standard_normal((224, 30)) * np.logspace(-3, 3, 30) + 5
  label_N = (rng.random(224) < 0.3).astype(int)
  part = dict(fit=np.arange(n), test=np.arange(n, 224), develop=[0], develop_seen=[0], seen=[0])
  fit = (x_ND - x_ND[:n].mean(0)) / x_ND[:n].std(0)
  hot = np.eye(2)[label_N]
  gram = fit[:n].T @ fit[:n] + 0.03 * n * np.eye(30)
  w_DC = np.linalg.solve(gram, fit[:n].T @ (hot[:n] - hot[:n].mean(0)))
  best_N = (fit @ w_DC + hot[:n].mean(0)).argmax(1)
  labels_NP = np.stack([label_N, best_N, 1 - best_N], axis=1)  # of which the first is fitted
  labels_NP[:n] = label_N[:n, None]
  right = linear._right(x_ND, labels_NP, part)['test'][0]
  np.testing.assert_array_equal(right, [np.mean((best_N == label_N)[n:]), 1, 0])


def test_a_ridge_is_chosen_where_features_are_as_many_as_items(monkeypatch):
  data = items(np.random.default_rng(8), types=40, each=4, D=60, size=2.0, own=0.0)
  data[0][:] += np.random.default_rng(9).standard_normal(data[0].shape)
  chosen = probe(*data, draws=1).accuracy_L[1]
  monkeypatch.setattr(linear, 'RIDGES', (1e-9,))
  assert chosen > probe(*data, draws=1).accuracy_L[1] + 0.05


def test_a_layer_where_all_items_are_one_gives_the_most_frequent_label():
  rng = np.random.default_rng(10)
  type_N = np.repeat(np.arange(30), 4)
  label_N = (np.arange(30) % 3 == 0).astype(int)[type_N]
  x_LND = np.full((1, 120, 5), 3.0) * (1 + 1e-8 * rng.standard_normal((1, 120, 5)))
  found = probe(x_LND, label_N, type_N, draws=20)
  assert found.accuracy_L[0] == pytest.approx(found.chance) and found.p_L[0] == 1


def test_the_layer_is_chosen_without_the_tested_types():
  """Many layers of noise: the best one on the test is far above chance, the chosen one is not."""
  rng = np.random.default_rng(11)
  _, label_N, type_N = items(rng, types=16, each=4)
  best, top = [], []
  for _ in range(8):
    x_LND = rng.standard_normal((20, 16, 6))[:, type_N] + 0.1 * rng.standard_normal((20, 64, 6))
    found = probe(x_LND, label_N, type_N, draws=1)
    best.append(found.best)
    top.append(found.accuracy_L.max())
  assert np.mean(top) > 0.7 and np.mean(best) < 0.6


def test_capacity_against_conduct():
  counts = dict(types=9, items=9, draws=9, layer=1)
  layers = dict(accuracy_L=[0.5, 0.8, 0.9], seen_L=[0.6, 0.9, 0.9], control_L=[0.6, 0.7, 0.5])
  layers = {name: np.array(x_L) for name, x_L in layers.items()}
  found = Probe(**counts, **layers, p_L=np.ones(3), best=0.8, best_p=0.1, chance=0.5)
  wanted = dict(layer=1, probe=0.8, conduct=0.3, gap=pytest.approx(0.5))
  assert capacity_gap(found, 0.3) == wanted
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
    (np.array([0] * 7 + [1]), 'label 1 has 1 types'),
  ):
    with pytest.raises(UserError, match=says):
      probe(x_LND, label_N, type_N)
  with pytest.raises(UserError, match='too few items a type'):
    probe(np.ones((1, 20, 2)), np.arange(20) % 2, np.arange(20))
