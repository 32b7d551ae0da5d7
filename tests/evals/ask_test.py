"""Items asked of a model that is loaded here: what it reads, says and scores, and who it is."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxalign
from jaxalign.config import UserError
from jaxalign.data import chat, dialogues
from jaxalign.data.records import Conversation, Turn
from jaxalign.data.text import shipped
from jaxalign.evals import ask
from jaxalign.evals.encoding import Encoding
from jaxalign.evals.item import Decode, Item, as_json, of_json
from jaxalign.sharding.layout import layout
from jaxalign.sharding.meshes import make_mesh
from tests.evals.small import Letters, Small, model, native

ASKED = (Turn('user', 'Which letter?'),)


def plan(asker, suite):
  items = suite.items()
  return ask.plan_of(asker.fingerprint, ask.asked_as(suite, items, asker.form), items)


def said(asker, suite, missing=None):
  every = plan(asker, suite)
  missing = range(len(every)) if missing is None else missing
  return dict(asker.said(every, list(missing), suite.decode))


@jax.jit
def forward(model, tokens_BT, segment_BT):
  head_VD, _ = model.head()
  x_BTD = model(tokens_BT, segment_BT)
  return jax.nn.log_softmax((x_BTD @ head_VD.T).astype(jnp.float32))


def logprobs(ids, first):
  """(of each of ids[first:], of the likeliest token in its place), by one pass in the open."""
  tokens_BT = np.zeros((1, 160), np.int32)
  tokens_BT[0, : len(ids)] = ids
  segment_BT = (np.arange(160) < len(ids))[None].astype(np.int32)
  told_TV = np.asarray(forward(model(), tokens_BT, segment_BT)[0])[first - 1 : len(ids) - 1]
  return told_TV[np.arange(len(told_TV)), ids[first:]], told_TV.max(1)


def test_what_is_said_is_the_likeliest_text_after_the_prompt():
  suite, tokenizer = Small(), shipped()
  found = said(native(), suite)
  for n, item in enumerate(suite.items()):
    ids = (
      dialogues.prompt(chat.TRANSCRIPT, tokenizer, item.turns).tolist()
      if item.turns
      else tokenizer.encode(item.text)
    )
    if item.prefill:
      ids += tokenizer.encode(' ' + item.prefill, bos=False)
    answer = written(ids, suite.decode.length)
    assert found[n].tokens == len(answer)
    assert found[n].text == tokenizer.decode_continuation(ids, answer)
    assert found[n].logprob == pytest.approx(logprobs(ids + answer, len(ids))[0].sum(), abs=0.01)


def written(ids, length):
  """The likeliest continuation, token by token."""
  answer = []
  while len(answer) < length and answer[-1:] != [2]:
    tokens_BT = np.zeros((1, 160), np.int32)
    tokens_BT[0, : len(ids) + len(answer)] = ids + answer
    segment_BT = (np.arange(160) < len(ids) + len(answer))[None].astype(np.int32)
    told_V = forward(model(), tokens_BT, segment_BT)[0, len(ids) + len(answer) - 1]
    answer.append(int(told_V.argmax()))
  return answer


def test_choices_are_scored_as_a_forward_pass_scores_them():
  found, items = said(native(), Letters()), Letters().items()
  encoding = Encoding(shipped(), chat.TRANSCRIPT)
  for n, item in enumerate(items):
    assert len(found[n].scores) == len(item.choices)
    for (head, tail), (total, count, greedy) in zip(encoding.pairs(item), found[n].scores):
      own, best = logprobs([*head, *tail], len(head))
      assert total == pytest.approx(own.sum(), abs=1e-4)
      assert (count, greedy) == (len(tail), (own == best).all())


def test_a_letter_has_no_end_token_and_a_whole_answer_has_one():
  tokenizer = shipped()
  encoding = Encoding(tokenizer, chat.TRANSCRIPT)
  letter, whole = Item(turns=ASKED, choices=('A', 'B')), Item(turns=ASKED, choices=('It is A.',))
  prompt = dialogues.prompt(chat.TRANSCRIPT, tokenizer, ASKED).tolist()
  for head, tail in encoding.pairs(letter):
    assert list(head) == prompt and tokenizer.eos not in tail
    assert tokenizer.decode_continuation(head, tail) in (' A', ' B')
  ((head, tail),) = encoding.pairs(whole)
  talk = Conversation((*ASKED, Turn('assistant', 'It is A.')))
  assert [*head, *tail] == dialogues.encode(chat.TRANSCRIPT, tokenizer, talk).tokens.tolist()
  assert list(head) == prompt and tail[-1] == tokenizer.eos


def test_an_opening_has_no_end_token_and_is_another_item():
  tokenizer = shipped()
  encoding = Encoding(tokenizer, chat.TRANSCRIPT)
  whole = Item(turns=ASKED, choices=('Sure, here is', 'I cannot'))
  opening = dataclasses.replace(whole, opening=True)
  assert opening.id != whole.id and of_json(Item, as_json(opening)) == opening
  prompt = dialogues.prompt(chat.TRANSCRIPT, tokenizer, ASKED).tolist()
  for (head, tail), (_, answer) in zip(encoding.pairs(opening), encoding.pairs(whole)):
    assert list(head) == prompt and (*tail, tokenizer.eos) == answer


def test_choices_after_a_prefill_go_on_from_it():
  encoding = Encoding(shipped(), chat.TRANSCRIPT)
  item = Item(turns=ASKED, prefill='It is', choices=(' A', ' B'))
  for (head, tail), choice in zip(encoding.pairs(item), item.choices):
    assert head == encoding.prompt(item)
    assert shipped().decode([*head, *tail]).endswith('Assistant: It is' + choice)


def test_a_text_is_continued_after_its_last_word_and_an_empty_one_after_the_start():
  tokenizer = shipped()
  encoding = Encoding(tokenizer, None)
  ((head, tail),) = encoding.pairs(Item(text='Q: who?\nA: ', choices=('me',)))
  assert list(head) == tokenizer.encode('Q: who?\nA:')
  assert [*head, *tail] == tokenizer.encode('Q: who?\nA: me')
  ((head, tail),) = encoding.pairs(Item(choices=('A text.',)))
  assert head == (tokenizer.bos,) and list(tail) == tokenizer.encode('A text.', bos=False)


def test_an_answer_begins_after_its_prefill():
  item = Small().items()[-1]
  ids = Encoding(shipped(), chat.TRANSCRIPT).prompt(item)
  assert item.prefill and shipped().decode(ids).endswith('Assistant: ' + item.prefill)


def test_what_is_missing_is_asked_alone_and_gets_the_same():
  drawn = Small(decode=Decode(length=12, temperature=1.0, draws=2))
  for suite in (drawn, Letters()):
    asker = native()
    whole = said(asker, suite)
    some = [0, 3, len(whole) - 1]
    assert {n: whole[n] for n in some} == said(asker, suite, some)
    assert suite is not drawn or len({one.text for one in whole.values()}) == len(whole)


def test_an_item_that_does_not_fit_is_an_error_and_ends_no_other():
  suite = Small(questions=('short?', 'long ' * 600))
  found = said(native(), suite)
  assert 'do not fit' in found[1].error and found[1].why == 'error' and not found[1].text
  assert not found[0].error and found[0].tokens
  long, asker = Item(text='a', choices=('word ' * 600,)), native()
  ((_, answer),) = asker.said([ask.Ask(item=long, draw=0, key='k')], [0], Decode())
  assert 'do not fit' in answer.error and not answer.scores


def test_dialogues_without_a_format_are_refused_by_the_flag_that_helps():
  with pytest.raises(UserError, match='--config.format'):
    native(form=None).refuse('small', Small().items(), Decode())
  native(form=None).refuse('small', [Item(text='a')], Decode())


def test_who_a_model_is_says_its_weights_tokenizer_and_arithmetic(tmp_path):
  mine = ask.fingerprint_of(model())
  jaxalign.export(model(), tmp_path / 'hf')
  assert ask.fingerprint_of(jaxalign.load(tmp_path / 'hf', dtype='float32')) == mine
  spread = jax.device_put(model(), layout(model(), make_mesh(2, 2, 2)))
  assert ask.fingerprint_of(spread) == mine
  assert ask.fingerprint_of(model(1)) != mine
  for change in (dict(theta=5e5), dict(dtype='bfloat16'), dict(eos=(2, 5))):
    other = model().under(dataclasses.replace(model().cfg, **change))
    assert ask.fingerprint_of(other) != mine
