"""A model provider of inspect_ai: inspect eval task.py --model jaxalign/MODEL

MODEL is a workdir, a Hugging Face directory or hub name, a .gguf or a .bin. Samples that inspect
asks at the same time are answered in one running batch. inspect finds this file by the entry point
in pyproject.toml.
"""

import asyncio
import collections
from collections.abc import Sequence
from typing import Any

from jaxalign.config import UserError
from jaxalign.doors.engine import Engine, Job, sizes
from jaxalign.doors.opening import opened, turns_of
from jaxalign.rl.answers import Answer
from jaxalign.rl.stream import Request

try:
  from inspect_ai.model import (
    ChatCompletionChoice,
    ChatMessage,
    ChatMessageAssistant,
    GenerateConfig,
    ModelAPI,
    ModelOutput,
    ModelUsage,
    StopReason,
    modelapi,
  )
  from inspect_ai.tool import ToolChoice, ToolInfo
except ImportError as error:
  raise UserError(f"inspect needs: pip install 'jaxalign[inspect]' ({error})") from error

_LENGTH = 512  # tokens of an answer, where inspect asks for no number
_WHY: dict[str, StopReason] = dict(end='stop', stop='stop', length='max_tokens')
_WITHOUT = 'frequency_penalty', 'presence_penalty', 'logit_bias', 'logprobs', 'best_of', 'effort'


@modelapi(name='jaxalign')
class _JaxalignAPI(ModelAPI):
  """A model of ours, as inspect_ai asks it; -M takes format, dtype, rows and tokens."""

  def __init__(
    self,
    model_name: str,
    base_url: str | None = None,
    api_key: str | None = None,
    config: GenerateConfig = GenerateConfig(),  # noqa: B008
    *,
    format: str | None = None,
    dtype: str | None = None,
    rows: int = 16,
    tokens: int | None = None,
    **strange: Any,
  ):
    super().__init__(model_name, base_url, api_key, [], config)
    if strange:
      raise UserError(f'-M {", ".join(strange)}: only format, dtype, rows and tokens are known')
    if base_url:
      raise UserError('jaxalign/MODEL is read here: an endpoint is openai-api/..., without us')
    guest = opened(model_name, dtype=dtype, form=format)
    self._rows, self._guest = int(rows), guest
    limit = sizes(guest, None if tokens is None else int(tokens))
    self._engine = Engine(guest, rows=self._rows, limit=limit, waiting=1_000_000)
    self._drawn = collections.Counter[tuple[int, ...]]()  # answers asked of each prompt so far

  def max_connections(self) -> int:
    """Twice the rows, so that none is idle while inspect scores an answer."""
    return 2 * self._rows

  def max_tokens(self) -> int | None:
    """Tokens of an answer, where inspect asks for no number."""
    return min(_LENGTH, self._engine.limit // 2)

  async def generate(
    self,
    input: list[ChatMessage],
    tools: list[ToolInfo],
    tool_choice: ToolChoice,
    config: GenerateConfig,
  ) -> ModelOutput:
    """The answers to a dialogue: greedy, unless a temperature is set."""
    if tools:
      raise UserError('this model calls no tools: take a task without them')
    for name in _WITHOUT:
      if getattr(config, name, None):
        raise UserError(f'{name} cannot be had here: leave it out of the task or the command')
    messages = [dict(role=message.role, content=message.text) for message in input]
    prompt = self._guest.ids(turns_of(messages))
    count, begun = config.num_choices or 1, self._drawn[prompt]
    self._drawn[prompt] += count  # another epoch of a sample is another draw
    asked = [self._request(prompt, config, begun + n) for n in range(count)]
    for request in asked[:1]:
      if why := self._engine.refuse(request):
        return ModelOutput.from_content(self.model_name, '', stop_reason='model_length', error=why)
    said = await asyncio.gather(*[self._answered(one, config.stop_seqs or ()) for one in asked])
    for answer in said:
      if answer.error:
        raise RuntimeError(answer.error)
    return self._output(len(prompt), said)

  def _request(self, prompt: tuple[int, ...], config: GenerateConfig, draw: int) -> Request:
    return Request(
      prompt=prompt,
      length=config.max_tokens or self.max_tokens() or 1,
      temperature=config.temperature or 0.0,
      top_k=config.top_k or None,
      top_p=config.top_p,
      seed=config.seed or 0,
      draw=draw,
    )

  async def _answered(self, request: Request, stops: Sequence[str]) -> Answer:
    loop = asyncio.get_running_loop()
    future: asyncio.Future[Answer] = loop.create_future()

    def tell(text: str, answer: Answer | None) -> None:
      if answer is not None:
        loop.call_soon_threadsafe(_settle, future, answer)

    job = Job(request, list(stops), tell)
    self._engine.ask([job])
    try:
      return await future
    finally:
      job.gone = True  # of a sample that was cancelled, the row is free again

  def _output(self, prompt: int, said: Sequence[Answer]) -> ModelOutput:
    choices = [
      ChatCompletionChoice(
        message=ChatMessageAssistant(
          content=answer.text or '', model=self.model_name, source='generate'
        ),
        stop_reason=_WHY[answer.why],
      )
      for answer in said
    ]
    written = sum(len(answer.tokens) for answer in said)
    usage = ModelUsage(input_tokens=prompt, output_tokens=written, total_tokens=prompt + written)
    return ModelOutput(model=self.model_name, choices=choices, usage=usage)

  async def count_text_tokens(self, text: str) -> int:
    """How many tokens of this model a text has."""
    return len(self._guest.tokenizer.encode(text, bos=False))

  async def aclose(self) -> None:
    """Ends the batch."""
    await asyncio.to_thread(self._engine.drain, 5.0)


def _settle(future: 'asyncio.Future[Answer]', answer: Answer) -> None:
  if not future.done():  # else whoever asked has left
    future.set_result(answer)
