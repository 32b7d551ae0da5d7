"""What refuses a run, one list a stage: the run raises the first of it, before anything is
tokenised or compiled or a hub's weights are fetched; its doctor shows all of it.

A rule is a name and a function of (config, Found), which returns what it found in words and a thing
that later rules and the run are given, or raises UserError: what is wrong, and the remedy.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax

from jaxalign.config import UserError
from jaxalign.data import dialogues
from jaxalign.data.text import Tokenizer
from jaxalign.models import hub
from jaxalign.page import kit
from jaxalign.rl.judges import Judge
from jaxalign.stages import judging, overoptimisation, trained
from jaxalign.stages.contract import Answering, Stage
from jaxalign.train import saving
from jaxalign.train.feed import DEPTH, refuse_too_large, split
from jaxalign.train.optim import refuse_unmatched
from jaxalign.train.sinks import refuse_missing


class Skip(Exception):
  """A check that cannot be made here, and why."""


class Found(dict[str, Any]):
  """Things by the names of the rules that found them; of a rule that refused there is none. A run
  that has checkpoints is given `resumes`: what older releases let begin may go on."""

  elsewhere = ''  # the machine that a doctor looks at, where it is not this one

  def __missing__(self, name):
    raise Skip(f'needs {name}')

  def skip_elsewhere(self) -> None:
    """For rules of the host's memory and packages, which nobody knows of another's."""
    if self.elsewhere:
      raise Skip(f'of the host that runs it, and {self.elsewhere} is not here')


Rule = tuple[str, Callable[[Any, Found], tuple[str, Any]]]


def refuse(rules: Sequence[Rule], cfg: Any, **given: Any) -> Found:
  """Found of a run that may begin, and what it is given for its rules. A hub's weights are here by
  then: tokens may take hours."""
  found = Found(given)
  for name, rule in rules:
    _, found[name] = rule(cfg, found)
  for name, _ in rules:
    if name in ('init', 'reference') and getattr(cfg, name) is not None:
      hub.resolve(getattr(cfg, name))
  return found


def _host_holds(found, rows, tokens):
  found.skip_elsewhere()
  refuse_too_large(rows, tokens)
  return f'holds {DEPTH + 1} batches of {rows:,} rows', None


def init_fits(cfg: Stage, found: Mapping[str, Any]) -> tuple[str, str | None]:
  return _start_fits(cfg, 'init', 'weights by chance')


def _start_fits(cfg, name, without):
  """(words, where its tokenizer is) of weights to start from, which are not read."""
  path = getattr(cfg, name)
  if path is None:
    return f'none: {without}', None
  cfg = dataclasses.replace(cfg, init=path)
  if not trained.is_workdir(path):
    try:
      place = str(hub.resolve(path, weights=False))
    except UserError as error:
      raise UserError(f'{name} is missing: {error}; name it, --config.{name}=DIR') from error
    there, whole = hub.examine(path)
    refuse_other_model(cfg, there)
    seen = 'every tensor is there' if whole else 'its weights come with the run'
    return f'{path} fits model; {seen}', place
  raw = trained.raw_of(path)
  trained.refuse_no_text(path, raw)
  refuse_other_model(cfg, trained.model_config(path, raw))
  step = saving.newest(path)
  if step is None:
    raise UserError(f'{path}: no checkpoint is there to start from; let that run save one')
  return f'{path} fits model; it holds step {step:,}', path


def refuse_other_model(cfg: Stage, there: Any) -> None:
  """`there` is the model config of cfg.init."""
  theirs, ours = (dataclasses.asdict(c) for c in (there, cfg.model))
  sizes = ('depth', 'width', 'heads', 'kv_heads', 'mlp', 'vocab', 'theta', 'eps', 'tied')
  own = tuple(name for name in ('window', 'factor', 'low', 'high', 'original') if name in ours)
  wrong = [
    f'{n}={ours[n]} (init has {theirs[n]})'
    for n in (*sizes, *own)
    if n in theirs and ours[n] != theirs[n]
  ]
  if type(there) is not type(cfg.model) or wrong:
    raise UserError(f'model does not fit init={cfg.init}: {", ".join(wrong) or "another family"}')


def tokenizer_fits(cfg: Stage, found: Mapping[str, Any]) -> tuple[str, Tokenizer]:
  """The tokenizer: the config's own, or that of where the run starts."""
  place = found['init'] if cfg.tokenizer is None else cfg.init
  tokenizer = trained.tokenizer_of(dict(tokenizer=cfg.tokenizer, init=place))
  if tokenizer.vocab > cfg.model.vocab:
    raise UserError(
      f'the tokenizer has {tokenizer.vocab} ids, model.vocab={cfg.model.vocab}: they do not fit; '
      "name the model's own tokenizer, or a model of at least as many"
    )
  known = found.get('resumes') or tokenizer.eos is None or tokenizer.eos in cfg.model.eos
  if not known:
    raise UserError(
      f'texts end with id {tokenizer.eos} in {tokenizer}, and model.eos={cfg.model.eos}: '
      'answers would never end; set model.eos'
    )
  return f'{tokenizer}; model.vocab {cfg.model.vocab:,}, EOS {tokenizer.eos}', tokenizer


def _text_fits(cfg, found):
  """Where all corpora are documents, no dialogue is written, and so no end token needed."""
  sources = [getattr(one, 'source', one) for one in cfg.train]
  documents = sources and all(getattr(one, 'kind', '') == 'document' for one in sources)
  return format_fits(cfg, found, ends=not documents)


