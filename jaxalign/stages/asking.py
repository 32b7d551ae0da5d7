"""An evaluation's first half: who is asked is opened, and all of it is asked that is not known."""

import contextlib
import dataclasses
import itertools
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

import jax
from jax.sharding import Mesh as DeviceMesh

from jaxalign import pod
from jaxalign.config import Mesh, UserError
from jaxalign.data import dialogues
from jaxalign.data.chat import ChatFormat, Own
from jaxalign.data.text import Tokenizer
from jaxalign.endings import UNFINISHED
from jaxalign.endpoint import Endpoint
from jaxalign.evals import ask, store
from jaxalign.evals.ask_endpoint import Served
from jaxalign.evals.evaluated import About, AskedSuite
from jaxalign.evals.item import Item, Said, Suite
from jaxalign.models import hub, llama2, phi2
from jaxalign.sharding.layout import born
from jaxalign.stages import loading, trained
from jaxalign.stages.contract import Workdir
from jaxalign.train.loop import Interrupt

Model = str | llama2.Config | phi2.Config | Endpoint
_QUIET = 5.0  # seconds before the first line of progress, and between two


class _Asking(Protocol):
  """What of an evaluation's config says who is asked."""

  model: Model
  tokenizer: str | None
  format: str | ChatFormat | Own | None
  dtype: Any
  prefill: bool
  rows: int
  mesh: Mesh
  seed: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class Put:
  """A suite as it is put to a model."""

  suite: Suite
  items: Sequence[Item]
  asked: AskedSuite


def endpoint_of(model: Model) -> Endpoint | None:
  """The endpoint that a config names, as one or as text: http://127.0.0.1:8000/v1#MODEL."""
  if isinstance(model, Endpoint):
    return model
  if not isinstance(model, str) or not model.startswith(('http://', 'https://')):
    return None
  url, _, name = model.partition('#')
  if not name:
    raise UserError(f'model={model}: say which model is meant there, as {url}#MODEL')
  found = Endpoint(url=url, model=name)
  found.check()
  return found


def asker_of(cfg: _Asking, mesh: DeviceMesh) -> ask.Asker:
  """Whoever is asked: a model that is loaded now, or an address."""
  endpoint = endpoint_of(cfg.model)
  if endpoint is not None:
    return Served(endpoint, prefill=cfg.prefill)
  if isinstance(cfg.model, str):
    model, name = loading.load(cfg.model, dtype=cfg.dtype, mesh=mesh), cfg.model
  else:
    assert not isinstance(cfg.model, Endpoint)
    model = born(cfg.model.build, mesh, jax.random.key(cfg.seed))
    name = f'{type(cfg.model).__module__.rpartition(".")[2]} by chance, seed {cfg.seed}'
    model.tokenizer = trained.tokenizer_of(dict(tokenizer=cfg.tokenizer))
  form = form_of(cfg, model.tokenizer)
  return ask.Native(name, model, form, rows=cfg.rows)


def form_of(cfg: _Asking, tokenizer: Tokenizer | None) -> dialogues.Format | None:
  """How dialogues are written: as the config says, else as the model was taught; None: unknown."""
  if isinstance(cfg.format, ChatFormat):
    return cfg.format
  if isinstance(cfg.format, Own):
    return None if tokenizer is None else dialogues.resolved(cfg.format, tokenizer)
  if cfg.format is not None:
    if cfg.format not in loading.FORMATS:
      raise UserError(f'format={cfg.format}: one of {", ".join(loading.FORMATS)}')
    return loading.FORMATS[cfg.format]
  if isinstance(cfg.model, str) and tokenizer is not None:
    return loading.format_of(cfg.model, tokenizer)
  return None


def put(asker: ask.Asker, suite: Suite, items: Sequence[Item]) -> Put:
  """A suite that this one can be asked; else refused, by name."""
  asker.refuse(suite.name, items, suite.decode)
  return Put(suite=suite, items=items, asked=ask.asked_as(suite, items, asker.form))


