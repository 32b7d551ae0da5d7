"""Rules 9 and 10: functions of text, judges of another tokenizer, and lines that refuse them."""

import dataclasses
import types

import jax
import numpy as np
import pytest

from jaxalign.config import UserError
from jaxalign.data import chat, dialogues
from jaxalign.data.records import Conversation, Turn
from jaxalign.data.text import Tokenizer, shipped
from jaxalign.models import llama2
from jaxalign.models.heads import Scorer
from jaxalign.rl import judges
from jaxalign.rl.judges import Judge, Row
from jaxalign.rl.sample import left_pad
from jaxalign.sharding.meshes import make_mesh

QUESTION = (Turn('user', 'What is it?'), Turn('assistant', 'Red.'), Turn('user', 'Why so?'))
OTHER = Tokenizer.from_vocab('a b c d'.split())
BEHIND = dataclasses.replace(  # something follows the end of an answer
  chat.TRANSCRIPT, name='behind', controls=('<|eos|>',), end='<|eos|>', after='\n'
)


def answered(text, finished=True, form=chat.TRANSCRIPT):
  """A Row as the sampler leaves it."""
  tokenizer = shipped()
  prompt = dialogues.prompt(form, tokenizer, QUESTION).tolist()
  whole = dialogues.encode(form, tokenizer, Conversation((*QUESTION, Turn('assistant', text))))
  answer = whole.tokens.tolist()[len(prompt) :]
  return Row(prompt, answer if finished else answer[:-1], finished)


def seen_of(rows, P=64, R=16):
  """What judges read of a Sampled, for these rows (None: an idle one)."""
  rows = [row or Row([], [], True) for row in rows]
  prompt_BP, segment_BP = left_pad([row.prompt for row in rows], P)
  tokens_BR, response_BR = (x[:, ::-1] for x in left_pad([row.answer[::-1] for row in rows], R))
  segment_BT = np.concatenate([segment_BP, response_BR], 1)
  found = dict(
    tokens_BT=np.where(segment_BT, np.concatenate([prompt_BP, tokens_BR], 1), 2),
    segment_BT=segment_BT,
    length_B=response_BR.sum(1),
    finished_B=np.array([row.finished for row in rows]),
    response_BR=response_BR == 1,
  )
  return types.SimpleNamespace(**{name: jax.numpy.asarray(x) for name, x in found.items()})


def mesh():
  return make_mesh(devices=jax.devices()[:4])


def test_rule_9_a_function_gets_the_text_of_prompt_and_answer():
  """Its own row's, the end token not in it, and nothing for a row that only fills the batch."""
  asked = []

  def length(prompt, answer):
    asked.append((prompt, answer))
    return len(answer)

  rows = [answered('Because.'), None, answered('Because of', finished=False), answered('')]
  score_B = judges.by_function(Judge(by=length), shipped(), mesh())(seen_of(rows))
  prompt = shipped().decode(dialogues.prompt(chat.TRANSCRIPT, shipped(), QUESTION))
  assert asked == [(prompt, ' Because.'), (prompt, ' Because of'), (prompt, ' ')]
  np.testing.assert_array_equal(score_B, [9, 0, 11, 1])
  assert score_B.dtype == np.float32


@pytest.mark.parametrize('value', [True, 3, 0.7, np.float32(0.7), np.array(0.7), np.int64(2)])
def test_rule_9_every_kind_of_number_is_a_score(value):
  judge = Judge(by=lambda prompt, answer: value)
  score_B = judges.by_function(judge, shipped(), mesh())(seen_of([answered('Yes.')] * 4))
  np.testing.assert_allclose(score_B, float(value))


def fails(prompt, answer):
  return 1 / 0


@pytest.mark.parametrize(
  'by, says',
  [
    (lambda p, a: float('nan'), 'judge <lambda> gave nan for the answer .*: make it give'),
    (lambda p, a: float('inf'), 'gave inf'),
    (lambda p, a: 1e39, 'gave 1e.39'),  # more than a float32 holds
    (lambda p, a: None, 'gave a NoneType, not one number'),
    (lambda p, a: [0.1, 0.2], 'gave a list of 2, not one number.*one text at a time'),
    (lambda p, a: np.zeros(3), 'gave a ndarray of 3'),
    (lambda p, a: '1', 'gave a str of 1'),
    (fails, 'judge fails failed with ZeroDivisionError: division by zero, on the answer'),
    (lambda a: 1.0, 'failed with TypeError'),
  ],
)
def test_bad_functions_are_one_line_with_their_name(by, says):
  with pytest.raises(UserError, match=says):
    judges.by_function(Judge(by=by), shipped(), mesh())(seen_of([answered('Yes.')] * 4))


