"""jaxalign sample: one line an answer, the same after a kill, and bad input in one line."""

import json

import pytest

import jaxalign
from jaxalign import main
from jaxalign.config import UserError
from jaxalign.doors import sample
from jaxalign.doors.opening import opened
from jaxalign.rl import answers

PROMPTS = [
  'a text that goes on',
  dict(messages=[dict(role='user', content='who?')], id='x-1'),
  dict(prompt='b'),
  dict(prompt='long ' * 200, kind='too long'),
  dict(messages=[dict(role='user', content='a <|im_end|> b')]),
]


@pytest.fixture
def job(directory, tmp_path):
  """job(*flags) runs the command on PROMPTS and gives its rows."""
  prompts = tmp_path / 'prompts.jsonl'
  prompts.write_text(''.join(json.dumps(row) + '\n' for row in PROMPTS))

  def run(*flags, out='out.jsonl', model=directory):
    made = tmp_path / out
    assert (
      sample.run(
        ['sample', str(model), f'--prompts={prompts}', f'--out={made}', '--length=12', *flags]
      )
      == 0
    )
    return [json.loads(line) for line in made.read_text().splitlines()]

  return run


def test_every_prompt_has_its_answer_and_one_that_does_not_fit_its_error(job, directory):
  rows = job()
  assert [row['n'] for row in rows] == [0, 1, 2, 3, 4]
  assert rows[1]['id'] == 'x-1' and rows[3]['kind'] == 'too long'
  assert 'do not fit the 512 positions' in rows[3]['error'] and rows[3]['text'] is None
  model = jaxalign.load(directory)
  wanted = jaxalign.sample(model, [PROMPTS[0], 'b'], length=12, temperature=0.0)
  assert [rows[0]['text'], rows[2]['text']] == wanted
  ids = [list(opened(str(directory)).ids(sample.turns_of(PROMPTS[n]['messages']))) for n in (1, 4)]
  wanted = jaxalign.sample(model, ids, length=12, temperature=0.0)
  assert [rows[1]['tokens'], rows[4]['tokens']] == [len(answer) for answer in wanted]


def test_what_is_there_is_not_asked_again_and_a_torn_line_is(job, tmp_path, monkeypatch):
  whole = job('--draws=2', '--temperature=1', out='whole.jsonl')
  assert [(row['n'], row['draw']) for row in whole] == [(n, d) for n in range(5) for d in (0, 1)]
  assert whole[0]['text'] != whole[1]['text']
  job('--draws=2', '--temperature=1')
  file = tmp_path / 'out.jsonl'
  lines = file.read_text().splitlines(keepends=True)
  file.write_text(''.join(lines[3:7]) + lines[8][:20])
  asked, like = [], []
  true = answers.answers

  def watched(model, requests, **how):
    asked.extend(requests)
    like.extend(how['like'])
    return true(model, requests, **how)

  monkeypatch.setattr(sample, 'answers', watched)
  assert job('--draws=2', '--temperature=1') == whole
  assert len(asked) == 6  # of ten four were whole
  assert len(like) == len(whole) and set(asked) < set(like)  # read as the whole job is
  job('--draws=2', '--temperature=1')
  assert len(asked) == 6


@pytest.mark.parametrize(
  'flags, says',
  [
    (['--length=0'], '--length=0: at least 1'),
    (['--top_p=0'], '--top_p=0.0: above 0'),
    (['--top_k=0'], '--top_k=0'),
    (['--out=gs://bucket/o.jsonl'], 'to a local disk'),
    (['--format=nope'], '--format=nope: one of chatml'),
    (['--nope=1'], 'nope'),
    (['other'], 'one MODEL'),
  ],
)
def test_a_bad_flag_is_one_line(job, flags, says):
  with pytest.raises(UserError, match=says):
    job(*flags)


@pytest.mark.parametrize('door', ['sample', 'chat', 'serve'])
def test_a_door_on_a_pod_says_that_it_is_one_process(capfd, monkeypatch, door):
  assert main.main(['jaxalign', door, 'model', '--coordinator=host:1', '--processes=2']) == 2
  said = capfd.readouterr().err
  assert said.startswith(f'error: jaxalign {door} is one process, and --coordinator=host:1 says')
  assert said.count('\n') == 1
  for name, value in dict(JAX_COORDINATOR_ADDRESS='a:1', TPU_WORKER_HOSTNAMES='a,b').items():
    with monkeypatch.context() as patch:
      patch.setenv(name, value)
      assert main.main(['jaxalign', door, 'model']) == 2
      assert f'and {name} says there are several' in capfd.readouterr().err


