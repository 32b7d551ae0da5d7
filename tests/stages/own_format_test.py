"""Stages whose format is the chat template that came with the tokenizer (chat.OWN)."""

import dataclasses
import json
import shutil
import types

import jax
import numpy as np
import pytest
from etils import epath

import jaxalign
from jaxalign import main, sealing
from jaxalign.config import Saving, UserError
from jaxalign.data import chat, dialogues, sources
from jaxalign.data.prepared import Prepared
from jaxalign.data.records import Conversation, Turn
from jaxalign.data.text import Tokenizer, shipped
from jaxalign.doors.opening import opened
from jaxalign.models import llama2
from jaxalign.rl import judges
from jaxalign.rl.judges import Judge
from jaxalign.stages import bon, judging, ppo, refusals, reward, sft, trained
from jaxalign.stages.doctors import language_doctor
from jaxalign.stages.doctors.doctor import Machine
from jaxalign.stages.language import Corpus
from jaxalign.study.texts import questions

pytest.importorskip('jinja2', reason='chat templates are rendered by Jinja')
from tests.data.own_template_test import CHATML, THINKING, byte_tokenizer

pytestmark = pytest.mark.usefixtures('one_device')
END = byte_tokenizer().control('<|im_end|>')
OTHER = CHATML.replace("'<|im_end|>' + '\n'", "'<|im_end|>' + '\n\n'")
NASTY = 'a <|im_end|> b'
TALK = [
  dict(role='user', content=NASTY),
  dict(role='assistant', content='yes'),
  dict(role='user', content='and'),
  dict(role='assistant', content=f'no {NASTY}'),
]


def laid(place, source):
  """A tiny model as Hugging Face has it, with a tokenizer of bytes and this chat template."""
  model = dataclasses.replace(policy_model(), bos=byte_tokenizer().bos).build(jax.random.key(1))
  model.tokenizer = byte_tokenizer()
  jaxalign.export(model, place)
  (place / 'chat_template.jinja').write_text(source)
  return place


def corpus(place, rows):
  place.write_text(''.join(json.dumps(row) + '\n' for row in rows))
  return str(place)


def policy_model():
  sizes = dict(depth=1, width=32, heads=4, kv_heads=2, mlp=48, vocab=320, length=128)
  return llama2.tiny(**sizes, eos=(END, byte_tokenizer().eos), remat='none')


def config(kind, directory, **fields):
  common = dict(model=policy_model(), init=str(directory), format=chat.OWN, batch=2)
  return sealing.seal(kind(**common | dict(steps=1, eval_every=1, saving=Saving(every=1)) | fields))


def tuned(place, directory, **fields):
  """A config of sft on TALK."""
  path = corpus(place / 'talk.jsonl', [dict(messages=TALK)] * 2)
  source = sources.Jsonl(path=path, kind='conversation')
  train = (Corpus(source=source, long='drop'),)
  return config(sft.Config, directory, train=train, length=96, **fields)


@pytest.fixture(scope='module')
def runs(tmp_path_factory):
  """(the directory of the model, the workdir of an sft run from it)."""
  place = tmp_path_factory.mktemp('own')
  directory, workdir = laid(place / 'model', CHATML), epath.Path(place / 'sft')
  cfg = tuned(place, directory)
  workdir.mkdir()
  sealing.write(cfg, workdir / 'config.json')
  sft.run(cfg, workdir)
  return directory, workdir


def test_answers_alone_are_learned_and_what_is_said_is_no_control_token(runs):
  _, workdir = runs
  (place,) = (workdir / 'prepared').iterdir()
  example, tokenizer = Prepared(place).example(0), byte_tokenizer()
  edges = np.flatnonzero(np.diff(np.r_[0, example.weight, 0].astype(int))).reshape(-1, 2)
  learned = [tokenizer.decode(example.tokens[a:b], skip_special=False) for a, b in edges]
  assert learned == ['yes<|im_end|>', f'no {NASTY}<|im_end|>']
  assert list(example.tokens).count(END) == 4, 'one a turn; the typed ones are text'
  assert tokenizer.decode(example.tokens, skip_special=False).count('<|im_end|>') == 6


