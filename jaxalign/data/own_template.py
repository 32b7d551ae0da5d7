"""A checkpoint's own chat template, rendered by transformers in its sandbox.

What is said is marked before it is rendered, so that the template's words and what stands in them
are told apart: control tokens are read out of the first alone. A template that does more to a text
than to strip it, and one whose words before an answer depend on the answer, is refused by name.
"""

import bisect
import dataclasses
import functools
import hashlib
import os
import re
from collections.abc import Iterable, Sequence

from jaxalign.config import UserError
from jaxalign.data.records import Piece, Turn

_OPEN, _CLOSE = '\ue0f0', '\ue0f1'  # private to whoever uses them
_GENERATION = re.compile(r'\{%-?\s*generation\s*-?%\}')
_DATE = '26 Jul 2024'  # what Llama-3.1's own says where no clock is


@dataclasses.dataclass(frozen=True, kw_only=True)
class OwnTemplate:
  """The Jinja text of a chat template; `bos` and `eos` are the tokens that it may name so."""

  source: str
  bos: str | None = None
  eos: str | None = None
  name: str = 'own'

  @functools.cached_property
  def hash(self) -> str:
    """sha256 of all that decides what is written."""
    return hashlib.sha256(repr((self.source, self.bos, self.eos)).encode()).hexdigest()

  def pieces(self, turns: Sequence[Turn]) -> list[Piece]:
    """What the template writes of these turns, and what of it is learned: a prompt, up to where the
    assistant begins, if they end with the user's."""
    ask = turns[-1].role != 'assistant'
    whole, said = self._marked(turns, ask)
    answers = [n for n, turn in enumerate(turns) if turn.role == 'assistant']
    starts = [self._start(turns[:n], whole, n) for n in answers]
    learned = [] if ask else self._learned(turns, whole, starts, answers)
    edges = {0, len(whole), *starts}
    edges.update(edge for stretch in (*said, *learned) for edge in stretch)
    cuts = sorted(edges)
    return [
      Piece(whole[a:b], _within(said, a), _within(learned, a), a in starts)
      for a, b in zip(cuts, cuts[1:])
    ]

  def _marked(self, turns: Sequence[Turn], ask: bool) -> tuple[str, list[tuple[int, int]]]:
    """(what the template writes, where in it the texts of the turns lie)."""
    for n, turn in enumerate(turns):
      if _OPEN in turn.text or _CLOSE in turn.text:
        raise UserError(f'turn {n + 1} holds U+E0F0 or U+E0F1, by which texts are marked: drop it')
    plain, _ = self._render(turns, ask)
    marked, _ = self._render([Turn(turn.role, _mark(turn.text)) for turn in turns], ask)
    parts = re.split(f'{_OPEN}(.*?){_CLOSE}', marked, flags=re.DOTALL)
    roles = ', '.join(turn.role for turn in turns)
    if len(parts) // 2 != len(turns):
      raise UserError(
        f'the chat template of this model leaves out or repeats one of these turns ({roles}): drop '
        'it, or take a format of ours, as chat.CHATML'
      )
    if ''.join(parts) != plain or parts[1::2] != [turn.text.strip() for turn in turns]:
      raise UserError(
        f'the chat template of this model changes or moves what is said ({roles}), so that it '
        'cannot be told from control tokens: take a format of ours, as chat.CHATML'
      )
    ends = [0]
    for part in parts:
      ends.append(ends[-1] + len(part))
    return plain, [(ends[n], ends[n + 1]) for n in range(1, len(parts), 2)]

  def _start(self, before: Sequence[Turn], whole: str, n: int) -> int:
    """Where answer n begins: what asks for it is how all of it begins."""
    asked, _ = self._render(before, True)
    if not whole.startswith(asked):
      raise UserError(
        f'turn {n + 1}: with this answer the chat template writes other words before it than when '
        'it asks for it: what would be learned is not what is asked; take a format of ours'
      )
    return len(asked)

  def _learned(
    self, turns: Sequence[Turn], whole: str, starts: list[int], answers: list[int]
  ) -> list[tuple[int, int]]:
    """Stretches to learn: as the template marks them, else each answer up to its turn's end."""
    if _GENERATION.search(self.source):
      rendered, marks = self._render(turns, False)
      if rendered != whole or len(marks) != len(answers):
        raise UserError('the chat template marks other stretches than the answers as generated')
      return [(max(a, start), b) for (a, b), start in zip(marks, starts)]
    stretches = []
    for n, start in zip(answers, starts):
      ended, _ = self._render(turns[: n + 1], False)
      if not whole.startswith(ended):
        raise UserError(
          f'turn {n + 1}: the chat template writes this answer otherwise when more is said after '
          'it: train on one exchange a conversation, or take a format of ours'
        )
      stretches.append((start, start + len(ended[start:].rstrip())))  # space after the end is none
    return stretches

  def _render(self, turns: Iterable[Turn], ask: bool) -> tuple[str, list[tuple[int, int]]]:
    """(text, stretches that the template marks as generated)."""
    os.environ.setdefault('TRANSFORMERS_NO_ADVISORY_WARNINGS', '1')  # that PyTorch is not there
    try:
      from transformers.utils.chat_template_utils import render_jinja_template
    except ImportError as error:
      raise UserError(f'a chat template is rendered by transformers: {error}') from error
    if 'strftime_now' in self.source and 'date_string' not in self.source:
      raise UserError('the chat template writes the date of today, by which no two runs are equal')
    names = dict(bos_token=self.bos, eos_token=self.eos, date_string=_DATE)
    marks = bool(_GENERATION.search(self.source)) and not ask
    try:
      texts, stretches = render_jinja_template(
        [[dict(role=turn.role, content=turn.text) for turn in turns]],
        chat_template=self.source,
        add_generation_prompt=ask,
        return_assistant_tokens_mask=marks,
        **{name: value for name, value in names.items() if value is not None},
      )
    except Exception as error:  # of Jinja, of the sandbox, or what the template itself raises
      why = ' '.join(f'{type(error).__name__}: {error}'.split())[:200]
      raise UserError(f'the chat template of this model cannot write these turns: {why}') from error
    return texts[0], [(int(a), int(b)) for a, b in stretches[0]] if marks else []


def _mark(text: str) -> str:
  """The text between marks, but for the space around it, which templates strip."""
  core = text.strip()
  before, _, after = text.partition(core) if core else ('', '', text)
  return f'{before}{_OPEN}{core}{_CLOSE}{after}'


def _within(stretches: Sequence[tuple[int, int]], at: int) -> bool:
  n = bisect.bisect_right([start for start, _ in stretches], at) - 1
  return n >= 0 and at < stretches[n][1]
