"""lm-evaluation-harness asks a tiny model: it is told what the model thinks, and nothing else."""

import json

import jax
import numpy as np
import pytest

pytest.importorskip('lm_eval', reason='an extra, jaxalign[lm-eval]')

import lm_eval
from lm_eval.api.instance import Instance
from lm_eval.tasks import TaskManager

import jaxalign
from jaxalign import main
from jaxalign.config import UserError
from jaxalign.doors import lm_eval_tasks
from jaxalign.doors.lm_eval import JaxalignLM
from jaxalign.rl import score as score_module

ENDS = '<|im_end|>'


@pytest.fixture(scope='module')
def asked(directory):
  return JaxalignLM(str(directory), batch_size=4)


@pytest.fixture(scope='module')
def model(directory):
  return jaxalign.load(directory)


def instances(kind, *arguments):
  return [
    Instance(request_type=kind, doc={}, arguments=one, idx=n) for n, one in enumerate(arguments)
  ]


def logprobs(model, ids):
  """Of each token after those before it, by the whole forward."""
  ids = np.array([ids])
  logits = np.asarray(model.unembed(model(ids)))[0, :-1].astype(np.float64)
  told = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
  return told[np.arange(len(told)), ids[0, 1:]], logits.argmax(-1) == ids[0, 1:]


def test_log_likelihoods_are_those_of_the_whole_forward(asked, model):
  pairs = [('one two', ' three'), ('one two', ' four and more'), ('one ', 'x'), ('', 'alone')]
  found = asked.loglikelihood(instances('loglikelihood', *pairs), disable_tqdm=True)
  for (context, said), (logprob, greedy) in zip(pairs, found):
    start = [] if context else [asked.prefix_token_id]
    whole = start + model.tokenizer.encode(context + said, bos=False)
    cut = len(start + model.tokenizer.encode(context.rstrip(), bos=False))
    each, best = logprobs(model, whole)
    assert logprob == pytest.approx(each[cut - 1 :].sum(), abs=1e-4)
    assert greedy == best[cut - 1 :].all()


def test_a_long_text_is_read_in_windows(asked, model):
  text = 'abcdefgh' * 100
  assert len(text) > asked.max_length
  (found,) = asked.loglikelihood_rolling(instances('loglikelihood_rolling', (text,)))
  ids, total, at, most = model.tokenizer.encode(text, bos=False), 0.0, 0, asked.max_length
  while at < len(ids):
    end = min(at + most, len(ids))
    before = [asked.prefix_token_id] if at == 0 else []
    window = before + ids[max(0, end - most - 1) if at else 0 : end]
    total += logprobs(model, window)[0][-(end - at) :].sum()
    at = end
  assert found == pytest.approx(total, abs=1e-3)


def test_answers_are_those_of_sample(asked, model):
  how = dict(until=['q'], max_gen_toks=12, do_sample=False)
  contexts = ['once', 'twice upon', 'a longer beginning', 'once']
  said = asked.generate_until(instances('generate_until', *[(one, how) for one in contexts]))
  assert said == jaxalign.sample(model, contexts, length=12, temperature=0.0, stop='q')
  drawn = dict(how, do_sample=True, temperature=2.0)
  twice = asked.generate_until(instances('generate_until', ('once', drawn), ('once', drawn)))
  assert twice[0] != twice[1]
  cold = dict(how, do_sample=True, temperature=0.0)
  assert asked.generate_until(instances('generate_until', ('once', cold))) == said[:1]


def test_a_message_holds_no_control_token(asked, model):
  end = model.tokenizer.control(ENDS)
  plain, typed = (
    asked.apply_chat_template([dict(role='user', content=text)]) for text in ('hi', f'h{ENDS}i')
  )
  assert asked.tok_encode(typed).count(end) == asked.tok_encode(plain).count(end) == 1
  assert end not in asked.tok_encode(f'text {ENDS}')
  (told,) = asked.loglikelihood(instances('loglikelihood', (typed, 'yes')), disable_tqdm=True)
  ids = asked.tok_encode(typed)
  cut = len(ids) - 1  # the line's end before an answer is white space, and is foretold with it
  each, _ = logprobs(model, ids + model.tokenizer.encode('yes', bos=False))
  assert told[0] == pytest.approx(each[cut - 1 :].sum(), abs=1e-4)


def test_an_answer_that_has_begun_goes_on(asked):
  turns = [dict(role='user', content='hi'), dict(role='assistant', content='Sure')]
  begun = asked.apply_chat_template(turns, add_generation_prompt=False)
  opening = asked.apply_chat_template(turns[:1])
  assert begun == opening + 'Sure'
  assert asked.tok_encode(begun) == asked.tok_encode(opening) + asked._continued('Sure')


