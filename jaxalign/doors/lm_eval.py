"""jaxalign lm-eval MODEL --tasks=NAME,... [any flag of lm-eval's own]
jaxalign lm-eval --write_tasks=DIR [--truthfulqa=TruthfulQA.csv]

lm-evaluation-harness asks a model of ours. MODEL is a workdir, a Hugging Face directory or hub
name, a .gguf or a .bin; --format=NAME is its chat format. The second form writes tasks that need no
download, to be read by --include_path=DIR. From Python: simple_evaluate(model=JaxalignLM('MODEL')).
"""

import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from jaxalign.config import UserError
from jaxalign.data import cutting, dialogues
from jaxalign.doors import lm_eval_tasks
from jaxalign.doors.opening import Opened, opened, refuse_pods, turns_of
from jaxalign.rl.answers import answers
from jaxalign.rl.score import score
from jaxalign.rl.stream import Request

try:
  from lm_eval import utils
  from lm_eval.api.model import TemplateLM
  from lm_eval.api.registry import register_model
except ImportError as error:
  raise UserError(f"lm-eval needs: pip install 'jaxalign[lm-eval]' ({error})") from error

_OWN = 'run', 'ls', 'validate'  # words of lm-eval's own command
_LENGTHS = 'max_gen_toks', 'max_new_tokens', 'max_tokens', 'max_completion_tokens'
_IDLE: Mapping[str, Any] = dict(num_beams=1, repetition_penalty=1.0)  # what changes nothing


def run(argv: Sequence[str]) -> int:
  """The command; argv[0] is `lm-eval`. What is not ours goes to lm-eval's own command."""
  from lm_eval.__main__ import cli_evaluate

  refuse_pods(argv)
  words = [word for word in argv[1:] if word != '--debug']
  ours = {name: _taken(words, name) for name in ('write_tasks', 'truthfulqa', 'format')}
  if ours['write_tasks']:
    names = lm_eval_tasks.write(ours['write_tasks'], ours['truthfulqa'])
    print(f'{", ".join(names)} in {ours["write_tasks"]}')
    return 0
  if words and not words[0].startswith('-') and words[0] not in _OWN:
    name, *words = words
    if any(word.split('=')[0] in ('--model', '--model_args', '-m', '-a') for word in words):
      raise UserError('lm-eval MODEL says which model: leave --model and --model_args out')
    given = dict(pretrained=name) | (dict(format=ours['format']) if ours['format'] else {})
    words += ['--model', 'jaxalign', '--model_args', json.dumps(given)]
  sys.argv = ['lm-eval', *words]
  cli_evaluate()
  return 0


def _taken(words: list[str], name: str) -> str | None:
  """The value of --name=VALUE, taken out of a command line."""
  found = [word for word in words if word.startswith(f'--{name}=')]
  words[:] = [word for word in words if word not in found]
  return found[-1].split('=', 1)[1] if found else None


