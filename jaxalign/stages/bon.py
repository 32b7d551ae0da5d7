"""Best-of-n: many answers to every prompt, scored by the proxy and by gold; the simplest optimiser
of a reward, and the yardstick of every other. Ends with the over-optimisation report.

Answers are kept as they come, bon-00000.jsonl and so on; a run that was stopped goes on behind
them. Each answer is drawn by a key of its prompt and its number alone.
"""

import dataclasses
import functools
import json
from typing import Annotated

import jax
import numpy as np
from jax.sharding import NamedSharding, PartitionSpec

from jaxalign import pod
from jaxalign.config import Mesh, UserError
from jaxalign.data import batches, chat, dialogues, sources
from jaxalign.data.prepared import Prepared
from jaxalign.data.text import Tokenizer
from jaxalign.endings import UNFINISHED
from jaxalign.files import read_json, write_text
from jaxalign.models import llama2, phi2
from jaxalign.models.decoder import Decoder
from jaxalign.ranges import Count, Range, Rows, Seed, Slots, Temperature
from jaxalign.rl import bon, judges, players
from jaxalign.rl import overoptimisation as over
from jaxalign.sealing import diff, tree
from jaxalign.sharding.meshes import make_mesh
from jaxalign.stages import judging, overoptimisation, ppo_start, refusals, trained, training
from jaxalign.stages.contract import Batch, Workdir
from jaxalign.stages.doctors import bon_doctor
from jaxalign.train.feed import Feed
from jaxalign.train.loop import Interrupt

_SAVED = ('proxy', 'tokens', 'finished', 'distinct_2')  # of each answer, beside text and gold
_FREE = ('mesh', 'ppo', 'prepared', 'page')  # what may change while a run goes on
_Answers = Annotated[int, Range(at_least=1, at_most=bon.MOST)]  # to a prompt


@dataclasses.dataclass(kw_only=True, unsafe_hash=True)
class Config:
  model: llama2.Config | phi2.Config
  init: str | None = None  # the policy: a workdir of sft, a Hugging Face directory; none: chance
  tokenizer: str | None = None  # a directory or file; None: init's; 'shipped': the small one here
  format: chat.ChatFormat | chat.Own
  prompts: sources.Source
  prepared: str | None = None  # where tokenised prompts are kept; None: in the workdir
  proxy: tuple[judges.Judge, ...]  # picks the best; several are summed, as in ppo
  gold: tuple[judges.Judge, ...] = ()  # judges what was picked; none of it may be the proxy
  ppo: str | None = None  # the workdir of a PPO run, to stand beside it in the report
  count: Count = 128  # prompts, the first of them
  n: _Answers = 256  # answers to each
  prompt: Slots = 512  # tokens of the longest prompt; longer ones are dropped and counted
  response: Slots = 512  # tokens at most
  temperature: Temperature = 1.0
  batch: Rows = 256  # answers in a call
  mesh: Mesh = dataclasses.field(default_factory=Mesh)
  page: bool = True  # overoptimisation.html, drawn by matplotlib; bon.json has the numbers anyway
  seed: Seed = 0

  @property
  def length(self) -> int:
    return self.prompt + self.response

  @property
  def tokens(self) -> int:
    """Of all answers, prompts included."""
    return self.count * self.n * self.length

  @property
  def passes(self) -> float:
    """Over each token, of which a forward one is a third: the policy writes, the proxies read."""
    return (1 + len(self.proxy)) / 3

  def is_done(self, workdir: Workdir) -> bool:
    return (workdir / 'bon.json').exists()  # written last

  def check(self) -> None:
    if self.n % self.batch and self.batch % self.n:
      raise UserError(f'n={self.n} and batch={self.batch}: one must be a multiple of the other')
    judging.refuse_short('the model', self.model, self)
    if not any(judge.weight for judge in self.proxy):
      raise UserError('proxy: no judge with a weight, so nothing would be picked')


