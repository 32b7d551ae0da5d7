"""What --doctor looks at where a model is asked while it trains."""

from typing import Any

from jaxalign.data import dialogues
from jaxalign.data.text import Tokenizer
from jaxalign.evals.encoding import Encoding
from jaxalign.stages import watching
from jaxalign.stages.doctors import doctor, evaluate_doctor


def watched(visit: doctor.Visit, cfg: Any, tokenizer: Tokenizer) -> None:
  """Looks at what is asked meanwhile, if anything is: its data, its prompts, and how many."""
  if cfg.watch is not None:
    visit.check('watch', _asked, cfg, tokenizer)


def _asked(cfg: Any, tokenizer: Tokenizer) -> str:
  items = [items for _, items in watching.Watched(cfg.watch).every]
  form = dialogues.resolved(cfg.format, tokenizer)
  dialogues.refuse_no_ends(form, tokenizer)
  words, load = evaluate_doctor.prompts(cfg.watch, cfg.model, Encoding(tokenizer, form), items)
  times = 1 + cfg.steps // cfg.eval_every
  return (
    f'{words}; {load.answers:,} answers, {load.read + load.written:,} tokens at most, asked '
    f'{times:,} times'
  )