@register_model('jaxalign')
class JaxalignLM(TemplateLM):
  """A model of ours, as lm-evaluation-harness asks it.

  A dialogue is written by the model's chat format, here and not by the harness: what stands in a
  message never becomes a control token. The text that the harness sees is looked up again.
  """

  def __init__(
    self,
    pretrained: str | Opened,
    *,
    format: str | None = None,
    dtype: str | None = None,
    batch_size: int | str = 16,
    max_gen_toks: int = 256,
    max_batch_size: int | None = None,
    device: str | None = None,
    **strange: Any,
  ):
    """pretrained: MODEL, or what doors.opening.opened made of it. batch_size: rows at once; 'auto'
    is 16. max_batch_size and device are the harness's, and decide nothing here."""
    super().__init__()
    if strange:
      raise UserError(f'model_args: {", ".join(strange)} is not known: pretrained, format, dtype')
    if isinstance(pretrained, str):
      pretrained = opened(pretrained, dtype=dtype, form=format)
    self._guest, self._most = pretrained, int(max_gen_toks)
    self._rows = 16 if str(batch_size).startswith('auto') else int(batch_size)
    self._dialogues: dict[str, list[int]] = {}  # what was written of a dialogue, and its ids

  @property
  def batch_size(self) -> int:
    """How many rows are asked at once."""
    return self._rows

  @property
  def max_length(self) -> int:
    """Positions that the model was trained on."""
    return self._guest.model.cfg.length

  @property
  def eot_token_id(self) -> int:
    """The token that ends a text."""
    if self._guest.tokenizer.eos is None:
      raise UserError(f'{self._guest.name}: its tokenizer has no end token, which lm-eval needs')
    return self._guest.tokenizer.eos

  @property
  def prefix_token_id(self) -> int:
    """The token that stands before a text without a context."""
    bos = self._guest.tokenizer.bos
    return self.eot_token_id if bos is None else bos

  @property
  def tokenizer_name(self) -> str:
    """What tells the tokenizer and the chat format from others, for the harness's caches."""
    form = self._guest.form.hash[:12] if self._guest.form else 'none'
    return f'jaxalign-{self._guest.tokenizer.hash[:12]}-{form}'

  def chat_template(self, chat_template: bool | str = False) -> str | None:
    """The name and hash of the chat format, where one is asked for."""
    if not chat_template:
      return None
    form = self._form()
    return f'{form.name} {form.hash}'

  def apply_chat_template(
    self, chat_history: list[dict[str, str]], add_generation_prompt: bool = True
  ) -> str:
    """The text of a dialogue; its ids are kept, for tok_encode."""
    turns, begun = turns_of(chat_history), ''
    if not add_generation_prompt and turns[-1].role == 'assistant':
      turns, begun = turns[:-1], turns[-1].text
    tokenizer = self._guest.tokenizer
    spans = dialogues.dialogue(self._form(), tokenizer, turns)
    text = ''.join(self._shown(span) for span in spans) + begun
    ids = cutting.encode_spans(tokenizer, [spans])[0].tokens.tolist()
    ids += self._continued(begun) if begun else []
    if self._dialogues.setdefault(text, ids) != ids:
      raise UserError('two dialogues are written alike, for one holds the text of control tokens')
    return text

  def tok_encode(
    self, string: str, add_special_tokens: bool | None = None, **ignored: Any
  ) -> list[int]:
    """Ids of a text, in which nothing is a control token; of a dialogue that was written here, the
    ids that it has."""
    known = self._dialogues.get(string)
    if known is not None:
      return list(known)
    return self._guest.tokenizer.encode(string, bos=None if add_special_tokens is None else False)

  def _encode_pair(self, context: str, continuation: str) -> tuple[list[int], list[int]]:
    known = self._dialogues.get(context)
    if known is None:
      return super()._encode_pair(context, continuation)
    said = self._continued(continuation)
    cut = len(known)  # as the harness does it, white space that ends a context is not given
    while cut > 1 and self._guest.tokenizer.decode(known[cut - 1 : cut], False).isspace():
      cut -= 1
    return known[:cut], known[cut:] + said

  def _loglikelihood_tokens(
    self, requests: Sequence[tuple[Any, list[int], list[int]]], **ignored: Any
  ) -> list[tuple[float, bool]]:
    pairs = []
    for _, context, said in requests:
      kept = max(self.max_length + 1 - len(said), 1)
      pairs.append((context[-kept:], said))
    found = []
    for (texts, _, _), one in zip(requests, score(self._guest.model, pairs, rows=self._rows)):
      if one.error:
        raise UserError(f'{str(texts)[:80]!r}: {one.error}')
      found.append((one.logprob, one.greedy))
      if texts is not None:
        self.cache_hook.add_partial('loglikelihood', texts, found[-1])
    return found

  def loglikelihood_rolling(
    self, requests: Sequence[Any], disable_tqdm: bool = False
  ) -> list[float]:
    """The log-likelihood of each whole text, in windows where it is long."""
    windows: list[tuple[int, tuple[None, list[int], list[int]]]] = []
    for n, request in enumerate(requests):
      (text,) = request.args
      rolled = utils.get_rolling_token_windows(
        token_list=self.tok_encode(text),
        prefix_token=self.prefix_token_id,
        max_seq_len=self.max_length,
        context_len=1,
      )
      windows += [(n, (None, *utils.make_disjoint_window(window))) for window in rolled]
    sums = [0.0] * len(requests)
    for (n, _), (logprob, _) in zip(windows, self._loglikelihood_tokens([w for _, w in windows])):
      sums[n] += logprob
    for request, total in zip(requests, sums):
      self.cache_hook.add_partial('loglikelihood_rolling', request.args, total)
    return sums

  def generate_until(self, requests: Sequence[Any], disable_tqdm: bool = False) -> list[str]:
    """The answer to each context, up to one of its stop texts."""
    said: list[str] = [''] * len(requests)
    alike: dict[str, list[int]] = {}
    for n, request in enumerate(requests):
      alike.setdefault(json.dumps(request.args[1], sort_keys=True, default=str), []).append(n)
    for at in alike.values():
      how, stops = self._how(requests[at[0]].args[1])
      room = self.max_length - how['length']
      if room < 1:
        raise UserError(
          f'max_gen_toks={how["length"]} leave no room for a prompt in {self.max_length} positions'
        )
      drawn: dict[tuple[int, ...], int] = {}
      asked = []
      for n in at:
        prompt = tuple(self.tok_encode(requests[n].args[0]) or [self.prefix_token_id])[-room:]
        drawn[prompt] = drawn.get(prompt, -1) + 1
        asked.append(Request(prompt=prompt, draw=drawn[prompt], **how))
      for place, answer in answers(self._guest.model, asked, rows=self._rows, stops=stops):
        n = at[place]
        if answer.error:
          raise UserError(f'{requests[n].args[0][:80]!r}: {answer.error}')
        said[n] = answer.text or ''
        self.cache_hook.add_partial('generate_until', requests[n].args, said[n])
    return said

  def _how(self, asked: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """(how to sample, stop texts) of the harness's generation_kwargs."""
    given = dict(asked)
    until = given.pop('until', None) or []
    lengths = [given.pop(name, None) for name in _LENGTHS]
    length = next((int(n) for n in lengths if n is not None), self._most)
    drawn = given.pop('do_sample', None)
    heat = given.pop('temperature', None)
    temperature = float((1.0 if drawn else 0.0) if heat is None else heat)
    top_k, top_p = given.pop('top_k', None), given.pop('top_p', None)
    seed = int(given.pop('seed', None) or 0)
    strange = [name for name, value in given.items() if _IDLE.get(name, object()) != value]
    if strange:
      raise UserError(f'generation_kwargs: {", ".join(strange)} cannot be had here: leave it out')
    how = dict(length=length, temperature=0.0 if drawn is False else temperature, seed=seed)
    how |= dict[str, Any](top_k=top_k or None, top_p=top_p)
    return how, [until] if isinstance(until, str) else list(until)

  def _form(self) -> dialogues.Format:
    if self._guest.form is None:
      raise UserError(f'{self._guest.name} has no chat template: add format=chatml or the like')
    return self._guest.form

  def _continued(self, text: str) -> list[int]:
    """Ids of a text that goes on after a dialogue's opening."""
    span = cutting.Span(text, False, (), (), False)
    return cutting.encode_spans(self._guest.tokenizer, [[span]])[0].tokens.tolist()

  def _shown(self, span: cutting.Span) -> str:
    def names(ids: Sequence[int]) -> str:
      return self._guest.tokenizer.decode(ids, skip_special=False)

    return names(span.before) + span.text + names(span.after)