def asked(workdir: Workdir, asker: ask.Asker, every: Sequence[Put], about: About) -> None:
  """Asks all that is missing in the store, suite after suite; what comes is kept at once."""
  store.claim(workdir, about)
  with Interrupt() as interrupt:
    told = itertools.count(1)

    def stops() -> bool:
      n = next(told)
      return interrupt.told(n, n)

    for n, one in enumerate(every):
      if pod.writes():
        store.write_items(workdir, one.asked.name, one.items)
      _ask(workdir, asker, one, f'{one.asked.name} ({n + 1} of {len(every)})', stops)
  pod.meet('asked')


def _ask(
  workdir: Workdir, asker: ask.Asker, one: Put, title: str, stops: Callable[[], bool]
) -> None:
  kept = store.answers(workdir, asker.fingerprint, one.asked, one.items)
  plan = ask.plan_of(asker.fingerprint, one.asked, one.items)
  with contextlib.closing(kept), _Progress(title, len(kept.missing)) as progress:

    def each(said: Said) -> None:
      progress.one(said.tokens)
      if stops():
        note(f'told to stop: the answers so far are in {workdir}; the same command goes on')
        raise SystemExit(UNFINISHED)

    ask.ask(asker, plan, kept, one.suite.decode, each)


def note(text: str) -> None:
  if pod.writes():
    print(text, flush=True)


class _Progress:
  """A line every few seconds: how many answers there are, how fast they come, what is left.

  The first answers wait for programs to be compiled: what is left is told once that is the smaller
  part of the time, by those that came after.
  """

  def __init__(self, title: str, total: int):
    self._title, self._total, self._done, self._tokens = title, total, 0, 0
    self._began = self._said = time.monotonic()
    self._first: tuple[float, int] | None = None  # when the first answers were there, how many

  def __enter__(self) -> '_Progress':
    return self

  def __exit__(self, *_: object) -> None:
    took = time.monotonic() - self._began
    if self._done and took > _QUIET:
      rate = self._tokens / took
      note(f'{self._title}: {self._done:,} answers in {clock(took)}, {rate:,.0f} tokens/s')

  def one(self, tokens: int) -> None:
    self._done, self._tokens = self._done + 1, self._tokens + tokens
    now = time.monotonic()
    if self._first is None or now - self._first[0] < 1:
      self._first = (now if self._first is None else self._first[0]), self._done
    if now - self._said < _QUIET or not pod.writes():
      return
    self._said = now
    rate = self._tokens / (now - self._began)
    text = f'{self._title}: {self._done:,} of {self._total:,}, {rate:,.0f} tokens/s'
    print(text + self._left(now), file=sys.stderr, flush=True)

  def _left(self, now: float) -> str:
    assert self._first is not None
    first, done = self._first
    if self._done == done or now - self._began < 3 * (first - self._began):
      return ''
    each = (now - first) / (self._done - done)
    return f', about {clock(each * (self._total - self._done))} left'


def clock(seconds: float) -> str:
  """A time as a person says it."""
  if seconds < 90:
    return f'{seconds:.0f} s'
  return f'{seconds / 60:.0f} min' if seconds < 5400 else f'{seconds / 3600:.1f} h'


# ---- where a model comes from


def lineage(cfg: _Asking, mesh: DeviceMesh) -> tuple[str | None, int | None]:
  """(fingerprint of the weights that training began with, the seed of training): of a workdir the
  first weights of all its runs, which are loaded for that; '' where nobody knows, None of what is
  no run of ours: it begins as it is."""
  if not isinstance(cfg.model, str) or endpoint_of(cfg.model) is not None:
    return '', None
  if not trained.is_workdir(hub.resolve(cfg.model, weights=False)):
    return None, None
  first: str | None = cfg.model
  seed = trained.raw_of(cfg.model).get('seed')
  base = ''
  with contextlib.suppress(UserError):  # what it began with may be gone
    while first is not None and trained.is_workdir(first):
      first = trained.raw_of(first).get('init')
    if first is not None and (model := loading.load(first, dtype=cfg.dtype, mesh=mesh)).tokenizer:
      base = ask.fingerprint_of(model)
  return base, seed if isinstance(seed, int) else None


def devices(mesh: DeviceMesh) -> Iterator[tuple[str, str]]:
  """What is told of the machine, and is no part of an answer's key."""
  yield 'jax', jax.__version__
  yield 'devices', f'{jax.device_count()} x {jax.devices()[0].device_kind}'
  yield 'mesh', ', '.join(f'{name} {size}' for name, size in mesh.shape.items())
