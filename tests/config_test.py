import dataclasses
import enum
import json
import pathlib
from collections.abc import Callable
from typing import Literal

import pytest

from jaxalign import config, files, main, sealing
from jaxalign.config import Adafactor, AdamW, Mesh, Saving, UserError

ROOT = pathlib.Path(__file__).resolve().parents[1]


class Size(enum.Enum):
  SMALL = 1
  LARGE = 2


@dataclasses.dataclass(kw_only=True)
class Stage:
  steps: int = 4
  optim: AdamW | Adafactor = dataclasses.field(default_factory=AdamW)
  saving: Saving | None = None
  size: Size = Size.SMALL
  parts: tuple[float, ...] = (0.5, 0.5)
  loss: Callable = max
  arms: tuple[Mesh, ...] = ()

  @property
  def saves(self):
    return self.steps // 2


def test_seal_accepts_and_returns_the_config():
  cfg = Stage(saving=Saving(), arms=(Mesh(), Mesh(data=2)))
  assert sealing.seal(cfg) is cfg
  assert sealing.seal(cfg) is cfg, 'sealing twice does no harm'
  assert cfg.saves == 2


@pytest.mark.parametrize(
  'at, field',
  [
    (lambda cfg: cfg, 'steps'),
    (lambda cfg: cfg.optim, 'lr'),
    (lambda cfg: cfg.optim.schedule, 'warmup'),
    (lambda cfg: cfg.arms[0], 'fsdp'),
    (lambda cfg: cfg, 'typo'),
  ],
)
def test_nothing_is_assigned_after_sealing(at, field):
  cfg = sealing.seal(Stage(arms=(Mesh(),)))
  before = sealing.to_json(cfg)
  with pytest.raises(dataclasses.FrozenInstanceError, match=rf'\.{field}: '):
    setattr(at(cfg), field, 3)
  with pytest.raises(dataclasses.FrozenInstanceError):
    delattr(at(cfg), field)
  assert sealing.to_json(cfg) == before


def test_other_configs_of_a_sealed_class_stay_open():
  sealing.seal(Mesh())
  mesh = dataclasses.replace(sealing.seal(Mesh()), data=4)
  mesh.data = 8
  assert mesh == Mesh(data=8)


@pytest.mark.parametrize(
  'field, value, says',
  [
    ('steps', 1.0, 'config.steps=1.0: takes an int'),
    ('steps', True, 'config.steps=True: takes an int'),
    ('optim', Mesh(), 'config.optim=Mesh: takes AdamW or Adafactor'),
    ('saving', 3, 'config.saving=3: takes Saving or none'),
    ('size', 'SMALL', "config.size='SMALL': takes one of SMALL, LARGE"),
    ('parts', (0.5, '1'), "config.parts=(0.5, '1'): takes a tuple (a float, ...)"),
    ('parts', [0.5], 'config.parts=[0.5]: takes a tuple'),
    ('parts', (float('nan'),), 'config.parts=(nan,): takes'),
    ('loss', 'max', "config.loss='max': takes Callable"),
  ],
)
def test_seal_names_the_field_of_the_wrong_type(field, value, says):
  cfg = Stage()
  setattr(cfg, field, value)
  with pytest.raises(UserError) as error:
    sealing.seal(cfg)
  assert says in str(error.value)


def test_seal_looks_below_and_finds_stray_names():
  cfg = Stage()
  cfg.optim.schedule.shape = 'linear'
  with pytest.raises(
    UserError, match=r"config\.optim\.schedule\.shape='linear': takes one of constant"
  ):
    sealing.seal(cfg)
  cfg = Stage()
  cfg.optim.weight_decya = 0.1
  with pytest.raises(UserError, match='AdamW has no field weight_decya; nearest: weight_decay'):
    sealing.seal(cfg)


def test_a_field_that_can_change_is_refused():
  @dataclasses.dataclass
  class Loose:
    names: list

  with pytest.raises(UserError, match='config.names is a list'):
    sealing.seal(Loose([]))


def test_only_one_axis_of_a_mesh_is_the_rest():
  with pytest.raises(UserError, match='at most one axis is -1'):
    sealing.seal(Mesh(data=-1))


def test_text_annotations_are_resolved():
  @dataclasses.dataclass
  class Later:
    steps: 'int'

  with pytest.raises(UserError, match='takes an int'):
    sealing.seal(Later('3'))


def test_json_keeps_classes_and_callables_by_name():
  kept = json.loads(sealing.to_json(Stage(arms=(Mesh(),))))
  assert kept['class'] == f'{__name__}:Stage'
  assert kept['optim']['class'] == 'jaxalign.config:AdamW'
  assert kept['optim']['schedule']['shape'] == 'cosine'
  assert kept['loss'] == 'builtins:max'
  assert (kept['size'], kept['parts'], kept['saving']) == ('SMALL', [0.5, 0.5], None)


def test_write_leaves_the_old_file_whole_when_it_fails(tmp_path):
  path = tmp_path / 'new' / 'config.json'
  sealing.write(Stage(), path)
  before = path.read_text()
  with pytest.raises(UserError, match='no name'):
    sealing.write(Stage(loss=object()), path)
  assert path.read_text() == before
  assert [file.name for file in path.parent.iterdir()] == ['config.json']


def test_a_config_of_a_module_that_moved_is_the_same_config():
  """A study on real text that began before goes on."""
  now = json.loads(sealing.to_json(main.load(f'{ROOT}/configs/study_explanations.py:smoke').world))
  old = json.dumps(now)
  for before, after in sealing.MOVED.items():
    old = old.replace(f'"{after}:', f'"{before}:')
  assert json.loads(old) != now and sealing.diff(json.loads(old), now) == []


def test_diff_names_each_field_with_both_values():
  old = json.loads(sealing.to_json(Stage(arms=(Mesh(), Mesh()))))
  assert sealing.diff(old, Stage(arms=(Mesh(), Mesh()))) == []
  new = Stage(steps=5, arms=(Mesh(), Mesh(data=2)), optim=config.Adafactor(lr=2e-5))
  changes = {name: (a, b) for name, a, b in sealing.diff(old, new)}
  assert changes['steps'] == (4, 5)
  assert changes['arms.1.data'] == (1, 2)
  assert changes['optim.lr'] == (1e-5, 2e-5)
  assert changes['optim.class'] == ('jaxalign.config:AdamW', 'jaxalign.config:Adafactor')
  assert changes['optim.b1'] == (0.9, '(absent)')
  assert 'arms.0.data' not in changes


@pytest.mark.parametrize(
  'value, kind, expected',
  [
    (1, float, True),
    (1, bool, False),
    (True, Literal[1], False),
    ((1, 2), tuple[int, int], True),
    ((1,), tuple[int, int], False),
    ((), tuple[int, ...], True),
    (None, int | None, True),
    (Mesh, type[Mesh], True),
    (3, object, True),
  ],
)
def test_fits(value, kind, expected):
  assert sealing.fits(value, kind) is expected


def test_a_bucket_is_absolute_already():
  assert str(files.absolute('gs://bucket/run')) == 'gs://bucket/run'
  assert files.absolute('run').is_absolute()
