"""What refuses an evaluation: the run raises the first of it before a weight is read; its doctor
shows all of it."""

from collections.abc import Mapping, Sequence
from typing import Any

from jaxalign.config import UserError
from jaxalign.data import dialogues
from jaxalign.evals import store
from jaxalign.evals.ask_endpoint import Served
from jaxalign.evals.encoding import Encoding
from jaxalign.evals.item import REFERENCE, Item, Measure, Suite
from jaxalign.evals.suites.overrefusal import PARTIAL
from jaxalign.models import hub
from jaxalign.stages import asking, loading, opening_judges, reference, trained
from jaxalign.stages.refusals import Found, Rule
from jaxalign.train import saving

_WHOM = (
  '--config.model=WORKDIR, a Hugging Face directory or hub name, a .gguf, or http://HOST/v1#NAME'
)


def _model_there(cfg: Any, found: Found) -> tuple[str, Any]:
  """(words, the config of a model that is loaded here; None of an endpoint)."""
  endpoint = asking.endpoint_of(cfg.model)
  if endpoint is not None:
    return f'{endpoint.model} at {endpoint.url}', None
  if not isinstance(cfg.model, str):
    return 'weights by chance', cfg.model
  if not cfg.model:
    raise UserError(f'model is empty: say who is asked, {_WHOM}')
  place = hub.resolve(cfg.model, weights=False)
  if not trained.is_workdir(place):
    there, whole = hub.examine(cfg.model)
    seen = 'every tensor is there' if whole else 'its weights come with the run'
    return f'{cfg.model}: {seen}', there
  raw = trained.raw_of(place)
  trained.refuse_no_text(place, raw)
  step = saving.newest(place)
  if step is None:
    raise UserError(f'model={cfg.model}: no checkpoint is there; let that run save one')
  return f'{cfg.model}, step {step:,}', trained.model_config(place, raw)


def _text_fits(cfg: Any, found: Found) -> tuple[str, Encoding | None]:
  """(words, the text side of a model that is loaded here; None of an endpoint)."""
  there = found['model']
  if there is None:
    return "the endpoint's own", None
  if not isinstance(cfg.model, str):
    tokenizer = trained.tokenizer_of(dict(tokenizer=cfg.tokenizer))
  else:
    place = hub.resolve(cfg.model, weights=False)
    if trained.is_workdir(place):
      tokenizer = trained.tokenizer_of_run(place, trained.raw_of(place))
    else:
      given = loading.tokenizer_of(place, there.vocab)
      if given is None:
        raise UserError(f'model={cfg.model} has no tokenizer beside it, so that nobody can ask it')
      tokenizer = given
  if tokenizer.vocab > there.vocab:
    raise UserError(
      f'the tokenizer has {tokenizer.vocab} ids, the model {there.vocab}: name its own tokenizer'
    )
  form = asking.form_of(cfg, tokenizer)
  if form is not None:
    dialogues.refuse_no_ends(form, tokenizer)
  name = 'no chat format' if form is None else form.name
  return f'{tokenizer}; {name}; BOS {tokenizer.bos}, EOS {tokenizer.eos}', Encoding(tokenizer, form)


def _data_there(cfg: Any, found: Found) -> tuple[str, list[Sequence[Item]]]:
  """(words, the items of each suite)."""
  every, said = [], []
  for suite in cfg.suites:
    items = suite.items()
    store.refuse_same_items(suite.name, items)
    _refuse_unaskable(cfg, suite, items, found)
    every.append(items)
    said.append(f'{suite.name} {len(items):,}')
  return 'items: ' + ', '.join(said), every