@pytest.mark.parametrize('form', [chat.TRANSCRIPT, chat.LLAMA2_CHAT, chat.PHI2_INSTRUCT, BEHIND])
@pytest.mark.parametrize('finished', [True, False])
def test_rule_9_a_judge_of_another_template_reads_its_own(form, finished):
  """Exactly the ids it was trained on for this conversation; control tokens once, and no end where
  the answer was cut off."""
  tokenizer = shipped()
  row = answered('Because it is.', finished, form=chat.TRANSCRIPT)
  ids = judges.rewritten(row, (tokenizer, form), (tokenizer, chat.TRANSCRIPT))
  talk = Conversation((*QUESTION, Turn('assistant', 'Because it is.')))
  wanted = dialogues.encode(form, tokenizer, talk).tokens.tolist()
  end = len(wanted) - 1 - wanted[::-1].index(tokenizer.eos)
  assert ids == wanted[: end + finished]  # as a pair's sides end: what is behind is not read
  assert ids.count(tokenizer.eos) == 2 - (not finished)


def test_rule_9_turns_are_read_back_out_of_every_format():
  tokenizer = shipped()
  system = (Turn('system', 'Be brief.'), *QUESTION)
  for form in (chat.TRANSCRIPT, chat.LLAMA2_CHAT, chat.PHI2_INSTRUCT):
    for turns in (QUESTION, QUESTION[:1], system):
      assert dialogues.turns_of(form, tokenizer, dialogues.prompt(form, tokenizer, turns)) == turns
      assert judges.check_readable(Judge(by='x'), (OTHER, form), (tokenizer, form)) is None


def test_rule_9_another_tokenizer_without_a_template_is_refused():
  ours = shipped(), chat.TRANSCRIPT
  with pytest.raises(UserError, match='judge rm has another tokenizer.*no template'):
    judges.check_readable(Judge(by='/a/rm'), (OTHER, None), ours)
  odd = chat.ChatFormat(name='odd', user='{user}', system='{system}{user}', answer='{answer}!')
  with pytest.raises(UserError, match='judge rm reads another template than format odd'):
    judges.check_readable(Judge(by='/a/rm'), (OTHER, chat.TRANSCRIPT), (shipped(), odd))


@pytest.fixture(scope='module')
def scored():
  """({row: ids by which a reward model of another template reads it}, what it says of ids alone,
  what it says as a judge that reads up to a length)."""
  cfg = llama2.tiny(width=32, heads=4, kv_heads=2, mlp=48, depth=1, vocab=1024)
  scorer = jax.jit(lambda key: Scorer(cfg.build(key), key))(jax.random.key(0))
  theirs, ours = (shipped(), chat.PHI2_INSTRUCT), (shipped(), chat.TRANSCRIPT)
  rows = [answered('Because.'), answered('No', finished=False), None, answered('Why not?')]
  ids = {n: judges.rewritten(row, theirs, ours) for n, row in enumerate(rows) if row}

  def judge(length):
    return judges.by_text(Judge(by='rm'), scorer, theirs, ours, length, mesh())(seen_of(rows))

  return ids, lambda tokens: scorer(np.array(tokens)[None])[0], judge


def test_rules_9_10_a_reward_model_scores_the_rewritten_text_at_its_last_token(scored):
  """As the same model does alone on the ids it was trained on, whatever pads the batch."""
  ids, alone, judge = scored
  score_B = judge(96)
  for n in ids:
    np.testing.assert_allclose(score_B[n], alone(ids[n]), rtol=1e-4)


def test_texts_too_long_for_a_judge_are_counted(scored, caplog):
  ids, alone, judge = scored
  most = max(map(len, ids.values()))
  score_B = judge(most - 1)
  long = [n for n in ids if len(ids[n]) == most]
  assert f'judge rm: {len(long)} of 4 texts have more than {most - 1} tokens' in caplog.text
  np.testing.assert_allclose(score_B[long[0]], alone(ids[long[0]][1:]), rtol=1e-4)