def run(cfg: Config, workdir: Workdir) -> None:
  mesh = make_mesh(cfg.mesh.data, cfg.mesh.fsdp, cfg.mesh.tensor)
  found = refusals.refuse(refusals.BON, cfg, mesh=mesh)
  tokenizer, prints = found['tokenizer'], found['gold']
  _refuse_other_settings(cfg, workdir, prints, dialogues.resolved(cfg.format, tokenizer))
  ready = open_prompts(cfg, tokenizer, workdir)
  count = min(cfg.count, len(ready))
  feed = Feed(_rows_of(ready, cfg, count), cfg.batch, mesh)
  each, calls = max(1, cfg.batch // cfg.n), max(1, cfg.n // cfg.batch)
  with jax.set_mesh(mesh), Interrupt() as interrupt:
    ask = _asker(cfg, tokenizer, mesh)
    for chunk in range(-(-count // each)):
      path = workdir / f'bon-{chunk:05d}.jsonl'
      if not path.exists():
        rows = [row for k in range(calls) for row in ask(feed, chunk * calls + k)]
        _write(path, rows, cfg.n)
        _note(f'{min((chunk + 1) * each, count):,} of {count:,} prompts, {cfg.n} answers each')
      if interrupt.told(chunk, chunk):
        _note(f'told to stop: the answers so far are kept in {workdir}; the same command goes on')
        raise SystemExit(UNFINISHED)
  if pod.writes():
    _report(cfg, workdir, prints)


def prepare(cfg: Config, workdir: Workdir) -> None:
  """`jaxalign prepare`: what run would do first, and no more; run finds it done."""
  open_prompts(cfg, training.open_tokenizer(cfg), workdir)


doctor = bon_doctor.examine


def _report(cfg, workdir, prints):
  if cfg.page:
    curves = overoptimisation.report(workdir, best_of=workdir, ppo=cfg.ppo)
  else:
    curves = {over.BON: overoptimisation.best_of_n(workdir)}
  c = overoptimisation.as_json(curves)[over.BON]
  about = dict(judges=prints, prompts=c['prompts'], answers=c['answers'], n=c['label'])
  about |= dict(kl=bon.kl(np.array(c['label'])).tolist(), mean=c['means'])
  about |= dict(low=c['low'], high=c['high'])
  write_text(json.dumps(about, indent=2) + '\n', workdir / 'bon.json')
  _note(f'done: {workdir}/{"overoptimisation.html" if cfg.page else "bon.json"}')


def _note(text):
  if pod.writes():
    print(text, flush=True)


def _refuse_other_settings(cfg, workdir, prints, form):
  """Answers that are there were drawn by the run this is."""
  policy = trained.fingerprint_of(cfg.init) if cfg.init and trained.is_workdir(cfg.init) else None
  fields = {name: value for name, value in tree(cfg).items() if name not in _FREE}
  fields |= dict(template=form.hash) if cfg.format == chat.OWN else {}  # a file may have changed
  now = json.loads(json.dumps(dict(fields, judges=prints, policy=policy)))
  path = workdir / 'answers.json'
  if path.exists() and any(workdir.glob('bon-*.jsonl')):
    changed = diff(read_json(path), now)
    if changed:
      words = ', '.join(f'{name} ({old} there, {new} here)' for name, old, new in changed[:4])
      raise UserError(f'{workdir} holds answers of another run: {words}; take another --workdir')
  if pod.writes():
    write_text(json.dumps(now, indent=2) + '\n', path)


def open_prompts(cfg: Config, tokenizer: Tokenizer, workdir: Workdir) -> Prepared:
  return training.open_prompts(cfg, cfg.prompts, 'prompts', tokenizer, workdir)


def _rows_of(ready, cfg, count):
  """(call, indices) -> rows: answer a of prompt p is row p n + a of all; the last call is filled
  with empty rows."""
  prompts = batches.Prompts(ready, cfg.prompt, len(ready), None)

  def rows(call, indices):
    at = call * cfg.batch + np.asarray(indices)
    which, again = np.unique(np.minimum(at // cfg.n, count - 1), return_inverse=True)
    made = {name: x[again] for name, x in prompts.rows(0, which).items()}
    live = at < count * cfg.n
    made = {name: np.where(live[:, None], x, 0) for name, x in made.items()}
    return made | dict(prompt_B=(at // cfg.n).astype(np.int32), answer_B=at % cfg.n)

  return rows


def _asker(cfg, tokenizer, mesh):
  """(feed, call) -> a dict for each answer, on every host."""
  policy = trained.cast(ppo_start.weights_of(cfg, cfg.init, mesh), cfg.model.dtype)
  sides = (('proxy', cfg.proxy), ('gold', cfg.gold))
  score_by = {side: judging.summed(cfg, tokenizer, mesh, listed) for side, listed in sides}
  how = cfg.response, cfg.temperature
  everywhere = jax.jit(lambda x: x, out_shardings=NamedSharding(mesh, PartitionSpec()))

  def ask(feed, call):
    stacked, key = feed.at(call, 1), jax.random.key(cfg.seed)
    seen = draw(how, policy, {name: x[0] for name, x in stacked.items()}, key)
    scores = {side: score(seen) for side, score in score_by.items() if score}
    seen, scores = everywhere((seen, scores))
    scores = jax.device_get(scores)
    return [
      judging.line_of(tokenizer, row) | {side: float(s_B[r]) for side, s_B in scores.items()}
      for r, row in judges.rows_here(seen).items()
      if row.prompt
    ]

  return ask


@functools.partial(jax.jit, static_argnums=0)
def draw(how: tuple[int, float], policy: Decoder, batch: Batch, key: jax.Array) -> players.Sampled:
  """One answer to each row, which no other player has read. how: its slots, the temperature."""
  response, temperature = how
  fold = jax.vmap(jax.random.fold_in, in_axes=(None, 0))
  key_B = jax.vmap(jax.random.fold_in)(fold(key, batch['prompt_B']), batch['answer_B'])
  return players.sampled(policy, batch, key_B, response, temperature)


def _write(path, rows, n):
  """A line for each prompt, whole or not at all."""
  if not pod.writes():
    return
  lines = []
  for at in range(0, len(rows), n):
    some = rows[at : at + n]
    columns = {name: [row[name] for row in some] for name in _SAVED}
    gold = [row['gold'] for row in some] if 'gold' in some[0] else None
    line = dict(prompt=some[0]['prompt'], answers=[row['answer'] for row in some], gold=gold)
    lines.append(json.dumps(line | columns) + '\n')
  write_text(''.join(lines), path)