def _refuse_unaskable(cfg: Any, suite: Suite, items: Sequence[Item], found: Found) -> None:
  """What a look at the items tells before any weight is read."""
  endpoint = asking.endpoint_of(cfg.model)
  if endpoint is not None:
    return Served(endpoint, prefill=cfg.prefill).refuse(suite.name, items, suite.decode)
  encoding = found['text']
  if encoding.form is None and any(item.turns for item in items):
    raise UserError(
      f'{suite.name} asks dialogues, and {cfg.model or "the model"} has no chat template: name a '
      f'format, --config.format=NAME ({", ".join(loading.FORMATS)})'
    )


def _judged(cfg: Any, found: Mapping[str, Any]) -> tuple[str, None]:
  """Each suite that needs a judge has one, and each judge a suite and what it works with."""
  said = []
  for suite in cfg.suites:
    if suite.needs and not any(judge.kind in suite.needs for judge in cfg.judges):
      raise UserError(
        f'{suite.name} needs a judge of kind {" or ".join(suite.needs)}: name one in judges'
      )
  for judge in cfg.judges:
    served = [suite.name for suite in cfg.suites if judge.kind in suite.needs]
    if not served:
      raise UserError(
        f'judge {judge.name} is of kind {judge.kind}, which no suite here needs: leave it out'
      )
    if judge.name not in found.get('needless', ()):  # all its verdicts are there
      opening_judges.refuse(judge, opening_judges.trained_by(cfg.model))
    said.append(f'{judge.name} ({judge.kind}): {", ".join(served)}')
  return '; '.join(said) or 'none is needed', None


def _declared(cfg: Any, found: Mapping[str, Any]) -> tuple[str, None]:
  """What claims will be made of is measured."""
  known = {measure.name: measure for suite in cfg.suites for measure in suite.measures()}
  named = [*cfg.primaries, *(margin.measure for margin in cfg.margins)]
  for name in named:
    if name in found.get('measured', ()):  # by an earlier judge of stored answers
      continue
    if name not in known:
      raise UserError(f'primaries or margins name {name}, and measured are {", ".join(known)}')
    _refuse_without_judge(cfg, known[name])
  return ', '.join(named) or 'none: no claim will be made', None


def _refuse_without_judge(cfg: Any, measure: Measure) -> None:
  """A measure that no judge of the config can give is no primary of it."""
  if not measure.kinds:
    return
  able = {judge.kind for judge in cfg.judges if _can_say(judge, measure.label)}
  able |= {REFERENCE} if cfg.reference else set()
  if any(able.issuperset(kind.split('+')) for kind in measure.kinds):
    return
  wanted = ' or '.join(kind.replace('+', ' and ') for kind in measure.kinds)
  if measure.kinds == (REFERENCE,):
    raise UserError(
      f'primaries or margins name {measure.name}, which is measured against a reference: name the '
      'workdir of its evaluation, --config.reference=RUN, or leave the measure out'
    )
  label = f' that says {measure.label!r}' if measure.label else ''
  has = ', '.join(f'{judge.name} ({judge.kind})' for judge in cfg.judges) or 'none'
  raise UserError(
    f'primaries or margins name {measure.name}, which takes a judge of kind {wanted}{label}, and '
    f'judges are {has}: name one, or leave the measure out'
  )


def _can_say(judge: Any, label: str) -> bool:
  """Of some kinds not every judge can give every label; who says nothing can give all."""
  given = getattr(judge, 'labels', ())
  return not label or label in given or (not given and label != PARTIAL)


def _reference(cfg: Any, found: Mapping[str, Any]) -> tuple[str, None]:
  if cfg.reference is None:
    return 'none: no implicit rewards', None
  reference.refuse_lacking(cfg.reference, cfg.suites)
  return f'{cfg.reference}', None


JUDGING: tuple[Rule, ...] = (
  ('judges', _judged),
  ('reference run', _reference),
  ('primaries', _declared),
)
ASKED: tuple[Rule, ...] = (('data', _data_there), *JUDGING)  # given the text side of a model
EVALUATE: tuple[Rule, ...] = (('model', _model_there), ('text', _text_fits), *ASKED)
