import dataclasses
import enum
import pathlib
from typing import Any, Literal

import pytest

from jaxalign import main
from jaxalign.config import UserError
from jaxalign.overrides import override

ROOT = pathlib.Path(__file__).resolve().parents[1]


class Size(enum.Enum):
  SMALL = 1
  LARGE = 2


@dataclasses.dataclass(kw_only=True)
class Inner:
  lr: float = 1.0
  clip: float | None = 1.0
  deeper: Any = None


@dataclasses.dataclass(kw_only=True, frozen=True)
class Form:
  user: str = 'u'


@dataclasses.dataclass(kw_only=True)
class Outer:
  steps: int = 1
  on: bool = False
  name: str | None = 'a'
  shape: Literal['cosine', 'wsd', 3] = 'cosine'
  betas: tuple[float, float] = (0.9, 0.95)
  words: tuple[str, ...] = ()
  size: Size = Size.SMALL
  factors: tuple[tuple[str, float], ...] = ()
  form: Form = Form()
  forms: tuple[Form, ...] = (Form(), Form())
  inner: Inner = dataclasses.field(default_factory=Inner)
  maybe: Inner | None = None
  arms: tuple[Inner, ...] = dataclasses.field(default_factory=lambda: (Inner(), Inner()))

  @property
  def total(self):
    return self.steps


@pytest.mark.parametrize(
  'name, text, expected',
  [
    ('steps', '-3', -3),
    ('on', 'true', True),
    ('on', 'False', False),
    ('name', 'None', None),
    ('name', 'a=b c', 'a=b c'),
    ('name', '', ''),
    ('shape', 'wsd', 'wsd'),
    ('shape', '3', 3),
    ('betas', '0.8,0.9', (0.8, 0.9)),
    ('betas', '(0.8, 1)', (0.8, 1.0)),
    ('words', 'x,y', ('x', 'y')),
    ('words', "('x',)", ('x',)),
    ('words', '()', ()),
    ('words', "'x,y',z", ('x,y', 'z')),
    ('words', '[ab]*.jsonl,c[', ('[ab]*.jsonl', 'c[')),
    ('factors', "(('embed*',4.0),)", (('embed*', 4.0),)),
    ('factors', '((embed*, 4), ("head*", 0.5))', (('embed*', 4.0), ('head*', 0.5))),
    ('factors', '(embed*,4),(head*,.5)', (('embed*', 4.0), ('head*', 0.5))),
    ('factors', '()', ()),
    ('size', 'LARGE', Size.LARGE),
    ('form.user', 'x', 'x'),
    ('forms.1.user', 'x', 'x'),
    ('inner.lr', '3e-6', 3e-6),
    ('inner.clip', 'none', None),
    ('inner.clip', '2', 2.0),
    ('inner.deeper.lr', '5', 5.0),
    ('arms.1.lr', '7', 7.0),
  ],
)
def test_text_is_read_as_the_field_is_annotated(name, text, expected):
  cfg = Outer(inner=Inner(deeper=Inner()))
  override(cfg, name, text)
  found = cfg
  for part in name.split('.'):
    found = found[int(part)] if part.isdigit() else getattr(found, part)
  assert found == expected and type(found) is type(expected)
  assert cfg.arms[0] == Inner() and Outer().form == cfg.forms[0] == Form()


@pytest.mark.parametrize(
  'name, text, says',
  [
    ('stesp', '3', '--config.stesp: Outer has no field stesp; nearest: steps'),
    ('lr', '3', '--config.lr: Outer has no field lr; nearest: inner.lr'),
    ('inner.zzz', '3', '--config.inner.zzz: Inner has no field zzz; fields: lr, clip, deeper'),
    ('iner.lr', '3', '--config.iner.lr: Outer has no field iner; nearest: inner'),
    ('steps', '3.0', '--config.steps=3.0: takes an int'),
    ('on', 'maybe', '--config.on=maybe: takes true or false'),
    ('shape', 'linear', '--config.shape=linear: takes one of cosine, wsd, 3'),
    ('betas', '0.9', '--config.betas=0.9: takes a tuple (a float, a float)'),
    ('betas', '0.9,x', '--config.betas=0.9,x: takes a tuple'),
    ('size', 'small', '--config.size=small: takes one of SMALL, LARGE'),
    ('inner.lr', 'nan', '--config.inner.lr=nan: takes a float'),
    ('inner.lr', 'none', '--config.inner.lr=none: takes a float'),
    ('inner', '3', '--config.inner=3: takes Inner'),
    (
      'factors',
      'embed*,4',
      '--config.factors=embed*,4: takes a tuple (a tuple (text, a float)',
    ),
    ('factors', '((embed*,4)', '--config.factors=((embed*,4): takes a tuple'),
    ('maybe.lr', '3', '--config.maybe.lr: config.maybe is None, which has no fields'),
    ('steps.x', '3', '--config.steps.x: config.steps is 1, which has no fields'),
    ('total', '3', '--config.total: total follows from other fields'),
    ('arms.2.lr', '3', '--config.arms.2.lr: the last entry is config.arms.1'),
  ],
)
def test_what_cannot_be_set_is_named(name, text, says):
  cfg = Outer()
  with pytest.raises(UserError) as error:
    override(cfg, name, text)
  assert says in str(error.value)
  assert cfg == Outer()


@pytest.mark.parametrize('name', ['train.5', 'train.5.weight', 'train.x', 'train.0'])
def test_an_entry_that_is_not_there(name):
  cfg = main.load(str(ROOT / 'configs/sft_llama2_7b.py:smoke'))
  with pytest.raises(UserError, match='the last entry is config.train.0; set a field of an entry'):
    override(cfg, name, '1')


@pytest.mark.parametrize(
  'text, value', [('a/b', 'a/b'), ('a,b', ('a', 'b')), ('(a,)', ('a',)), ('none', None)]
)
def test_text_is_a_tuple_only_where_it_looks_like_one(text, value):
  @dataclasses.dataclass(kw_only=True)
  class Paths:
    path: tuple[str, ...] | str | None = ''

  cfg = Paths()
  override(cfg, 'path', text)
  assert cfg.path == value