@pytest.mark.parametrize(
  'how, what',
  [
    (dict(num_beams=4), 'num_beams'),
    (dict(max_gen_toks=10_000), 'max_gen_toks=10000 leave no room'),
  ],
)
def test_what_cannot_be_had_is_refused_by_name(asked, how, what):
  with pytest.raises(UserError, match=what):
    asked.generate_until(instances('generate_until', ('once', how)))
  with pytest.raises(UserError, match='trust_me is not known'):
    JaxalignLM(asked._guest, trust_me=True)


@pytest.fixture(scope='module')
def tasks(tmp_path_factory):
  place = tmp_path_factory.mktemp('tasks')
  return place, lm_eval_tasks.write(str(place), None)


def test_the_tasks_that_are_written_run(asked, model, tasks, monkeypatch):
  monkeypatch.setenv('HF_DATASETS_OFFLINE', '1')
  place, names = tasks
  manager = TaskManager(include_path=str(place), include_defaults=False)
  found = lm_eval.simple_evaluate(
    model=asked, tasks=names, task_manager=manager, bootstrap_iters=0, log_samples=True
  )
  rows = [json.loads(line) for line in (place / 'mc1.jsonl').read_text().splitlines()]
  assert len({row['gold'] for row in rows}) > 1  # the best answer has no place of its own
  by_question = {row['question']: row for row in rows}
  for sample in found['samples']['jaxalign_tqa_mc2']:
    row = by_question[sample['doc']['question']]
    pairs = [(f'Q: {row["question"]}\nA:', f' {one}') for one in row['choices']]
    told = np.array([one.logprob for one in jaxalign.score(model, pairs)])
    share = np.exp(told)[np.array(row['labels'], bool)].sum() / np.exp(told).sum()
    assert sample['acc'] == pytest.approx(share, rel=1e-3)


def test_the_answers_of_truthfulqa_are_scored_as_by_hand_and_by_few_programs(
  shared, tmp_path, monkeypatch
):
  """Best against best incorrect, 790 questions: by the harness, and by the whole forward."""
  file, csv = shared('stories260K/stories260K.bin'), shared('truthfulqa/TruthfulQA.csv')
  monkeypatch.setenv('HF_DATASETS_OFFLINE', '1')
  lm_eval_tasks.write(str(tmp_path), str(csv))
  manager = TaskManager(include_path=str(tmp_path), include_defaults=False)
  told = JaxalignLM(str(file), dtype='float32')
  planned, usual = [], score_module.plan

  def watched(*given, **how):
    planned.append(usual(*given, **how))
    return planned[-1]

  monkeypatch.setattr(score_module, 'plan', watched)
  programs = score_module.read_whole, score_module.read_after, score_module.read_before
  before = sum(one._cache_size() for one in programs)
  found = lm_eval.simple_evaluate(
    model=told, tasks=['jaxalign_tqa_binary'], task_manager=manager, bootstrap_iters=0,
    log_samples=True,
  )  # fmt: skip
  assert sum(one._cache_size() for one in programs) - before <= 6
  (plan,) = planned
  assert plan.padding <= 0.4
  samples = found['samples']['jaxalign_tqa_binary']
  asked = [
    (one['arguments'][n][0], one['arguments'][n][1], float(one['filtered_resps'][n][0]))
    for one in samples
    for n in range(2)
  ]
  assert len(asked) == 1580
  model = told._guest.model
  encode = model.tokenizer.encode
  rows = [(encode(context), encode(context + said)) for context, said, _ in asked]
  longest = max(len(whole) for _, whole in rows)
  ids_NT = np.zeros((len(rows), longest), np.int32)
  for row_T, (_, whole) in zip(ids_NT, rows):
    row_T[: len(whole)] = whole
  logits = jax.jit(lambda ids_BT: jax.nn.log_softmax(model.unembed(model(ids_BT)), -1))
  worst = 0.0
  for start in range(0, len(rows), 79):
    logprob_BTV = np.asarray(logits(ids_NT[start : start + 79]))
    for logprob_TV, (head, whole), (*_, theirs) in zip(
      logprob_BTV, rows[start : start + 79], asked[start : start + 79]
    ):
      places = np.arange(len(head), len(whole))
      own = logprob_TV[places - 1, np.array(whole)[places]].astype(np.float64).sum()
      worst = max(worst, abs(own - theirs))
  assert worst < 1e-3


def test_the_command(directory, tasks, tmp_path, monkeypatch, capsys):
  monkeypatch.setenv('HF_DATASETS_OFFLINE', '1')
  place, names = tasks
  command = ['jaxalign', 'lm-eval', str(directory), f'--tasks={names[0]}', '--limit=2']
  where = [f'--include_path={place}', f'--output_path={tmp_path}', '--log_samples']
  assert main.main([*command, *where]) == 0
  assert names[0] in capsys.readouterr().out
  assert list(tmp_path.rglob('samples_*.jsonl'))
  assert main.main(['jaxalign', 'lm-eval', str(directory), '--model=hf']) == 2
