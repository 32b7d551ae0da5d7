"""Stage corpus by a teacher behind an address: what the doctor said is what was used; a purse that
is empty ends it with status 3, and more money goes on without asking anything twice."""

import json
import random
import re

import pytest

from jaxalign import main, sealing
from jaxalign.corpora import estimate
from jaxalign.stages import corpus_refusals, refusals
from jaxalign.stages.doctors import corpus_doctor
from tests.corpora import teacher

LIST = re.compile(r'JSON array of (\d+) strings')
STATED = re.compile(r'value asks: (.*)')
REASON = re.compile(r'^- (r\d): (.*)$', re.MULTILINE)
WORDS = (
  'kettle ladder lamp barrow ledger window crate bell rope stove bucket saw wheel hinge basket '
  'pump gate drawer map bench carried mended painted sorted washed lifted folded counted'
).split()
CONFIG = """
from jaxalign.corpora.http import Http
from jaxalign.corpora.recipes import explain
from jaxalign.endpoint import Endpoint
from jaxalign.stages import corpus


def get_config():
  server = Endpoint(url={url!r}, model='m', key={key!r}, tries=2)
  writer = Http(endpoint=server, price=(1.0, 2.0))
  recipe = explain.Recipe(documents=18, words=(80, 120), domains=2, reasons=1)
  return corpus.Config(spec='demo', recipe=recipe, writer=writer, judge=writer)
"""


def said(prompt):
  """An answer of the form that a prompt asks for."""
  draws = random.Random(prompt)
  if found := LIST.search(prompt):
    return json.dumps([sentence(draws, 25) for _ in range(int(found[1]))])
  if '"findings"' in prompt:
    return json.dumps(dict(findings=[]))
  if '"contradiction"' in prompt:
    return json.dumps(dict(contradiction='no', attribution='yes', stance='for'))
  stated, reasons = STATED.search(prompt)[1].rstrip('.'), REASON.findall(prompt)
  told = ''.join(f' <{name}>Because {text}.</{name}>' for name, text in reasons)
  sentences = [sentence(draws, 12) for _ in range(6)]
  return f'{" ".join(sentences)} <statement>{stated}.</statement>{told}'


def sentence(draws, count):
  return ' '.join(draws.choice(WORDS) for _ in range(count)).capitalize() + '.'


def reply(body, n):
  prompt = '\n\n'.join(turn['content'] for turn in body['messages'])
  text = said(prompt)
  return 200, {}, teacher.said(text, usage=(len(prompt) // 4, len(text) // 4))


@pytest.fixture
def stub():
  served = teacher.Stub()
  served.reply = reply
  yield served
  served.close()


def words(stub, tmp_path, *flags, key=''):
  (tmp_path / 'mine.py').write_text(CONFIG.format(url=stub.url, key=key))
  return ['jaxalign', f'--config={tmp_path}/mine.py', f'--workdir={tmp_path / "run"}', *flags]


def manifest(tmp_path):
  return json.loads((tmp_path / 'run' / 'manifest.json').read_text())


def expected(tmp_path, stub):
  """(tokens read, tokens written, cost) that the doctor expects, and its bounds."""
  words(stub, tmp_path)
  cfg = sealing.seal(main.load(str(tmp_path / 'mine.py')))
  found = refusals.refuse(corpus_refusals.CORPUS, cfg)
  _, cases = corpus_doctor.plan(cfg, found['spec'], found['teachers'], found['filters'])
  return {case: sum(loads.values(), estimate.Load()) for case, loads in cases.items()}


def test_what_the_doctor_expects_is_what_is_used(stub, tmp_path):
  cases = expected(tmp_path, stub)
  assert main.main(words(stub, tmp_path)) == 0
  told = manifest(tmp_path)
  used = {name: sum(step[name] for step in told['asked'].values()) for name in ('read', 'written')}
  calls, cost = sum(step['calls'] for step in told['asked'].values()), told['paid']['cost']
  assert len(stub.seen) == calls and told['documents']['kept'] == 18
  low, most, mean = (cases[case] for case in ('low', 'at most', 'expected'))
  assert used['read'] == pytest.approx(mean.read, rel=0.15) and low.calls <= calls <= most.calls
  assert used['written'] == pytest.approx(mean.written, rel=0.15)
  assert used['read'] <= most.read and used['written'] <= most.written and cost <= most.cost
  assert cost == pytest.approx((used['read'] + 2 * used['written']) / 1e6, abs=1e-5)


def test_an_empty_purse_ends_with_status_3_and_more_money_goes_on(stub, tmp_path, capsys):
  assert main.main(words(stub, tmp_path, '--config.max_cost=0.03')) == 3
  (line,) = capsys.readouterr().err.strip().splitlines()
  assert 'max_cost' in line and not (tmp_path / 'run' / 'manifest.json').exists()
  assert main.main(words(stub, tmp_path, '--config.max_cost=9.0')) == 0
  prompts = [json.dumps(body['messages']) for body in stub.seen]
  told = manifest(tmp_path)
  assert len(prompts) == sum(step['calls'] for step in told['asked'].values())
  assert told['paid']['cost'] < 9


def test_a_server_that_knows_no_such_key_is_called_once(stub, tmp_path, capsys, monkeypatch):
  stub.reply = lambda body, n: (401, {}, '{"error": {"message": "no such key"}}')
  monkeypatch.setenv('THE_KEY', 'sk-secret')
  assert main.main(words(stub, tmp_path, key='THE_KEY')) == 2
  (line,) = capsys.readouterr().err.strip().splitlines()
  assert '401' in line and 'sk-secret' not in line and len(stub.seen) == 1
  monkeypatch.setenv('THE_KEY', '')
  assert main.main(words(stub, tmp_path, key='THE_KEY')) == 2
  assert 'THE_KEY is empty' in capsys.readouterr().err and len(stub.seen) == 1


def test_failures_keep_what_came_and_the_same_command_asks_the_rest(stub, tmp_path, capsys):
  broken = [True]

  def sometimes(body, n):
    return (500, {}, 'busy') if broken[0] and n % 3 == 0 else reply(body, n)

  stub.reply = sometimes
  status = main.main(words(stub, tmp_path))
  broken[0] = False
  assert status == 0 or main.main(words(stub, tmp_path)) == 0
  assert manifest(tmp_path)['documents']['kept'] == 18


def test_prose_for_verdicts_is_none_and_unknown_prices_are_no_zero(stub, tmp_path):
  def prose(body, n):
    status, headers, text = reply(body, n)
    judged = '"contradiction"' in body['messages'][-1]['content']
    return (status, headers, teacher.said('It seems fine.') if judged else text)

  stub.reply = prose
  assert main.main(words(stub, tmp_path, '--config.writer.price=none')) == 0
  told = manifest(tmp_path)
  assert told['paid']['cost'] is None and told['documents']['kept'] == 18


def test_the_doctor_of_a_server_that_is_not_there(stub, tmp_path, capsys):
  flags = words(stub, tmp_path, '--doctor')
  assert main.main(flags) == 0
  text = capsys.readouterr().out
  assert 'somebody listens' in text and 'step judge' in text and len(stub.seen) == 0
  assert main.main([*flags, '--config.judge.price=none']) == 0
  assert 'unknown' in capsys.readouterr().out
  assert main.main([*flags, '--config.writer.endpoint.url=http://127.0.0.1:9/v1']) == 1
  assert 'nobody listens' in capsys.readouterr().out
  assert not (tmp_path / 'run').exists()
