"""Chat formats, as data: how families of models were taught to read a dialogue.

A format is frozen with the model that learned it. Control tokens come from the format alone: what a
user types stays text. `dialogues` writes in a format, and reads back out of it.
"""

import dataclasses
import functools
import hashlib
import json

from jaxalign.sealing import YOUNG, tree


@dataclasses.dataclass(frozen=True, kw_only=True)
class ChatFormat:
  """{system}, {user} and {answer} stand for text; `end` closes every answer."""

  name: str
  user: str  # an exchange up to where the assistant begins
  system: str  # the same for the first exchange, if there is a system turn
  answer: str
  later: str = ''  # stands before `user` in the second exchange and after it
  bos: bool = False  # before every exchange; otherwise before the first, if the model has a habit
  strip: bool = False  # white space around texts is not part of them
  # Before `user` in the first exchange without a system turn.
  preface: str = dataclasses.field(default='', metadata=YOUNG)
  # Control tokens that its own words name.
  controls: tuple[str, ...] = dataclasses.field(default=(), metadata=YOUNG)
  # Of these the one that closes an answer; '': EOS.
  end: str = dataclasses.field(default='', metadata=YOUNG)
  # Follows the end of an answer, and is not learned.
  after: str = dataclasses.field(default='', metadata=YOUNG)

  @functools.cached_property
  def hash(self) -> str:
    """sha256 of all that decides the ids; a new name is no change."""
    fields = {k: v for k, v in tree(self).items() if k not in ('class', 'name')}
    return hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()


@dataclasses.dataclass(frozen=True, kw_only=True)
class Own:
  """The chat template that came with the tokenizer of a run: `dialogues.resolved` makes it one."""

  @property
  def name(self) -> str:
    return 'own'


OWN = Own()
# As Llama-2-chat was trained: every exchange is a document, and a space follows the answer.
LLAMA2_CHAT = ChatFormat(
  name='llama2_chat',
  user='[INST] {user} [/INST]',
  system='[INST] <<SYS>>\n{system}\n<</SYS>>\n\n{user} [/INST]',
  answer=' {answer} ',
  bos=True,
  strip=True,
)
# Phi-2's card gives one exchange; later ones begin on a new line.
PHI2_INSTRUCT = ChatFormat(
  name='phi2_instruct',
  user='Instruct: {user}\nOutput:',
  system='{system}\nInstruct: {user}\nOutput:',
  answer=' {answer}',
  later='\n',
)
# HH-RLHF's transcripts, for base models, which know no format.
TRANSCRIPT = ChatFormat(
  name='transcript',
  user='\n\nHuman: {user}\n\nAssistant:',
  system='{system}\n\nHuman: {user}\n\nAssistant:',
  answer=' {answer}',
)
_CHATML = ('<|im_start|>', '<|im_end|>')
_CHATML_USER = '<|im_start|>user\n{user}<|im_end|>\n<|im_start|>assistant\n'
CHATML = ChatFormat(
  name='chatml',
  user=_CHATML_USER,
  system='<|im_start|>system\n{system}<|im_end|>\n' + _CHATML_USER,
  answer='{answer}',
  controls=_CHATML,
  end='<|im_end|>',
  after='\n',
)
# Qwen2.5 is told who it is if nobody says so.
QWEN = dataclasses.replace(
  CHATML,
  name='qwen',
  preface='<|im_start|>system\nYou are Qwen, created by Alibaba Cloud. '
  'You are a helpful assistant.<|im_end|>\n',
)
_LLAMA3_USER = (
  '<|start_header_id|>user<|end_header_id|>\n\n{user}<|eot_id|>'
  '<|start_header_id|>assistant<|end_header_id|>\n\n'
)
_LLAMA3_SYSTEM = '<|start_header_id|>system<|end_header_id|>\n\n{system}<|eot_id|>'
LLAMA3 = ChatFormat(
  name='llama3',
  preface='<|begin_of_text|>',
  user=_LLAMA3_USER,
  system='<|begin_of_text|>' + _LLAMA3_SYSTEM + _LLAMA3_USER,
  answer='{answer}',
  controls=('<|begin_of_text|>', '<|start_header_id|>', '<|end_header_id|>', '<|eot_id|>'),
  end='<|eot_id|>',
  strip=True,
)
ZEPHYR = ChatFormat(
  name='zephyr',
  user='<|user|>\n{user}</s>\n<|assistant|>\n',
  system='<|system|>\n{system}</s>\n<|user|>\n{user}</s>\n<|assistant|>\n',
  answer='{answer}',
  controls=('</s>',),
  end='</s>',
  after='\n',
)