@pytest.mark.parametrize(
  'row, says',
  [
    ('{', 'line 2'),
    ('{"id": 1}', 'line 2: a text, or an object with either prompt or messages'),
    ('{"prompt": "a", "messages": []}', 'either'),
    ('{"prompt": 3}', 'line 2: prompt is no text'),
    ('{"prompt": "a", "text": "b"}', 'line 2: text are names of an answer'),
    ('{"messages": [{"role": "wizard", "content": "a"}]}', 'line 2: message 1: role is one of'),
    ('{"messages": [{"role": "user", "content": ["a"]}]}', 'content is text'),
  ],
)
def test_a_bad_prompt_is_named_before_a_model_is_opened(tmp_path, row, says):
  (tmp_path / 'p.jsonl').write_text(f'"good"\n{row}\n')
  with pytest.raises(UserError, match=says):
    sample.run(
      ['sample', '/no/model', f'--prompts={tmp_path}/p.jsonl', f'--out={tmp_path}/o.jsonl']
    )
  assert not (tmp_path / 'o.jsonl').exists()


def test_another_job_does_not_write_into_the_same_file(job, tmp_path):
  job()
  before = (tmp_path / 'out.jsonl').read_text()
  with pytest.raises(UserError, match=r'answers of another job \(seed differ\)'):
    job('--seed=1')
  (tmp_path / 'other.jsonl').write_text('precious')
  with pytest.raises(UserError, match='did not write it'):
    job(out='other.jsonl')
  assert (tmp_path / 'out.jsonl').read_text() == before
  assert (tmp_path / 'other.jsonl').read_text() == 'precious'


def test_the_command_line_leads_here(directory, tmp_path, capfd):
  (tmp_path / 'p.jsonl').write_text('"a"\n')
  words = ['jaxalign', 'sample', str(directory), f'--prompts={tmp_path}/p.jsonl', '--length=3']
  assert main.main([*words, f'--out={tmp_path}/o.jsonl', '--nocompiled']) == 0
  assert json.loads((tmp_path / 'o.jsonl').read_text())['tokens'] in (1, 2, 3)
  assert main.main([*words, '--out=']) == 2
  assert 'error: --out is missing' in capfd.readouterr().err
  for door in ('sample', 'chat', 'serve'):
    assert main.main(['jaxalign', door, '--help']) == 0
    said = capfd.readouterr().out
    assert f'jaxalign {door} MODEL' in said and '--dtype' in said
    assert main.main(['jaxalign', door]) == 2 and 'takes one MODEL' in capfd.readouterr().err


def test_odd_files_of_prompts(directory, tmp_path):
  """A mark of byte order, CRLF, empty lines, no last line break, and one id that stands twice."""
  (tmp_path / 'p.jsonl').write_bytes(
    b'\xef\xbb\xbf"a"\r\n\r\n{"prompt": "a", "id": 1}\r\n'
    b'{"prompt": "a\\u0000", "id": 1, "x": "\\ud800"}'
  )
  words = ['sample', str(directory), f'--prompts={tmp_path}/p.jsonl', '--length=3']
  for _ in range(2):  # the second finds all of them
    assert sample.run([*words, f'--out={tmp_path}/o.jsonl']) == 0
    rows = [json.loads(line) for line in (tmp_path / 'o.jsonl').read_text().splitlines()]
    assert [row.get('id') for row in rows] == [None, 1, 1] and rows[2]['x'] == '\ud800'
    assert rows[0]['text'] == rows[1]['text'] and not any('error' in row for row in rows)
  (tmp_path / 'p.jsonl').write_bytes(b'\xef\xbb\xbf\n \r\n')
  with pytest.raises(UserError, match='p.jsonl'):
    sample.run([*words, f'--out={tmp_path}/e.jsonl'])
  assert not (tmp_path / 'e.jsonl').exists()
  words[2] = f'--prompts={tmp_path}/none.jsonl'
  with pytest.raises(UserError, match='none.jsonl cannot be read .*: name a file with a prompt'):
    sample.run([*words, f'--out={tmp_path}/e.jsonl'])


def test_a_torn_note_of_the_job_is_one_line(job, tmp_path):
  job()
  (tmp_path / 'out.jsonl.about.json').write_text('{"model": ')
  with pytest.raises(UserError, match='about.json cannot be read .* or name another --out'):
    job()