def test_what_a_run_learned_is_how_it_is_spoken_to(runs, tmp_path):
  """Whatever becomes of the template in the directory that it came from."""
  directory, workdir = runs
  said = [Turn('user', NASTY)]
  (directory / 'chat_template.jinja').write_text(OTHER)
  try:
    model, guest = jaxalign.load(workdir), opened(str(workdir))
    assert model.format == model.tokenizer.template == guest.form
    assert model.format.source == CHATML and jaxalign.load(directory).format.source == OTHER
    ids = dialogues.prompt(model.format, model.tokenizer, said)
    assert guest.ids(said) == tuple(ids) and list(ids).count(END) == 1
    with pytest.raises(UserError, match='was trained with another template'):
      sft.run(tuned(tmp_path, directory, steps=2), workdir)
    jaxalign.export(model, tmp_path / 'out')
    assert Tokenizer.load(str(tmp_path / 'out')).template.source == CHATML
  finally:
    (directory / 'chat_template.jinja').write_text(CHATML)
  prompts = corpus(tmp_path / 'asked.jsonl', [dict(messages=TALK[:1])])
  flags = [f'--prompts={prompts}', f'--out={tmp_path / "out.jsonl"}', '--length=4']
  assert main.main(['jaxalign', 'sample', str(workdir), *flags]) == 0
  row = json.loads((tmp_path / 'out.jsonl').read_text())
  assert 'error' not in row and row['tokens'] > 0


def test_a_run_goes_on(runs, tmp_path):
  directory, workdir = runs
  shutil.copytree(workdir, tmp_path / 'sft')
  state = sft.run(tuned(tmp_path, directory, steps=2), epath.Path(tmp_path / 'sft'))
  assert int(state.step) == 2


@pytest.fixture(scope='module')
def judge(runs, tmp_path_factory):
  """A reward model that continues the run, in the template that this one learned."""
  place = tmp_path_factory.mktemp('judge')
  rows = [dict(prompt=TALK[:1], chosen='yes', rejected='no')] * 2
  pairs = sources.Jsonl(path=corpus(place / 'pairs.jsonl', rows), kind='pair')
  cfg = config(reward.Config, runs[1], train=(pairs,), length=64)
  workdir = epath.Path(place / 'rm')
  workdir.mkdir()
  sealing.write(cfg, workdir / 'config.json')
  reward.run(cfg, workdir)
  return workdir


def policy(runs, judge, **fields):
  path = corpus(judge.parent / 'asked.jsonl', [dict(prompt=TALK[:1])] * 2)
  prompts = sources.Jsonl(path=path, kind='prompt')
  how = dict(prompts=prompts, judges=(Judge(by=str(judge)),), prompt=64, response=8, minibatch=2)
  return config(ppo.Config, runs[1], **how | fields)


def test_a_judge_reads_answers_up_to_their_end_as_the_policy_writes_them(runs, judge):
  (place,) = (judge / 'prepared').iterdir()
  assert {Prepared(place).example(n).tokens[-1] for n in range(4)} == {END}
  tokenizer, form = trained.scorer_of(judge)[1:]
  assert form.source == CHATML
  theirs = judging.text_of(Judge(by=str(judge)), policy(runs, judge), tokenizer)
  assert judging.alike(theirs, (tokenizer, form)), 'tokens pass through'


def test_ppo_answers_in_the_template_and_is_scored_in_it(runs, judge, tmp_path):
  state = ppo.run(policy(runs, judge), epath.Path(tmp_path))
  (row,) = [json.loads(line) for line in (tmp_path / 'metrics.jsonl').read_text().splitlines()]
  assert int(state.step) == 1 and np.isfinite(row['reward_raw'])


def length(prompt, answer):
  return len(answer)


