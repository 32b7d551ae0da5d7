"""jaxalign chat: history is kept, an answer can be stopped, commands say what they did."""

import json
import subprocess
import sys

import pytest

from jaxalign.config import UserError
from jaxalign.data.records import Turn
from jaxalign.doors import chat
from jaxalign.doors.opening import opened


@pytest.fixture(scope='module')
def guest(directory):
  return opened(str(directory))


def conversation(guest, **changes):
  how = dict(system=None, length=10, temperature=0.0, top_k=None, top_p=None, seed=0)
  return chat.Conversation(guest, **how | changes)


def typed(talk, *lines):
  """What is shown for these lines."""
  waiting, shown = [*lines, None], []
  assert chat.converse(talk, lambda: waiting.pop(0), shown.append) == 0
  return ''.join(shown)


def test_the_history_is_the_prompt_of_the_next_answer(guest):
  talk = conversation(guest, system='be short')
  shown = typed(talk, 'hello', 'again')
  roles = [turn.role for turn in talk.turns]
  assert roles == ['system', 'user', 'assistant', 'user', 'assistant']
  assert shown == f'{talk.turns[2].text}\n{talk.turns[4].text}\n'
  alone = conversation(guest, system='be short')
  typed(alone, 'again')
  assert len(guest.ids(talk.turns[:4])) > len(guest.ids(alone.turns[:2]))


def test_commands(guest, tmp_path):
  talk = conversation(guest, temperature=1.0)
  shown = typed(talk, '/retry', '/nope', '', 'hello', '/save ' + str(tmp_path / 'talk.jsonl'))
  assert 'error: nothing was said yet' in shown and 'error: /nope: there is /retry, /reset' in shown
  saved = json.loads((tmp_path / 'talk.jsonl').read_text())['messages']
  assert [turn['role'] for turn in saved] == ['user', 'assistant']
  first = talk.turns[-1].text
  typed(talk, '/retry')
  assert talk.turns[-1].text != first and len(talk.turns) == 2
  assert 'forgotten' in typed(talk, '/reset') and talk.turns == []
  typed(talk, '/system stay calm')
  assert talk.turns == [Turn('system', 'stay calm')]
  assert '/retry' in typed(talk, '/help') and 'error: /save FILE' in typed(talk, '/save')


def test_ctrl_c_stops_an_answer_and_not_the_program(guest):
  talk, pieces = conversation(guest, length=200), []

  def show(text):
    pieces.append(text)
    if len(pieces) == 2:
      raise KeyboardInterrupt

  lines = ['hello', 'again', None]
  chat.converse(talk, lambda: lines.pop(0), show)
  assert ' [stopped]' in pieces and [turn.role for turn in talk.turns[:3]] == [
    'user', 'assistant', 'user',
  ]  # fmt: skip
  assert talk.turns[1].text == ''.join(pieces[:2])


def test_what_is_too_long_is_said_and_forgotten(guest):
  talk = conversation(guest)
  assert 'do not fit the 512 positions' in typed(talk, 'x' * 600) and talk.turns == []


def test_a_model_without_a_template_needs_a_format(directory, tmp_path):
  import shutil

  bare = tmp_path / 'bare'
  shutil.copytree(directory, bare)
  (bare / 'chat_template.jinja').unlink()
  with pytest.raises(UserError, match='no chat template: name a format, --format=NAME .chatml'):
    chat.run(['chat', str(bare)])
  assert opened(str(bare), form='chatml').ids([Turn('user', 'a')]) == opened(str(directory)).ids(
    [Turn('user', 'a')]
  )


def test_what_cannot_be_saved_is_said_and_the_conversation_goes_on(guest, tmp_path):
  talk = conversation(guest)
  (tmp_path / 'file').write_text('precious')
  shown = typed(
    talk, 'hello', f'/save {tmp_path}', f'/save {tmp_path}/file/x', f'/save {tmp_path}/new/a.jsonl'
  )
  assert shown.count('error: /save ') + shown.count('leads nowhere') == 2
  assert (tmp_path / 'file').read_text() == 'precious' and len(talk.turns) == 2
  assert json.loads((tmp_path / 'new/a.jsonl').read_text())['messages'][0]['content'] == 'hello'


def test_odd_lines_are_text(guest, tmp_path):
  """Control characters, half a surrogate pair (a terminal that is not UTF-8), a slash alone."""
  talk = conversation(guest)
  shown = typed(talk, 'a\x00\x1b[31m', '/', ' / x', '\udce4')
  assert 'error: /: there is /retry' in shown and 'surrogate' in shown
  assert [turn.text for turn in talk.turns[::2]] == ['a\x00\x1b[31m']
  talk.turns[-1] = Turn('assistant', '\ud800')
  typed(talk, f'/save {tmp_path}/odd.jsonl')
  assert json.loads((tmp_path / 'odd.jsonl').read_text())['messages'][1]['content'] == '\ud800'


def test_a_terminal_is_not_told_what_to_do_by_a_model():
  assert chat.harmless('a\x1b]0;title\x07\n\tb\x9b') == 'a\\x1b]0;title\\x07\n\tb\\x9b'
  assert chat.harmless('\u20ac \U0001f468\u200d\U0001f469') == '\u20ac \U0001f468\u200d\U0001f469'


@pytest.mark.parametrize(
  'flag', ['--temperature=nan', '--temperature=-1', '--top_p=0', '--top_k=0', '--seed=-1']
)
def test_a_bad_flag_is_one_line(flag):
  with pytest.raises(UserError, match=flag.split('=')[0]):
    chat.run(['chat', '/no/model', flag])


def test_ctrl_c_before_the_first_piece_leaves_no_half_turn(guest, monkeypatch):
  talk = conversation(guest)

  def interrupted(*given):
    raise KeyboardInterrupt

  monkeypatch.setattr(chat, 'misfit', interrupted)
  assert ' [stopped]' in typed(talk, 'hello') and talk.turns == []


def test_the_command_reads_what_is_typed_to_its_end(directory):
  """A pipe that ends, without a last line break, with bytes that are no UTF-8."""
  words = [
    sys.executable,
    '-m',
    'jaxalign.main',
    'chat',
    str(directory),
    '--length=3',
    '--nocompiled',
  ]
  done = subprocess.run(words, input=b'hello\r\n\xff\xfe\n/nope', capture_output=True, timeout=300)
  assert done.returncode == 0 and b'Traceback' not in done.stderr
  lines = done.stdout.decode().split('\n')
  assert lines[-2].startswith('error: /nope: there is') and len(lines) >= 4