def format_fits(cfg: Stage, found: Mapping[str, Any], ends: bool = True) -> tuple[str, None]:
  tokenizer, begins = found['tokenizer'], not found.get('resumes')
  form = dialogues.resolved(cfg.format, tokenizer)
  end = dialogues.end_of(form, tokenizer) if ends else None
  if end not in (None, *cfg.model.eos) and begins:
    raise UserError(
      f'format {form.name} closes answers with id {end}, and model.eos={cfg.model.eos}: answers '
      'would never end; set model.eos'
    )
  for field in ('user', 'answer'):
    if begins and '{' + field + '}' not in getattr(form, field, '{' + field + '}'):
      raise UserError(f'format.{field} has no {{{field}}}: the text of that turn would be lost')
  return f'{form.name}, {form.hash[:12]}; BOS {tokenizer.bos}, EOS {tokenizer.eos}', None


def _sinks_there(cfg, found):
  found.skip_elsewhere()
  refuse_missing(cfg.logging)
  return 'what it needs is installed', None


def rows_divide(found: Mapping[str, Any], name: str, rows: int, parts: int = 1) -> tuple[str, None]:
  """Rows of a step go evenly into microbatches, and each of these onto the ways of the mesh."""
  parts = 1 if found.get('resumes') else parts
  each = split(rows, found['mesh'], parts, name)
  return f'{name}={rows}: {parts} parts x {rows // parts // each} ways x {each} rows', None


def _weights_named(cfg, found):
  """The shapes of what found['build'] makes of a key and the run trains."""
  shapes = jax.eval_shape(found['build'], jax.random.key(0))
  refuse_unmatched(shapes, cfg.optim)
  return f'{len(jax.tree.leaves(shapes))} tensors, of which every pattern of optim is', shapes


def critic_reads(cfg: Any, found: Mapping[str, Any]) -> tuple[str, None]:
  if cfg.critic is None:
    return 'none: starts as the policy, with a fresh head (a reward model is a better start)', None
  judging.refuse_other_tokens(cfg.critic, cfg, found['tokenizer'])
  return f"{cfg.critic}, step {saving.newest(cfg.critic):,}, reads the policy's tokens", None


def judges_read(
  cfg: Answering, found: Mapping[str, Any], raised: tuple[Judge, ...]
) -> tuple[str, tuple[tuple[Judge, ...], tuple[Judge, ...]]]:
  """Rule 9: tokens pass through where both hashes agree; else text is read and written anew."""
  said, wrong, tokenizer = [], [], found['tokenizer']
  for judge in (*raised, *cfg.gold):
    try:
      how = _reading(judge, cfg, (tokenizer, dialogues.resolved(cfg.format, tokenizer)))
      said.append(f'{judge.name}, weight {judge.weight}: {how}')
    except UserError as error:
      wrong.append(str(error))
  if wrong:
    raise UserError('; '.join(wrong))
  return '; '.join(said), (raised, cfg.gold)


def _reading(judge, cfg, ours):
  """How a judge reads what the policy writes, in words."""
  if callable(judge.by):
    return 'reads text'
  theirs, mark = judging.text_of(judge, cfg, ours[0]), judging.fingerprint(judge)[:12]
  if judging.alike(theirs, ours):
    return f'{mark}, same tokenizer and template, tokens pass through'
  return f'{mark}, text is written anew in its template {theirs[1].name} by {theirs[0]}'


def _gold_differs(cfg, found):
  """Rule 26: what says where the proxy is exploited is not the proxy. The judges' fingerprints."""
  prints = judging.refuse_same_judge(*found['judges'])
  if not cfg.gold:
    return 'none: reports and warnings cannot say where the proxy is exploited', prints
  return f'{", ".join(judge.name for judge in cfg.gold)}: not the proxy', prints


def _ppo_evaluated(cfg, found):
  if cfg.ppo is None:
    return 'none: the report shows best-of-n alone', None
  overoptimisation.refuse_no_evaluations(cfg.ppo)
  return f'{cfg.ppo} has evaluations to stand beside', None


def _page_drawn(cfg, found):
  if not cfg.page:
    return 'none: bon.json has the numbers', None
  found.skip_elsewhere()
  kit.refuse_without_extra()
  return 'what draws it is installed', None


_START: tuple[Rule, ...] = ('init', init_fits), ('tokenizer', tokenizer_fits)
LEARNING: tuple[Rule, ...] = (  # of explain, sft, reward and dpo
  ('host', lambda cfg, found: _host_holds(found, cfg.batch, cfg.row_tokens)),
  *_START,
  ('format', _text_fits),
  ('logging', _sinks_there),
  ('batch', lambda cfg, found: rows_divide(found, 'batch', cfg.batch, cfg.microbatches)),
  ('weights', _weights_named),
)
_ANSWERING = ('host', lambda cfg, found: _host_holds(found, cfg.batch, cfg.length)), *_START
PPO: tuple[Rule, ...] = (
  *_ANSWERING,
  ('format', format_fits),
  ('reference', lambda cfg, found: _start_fits(cfg, 'reference', 'what init names')),
  ('logging', _sinks_there),
  ('batch', lambda cfg, found: rows_divide(found, 'minibatch', cfg.minibatch, cfg.microbatches)),
  ('critic', critic_reads),
  ('judges', lambda cfg, found: judges_read(cfg, found, cfg.judges)),
  ('gold', _gold_differs),
)
BON: tuple[Rule, ...] = (
  *_ANSWERING,
  ('format', format_fits),
  ('batch', lambda cfg, found: rows_divide(found, 'batch', cfg.batch)),
  ('judges', lambda cfg, found: judges_read(cfg, found, cfg.proxy)),
  ('gold', _gold_differs),
  ('ppo', _ppo_evaluated),
  ('page', _page_drawn),
)