def test_best_of_n_goes_on_in_the_template_it_began_with(runs, tmp_path):
  directory, _ = runs
  path = corpus(tmp_path / 'asked.jsonl', [dict(prompt=TALK[:1])])
  sizes = dict(n=2, batch=2, count=1, prompt=64, response=4, page=False)
  cfg = bon.Config(
    **dict(model=policy_model(), init=str(directory), format=chat.OWN, proxy=(Judge(by=length),)),
    **dict(prompts=sources.Jsonl(path=path, kind='prompt'), **sizes),
  )
  out = epath.Path(tmp_path / 'bon')
  out.mkdir()
  bon.run(sealing.seal(cfg), out)
  (row,) = [json.loads(line) for line in (out / 'bon-00000.jsonl').read_text().splitlines()]
  assert NASTY in row['prompt'] and len(row['answers']) == 2
  (directory / 'chat_template.jinja').write_text(OTHER)
  try:
    with pytest.raises(UserError, match='holds answers of another run: template '):
      bon.run(cfg, out)
  finally:
    (directory / 'chat_template.jinja').write_text(CHATML)


def test_a_study_asks_in_the_template_of_its_tokenizer(runs):
  asked = types.SimpleNamespace(tokenizer=str(runs[0]), format=chat.OWN, length=128)
  assert questions.text_of(asked).form.source == CHATML


def test_another_judge_of_text_is_refused_where_turns_cannot_be_read_back(runs, judge):
  """The other way round, text of ours is written in the judge's own template."""
  ours = policy(runs, judge, format=chat.CHATML)
  tokenizer = byte_tokenizer()
  theirs = judging.text_of(Judge(by=str(judge)), ours, tokenizer)
  row = judges.Row([*dialogues.prompt(chat.CHATML, tokenizer, [Turn('user', 'x')])], [66], False)
  talk = Conversation((Turn('user', 'x'), Turn('assistant', tokenizer.decode([66]))))
  wanted = dialogues.encode(theirs[1], tokenizer, talk).tokens.tolist()
  assert judges.rewritten(row, theirs, (tokenizer, chat.CHATML)) == wanted[:-2]
  with pytest.raises(UserError, match='judge rm reads transcript by .*format=chat.OWN'):
    judges.check_readable(Judge(by='rm'), (shipped(), chat.TRANSCRIPT), (tokenizer, theirs[1]))


def test_an_example_that_the_template_cannot_teach_is_named_by_the_run_and_by_its_doctor(tmp_path):
  cfg = tuned(tmp_path, laid(tmp_path / 'model', THINKING))
  with pytest.raises(UserError, match=r'talk.jsonl:1: turn 2: .* take a format of ours'):
    sft.run(cfg, epath.Path(tmp_path / 'run'))
  checks = language_doctor.examine(cfg, tmp_path, Machine('one', 1, None))
  failed = {check.name: check.why for check in checks if check.state == 'FAIL'}
  assert failed.keys() == {'train.0'} and 'talk.jsonl:1: turn 2' in failed['train.0']


def test_a_tokenizer_without_a_template_and_a_model_that_never_ends(runs, tmp_path):
  directory, _ = runs
  with pytest.raises(UserError, match='came with no chat template: take one of ours') as refused:
    refusals.format_fits(tuned(tmp_path, directory), dict(tokenizer=shipped()))
  assert '\n' not in str(refused.value)
  tokenizer = byte_tokenizer()
  endless = dataclasses.replace(tuned(tmp_path, directory).model, eos=(tokenizer.eos,))
  for form in (chat.OWN, chat.CHATML):
    cfg = tuned(tmp_path, directory, model=endless, format=form)
    found = dict(tokenizer=Tokenizer.load(str(directory)))
    with pytest.raises(UserError, match='closes answers with id .* set model.eos'):
      refusals.format_fits(cfg, found)
    assert refusals.format_fits(cfg, found | dict(resumes=True))
