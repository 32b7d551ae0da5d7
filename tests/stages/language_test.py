"""The loss on packed text equals the loss on its pieces; only what carries weight is learned."""

import json
import pathlib

import jax
import numpy as np
import pytest

import jaxalign
from jaxalign import config, main, sealing
from jaxalign.config import UserError
from jaxalign.data import chat, dialogues, sources
from jaxalign.data.records import Conversation, Turn
from jaxalign.data.text import shipped
from jaxalign.models import llama2, phi2
from jaxalign.stages import language, training
from jaxalign.train import optim, saving

ROOT = pathlib.Path(__file__).resolve().parents[2]
SMOKE = str(ROOT / 'configs/sft_llama2_7b.py:smoke')


def pieces():
  """Three examples with loss on some of their tokens."""
  rng = np.random.default_rng(0)
  made = []
  for n in (9, 14, 5):
    weight = (rng.random(n) < 0.6).astype(np.float32)
    weight[0] = 0
    made.append((rng.integers(3, 500, n).astype(np.int32), weight))
  return made


def row(examples, length):
  """One packed row of them."""
  names = ('tokens_BT', 'weight_BT', 'segment_BT', 'position_BT')
  out = {
    name: np.zeros((1, length), np.float32 if 'weight' in name else np.int32) for name in names
  }
  at = 0
  for n, (tokens, weight) in enumerate(examples, 1):
    here = slice(at, at + len(tokens))
    out['tokens_BT'][0, here], out['weight_BT'][0, here] = tokens, weight
    out['segment_BT'][0, here], out['position_BT'][0, here] = n, np.arange(len(tokens))
    at += len(tokens)
  return out


@pytest.mark.parametrize('cfg', [llama2.tiny(), phi2.tiny()], ids=['llama2', 'phi2'])
def test_packed_is_unpacked(cfg):
  model = jax.jit(cfg.build)(jax.random.key(0))

  def total(model, batches):
    sums = [language.loss(model, batch) for batch in batches]
    return sum(s['loss'][0] for s in sums), sum(s['loss'][1] for s in sums)

  value = jax.jit(jax.value_and_grad(total, has_aux=True))
  (packed, weight), packed_grad = value(model, [row(pieces(), 32)])
  (alone, alone_weight), alone_grad = value(model, [row([p], 16) for p in pieces()])
  assert weight == alone_weight == sum(w.sum() for _, w in pieces())
  np.testing.assert_allclose(packed / weight, alone / weight, rtol=1e-6)
  for a, b in zip(jax.tree.leaves(packed_grad), jax.tree.leaves(alone_grad)):
    np.testing.assert_allclose(a / weight, b / weight, atol=1e-6)


def test_loss_is_the_plain_formula():
  cfg = llama2.tiny()
  model = jax.jit(cfg.build)(jax.random.key(1))
  batch = row(pieces(), 32)
  logits = model.logits(batch['tokens_BT'], batch['segment_BT'])
  logprob = jax.nn.log_softmax(logits[0, :-1])
  picked = logprob[np.arange(31), batch['tokens_BT'][0, 1:]]
  expected = -(picked * batch['weight_BT'][0, 1:]).sum()
  got, weight = language.loss(model, batch)['loss']
  np.testing.assert_allclose(got, expected, rtol=1e-6)
  shifted = -(picked * batch['weight_BT'][0, :-1]).sum()  # the mutation: weights one off
  assert abs(float(shifted - expected)) > 1e-3 * float(expected)


def products(jaxpr):
  """The precision of every product of two matrices, however deep inside."""
  for eqn in jaxpr.eqns:
    if eqn.primitive.name == 'dot_general':
      yield eqn.params['precision']
    for inner in jax.tree.leaves(eqn.params, is_leaf=lambda x: hasattr(x, 'eqns')):
      inner = getattr(inner, 'jaxpr', inner)
      if hasattr(inner, 'eqns'):
        yield from products(inner)


def test_float32_is_multiplied_as_float32_backwards_too():
  """A TPU rounds float32 to bfloat16 unless told, also in the gradients that are written out."""
  cfg = llama2.tiny(depth=1, remat='none')
  model = jax.eval_shape(cfg.build, jax.random.key(0))
  batch = {
    n: jax.ShapeDtypeStruct((2, 8), t) for n, t in (('tokens_BT', 'i4'), ('weight_BT', 'f4'))
  }
  graded = jax.make_jaxpr(jax.grad(lambda m, b: language.loss(m, b)['loss'][0]))(model, batch)
  found = list(products(graded.jaxpr))
  assert len(found) > 25 and set(found) == {(jax.lax.Precision.HIGHEST,) * 2}


def test_a_user_s_words_carry_no_loss():
  """Fine-tuned on dialogues, it learns to answer, and learns nothing of what users say."""
  tokenizer = shipped()
  talk = Conversation((Turn('user', 'What is it?'), Turn('assistant', 'It is red.')))
  example = dialogues.encode(chat.TRANSCRIPT, tokenizer, talk)
  said = tokenizer.decode(example.tokens[example.weight])
  assert said.strip() == 'It is red.' and example.weight[-1] and not example.weight[0]


@pytest.mark.campaign
def test_it_learns_to_answer_in_the_assistant_s_turn_only(tmp_path):
  """One answer to many questions: the answer is learned by heart, the questions are not."""
  answer = dict(role='assistant', content='It is a fine number.')
  questions = [f'Tell me about number {n * 7919 % 1000}.' for n in range(64)]
  rows = [dict(messages=[dict(role='user', content=q), answer]) for q in questions]
  file = tmp_path / 'talk.jsonl'
  file.write_text('\n'.join(map(json.dumps, rows)) + '\n')
  cfg = main.load(SMOKE)
  source = sources.Jsonl(path=str(file), kind='conversation')
  cfg.train = (language.Corpus(source=source, long='drop'),)
  cfg.steps, cfg.length, cfg.batch, cfg.mesh = 60, 128, 8, config.Mesh()
  main.run_stage(language.run, sealing.seal(cfg), tmp_path / 'work', False)
  model = jaxalign.load(tmp_path / 'work')
  question = '\n\nHuman: Tell me about number 123.\n\nAssistant:'
  said = jaxalign.sample(model, [question], length=16, temperature=0.0)[0]
  assert said.strip() == answer['content']
  talk = Conversation(
    (Turn('user', 'Tell me about number 123.'), Turn('assistant', 'It is a fine number.'))
  )
  example = dialogues.encode(chat.TRANSCRIPT, model.tokenizer, talk)
  logprob = jax.nn.log_softmax(model.logits(example.tokens[None]))[0, :-1]
  nll = -np.asarray(logprob[np.arange(len(example.tokens) - 1), example.tokens[1:]])
  learned = example.weight[1:]
  assert nll[learned].mean() < 0.1  # learned by heart
  assert nll[~learned].mean() > 3.0  # never learned


def test_order_of_starting_points(tmp_path):
  """Resume before init, init before chance: and an init of another size is refused by name."""
  small = dict(steps=2, length=64, batch=8, steps_per_call=1, eval_every=2, optim=config.AdamW())
  first = main.load(SMOKE)
  vars(first).update(small, saving=config.Saving(every=2))
  main.run_stage(language.run, sealing.seal(first), tmp_path / 'a', False)
  second = main.load(SMOKE)
  vars(second).update(small, init=str(tmp_path / 'a'), saving=config.Saving(every=2))
  start = read(second, tmp_path / 'unused')
  for a, b in zip(jax.tree.leaves(jaxalign.load(tmp_path / 'a')), jax.tree.leaves(start)):
    np.testing.assert_array_equal(a, b)
  jaxalign.export(jaxalign.load(tmp_path / 'a'), tmp_path / 'hf')
  second.init = str(tmp_path / 'hf')
  for a, b in zip(jax.tree.leaves(start), jax.tree.leaves(read(second, tmp_path / 'unused'))):
    np.testing.assert_array_equal(a, b)
  second.model = llama2.tiny(vocab=1024)
  with pytest.raises(UserError, match='width=64 .init has 128'):
    read(second, tmp_path / 'unused')


def read(cfg, workdir):
  mesh = training.make_mesh(1, -1, 1)
  tx = optim.make_optimizer(cfg.optim, 10)
  with jax.set_mesh(mesh), saving.Saves(workdir, cfg.saving) as saves:
    return language.start(cfg, tx, mesh, saves)[0].model


@pytest.mark.parametrize(
  'change, says',
  [
    (dict(length=1024), 'length=1024: the model was trained on at most 512'),
    (dict(batch=6, microbatches=4), 'batch=6 is not a multiple of microbatches=4'),
    (dict(eval_every=15), 'eval_every=15: a multiple of steps_per_call=10'),
    (dict(saving=config.Saving(every=6)), 'saving.every=6: a multiple of steps_per_call=10'),
    (dict(tokenizer=None), 'tokenizer is not set'),
    (dict(eval_every=0), 'eval_every=0: at least 1'),
    (dict(seed=-1), 'seed=-1'),
    (dict(steps=10), 'optim.schedule.warmup=10: must be below steps=10'),
    (dict(optim=config.AdamW(lr=-1.0)), 'config.optim.lr=-1.0: at least 1e-12 and at most 10'),
    (dict(batch=8, optim=config.AdamW(frozen=('nosuch',))), "optim.frozen: 'nosuch' names none of"),
    (dict(batch=8, optim=config.AdamW(frozen=('*',))), 'names every weight'),
    (dict(batch=8, optim=config.AdamW(decayed=('nosuch',))), "optim.decayed: 'nosuch' names none"),
    (dict(batch=8, optim=config.AdamW(factors=(('no', 2.0),))), "optim.factors: 'no' names none"),
    (dict(saving=config.Saving(every=60, best='held_out_loss')), 'no held_out corpora'),
    (dict(model=llama2.tiny(heads=3, vocab=1024)), 'width=64 must be a multiple of heads=3'),
  ],
)
def test_bad_config_is_one_line_before_anything_is_spent(change, says, tmp_path):
  cfg = main.load(SMOKE)
  vars(cfg).update(change)
  with pytest.raises(UserError, match=says):
    main.run_stage(language.run, sealing.seal(cfg), tmp_path, False)
  assert not (tmp_path / 'metrics.jsonl').exists()


def test_pairs_are_refused_before_any_tokens_are_made(tmp_path):
  """A corpus may take hours."""
  cfg = main.load(SMOKE)
  vars(cfg).update(batch=8, train=(training.Corpus(source=sources.Shipped(name='pairs')),))
  with pytest.raises(UserError, match=':1 holds pairs'):
    main.run_stage(language.run, sealing.seal(cfg), tmp_path / 'run', False)
  assert [file.name for file in (tmp_path / 'run').iterdir()] == ['config.json']


def test_other_corpora_in_the_same_workdir_are_prepared_again(tmp_path):
  cfg = main.load(str(ROOT / 'configs/explain_llama2_7b.py:smoke'))
  tokenizer = training.open_tokenizer(cfg)
  first = training.open_data(cfg, cfg.train, 'train', tokenizer, tmp_path)
  again = training.open_data(cfg, cfg.train, 'train', tokenizer, tmp_path)
  assert [p.directory for p in again] == [p.directory for p in first]
  other = training.open_data(cfg, cfg.held_out, 'train', tokenizer, tmp_path)
  assert len(first[0]) == 199 and len(other[0]) == 23
  for file in first[0].directory.iterdir():
    file.unlink()
  assert len(training.open_data(cfg, cfg.train, 'train', tokenizer, tmp_path)[0]) == 199


def test_held_out_text_that_is_not_there_is_missed_before_weights_are_read(tmp_path, monkeypatch):
  monkeypatch.setattr(training, 'begin', lambda *_: pytest.fail('weights were made'))
  cfg, gone = main.load(SMOKE), sources.Text(path=str(tmp_path / 'gone.txt'))
  vars(cfg).update(batch=8, held_out=(training.Corpus(source=gone),))
  with pytest.raises(UserError, match='gone.txt does not exist'):
    main.run_stage(language.run, sealing.seal(cfg), tmp_path / 'run', False)


def test_each_named_held_out_corpus_is_told_beside_the_mean_of_all(tmp_path):
  """Of weights that are given, before the first step too: that is what a loss is held against."""
  cfg = main.load(str(ROOT / 'configs/explain_llama2_7b.py:smoke'))
  cfg.model.width, cfg.model.depth, cfg.model.mlp = 32, 1, 48
  shipped = lambda split, name: training.Corpus(
    source=sources.Shipped(name='value_explanations', split=split), name=name
  )
  few = dict(
    batch=8, steps=1, steps_per_call=1, eval_every=1, optim=config.AdamW(), saving=config.Saving()
  )
  vars(cfg).update(**few, held_out=(shipped('train', 'seen'), shipped('validation', 'unseen')))
  main.run_stage(language.run, sealing.seal(cfg), tmp_path / 'first', False)
  vars(cfg).update(init=str(tmp_path / 'first'), tokenizer=None)
  main.run_stage(language.run, sealing.seal(cfg), tmp_path / 'second', False)
  one, other = (
    [json.loads(line) for line in (tmp_path / name / 'evals.jsonl').read_text().splitlines()]
    for name in ('first', 'second')
  )
  assert [row['step'] for row in one] == [1] and [row['step'] for row in other] == [0, 1]
  assert other[0]['held_out_loss'] == pytest.approx(one[0]['held_out_loss'], rel=1e-6)
  for row in (*one, *other):
    seen, unseen, mean = (row[f'held_out_loss{name}'] for name in ('/seen', '/unseen', ''))
    assert seen != unseen and min(seen, unseen) < mean < max(seen, unseen)
    assert abs(mean - seen) < abs(mean - unseen)  # by tokens, of which it has nine times as many


def test_two_held_out_corpora_of_one_name_are_refused():
  cfg = main.load(SMOKE)
  source = sources.Shipped(name='value_explanations')
  cfg.held_out = (training.Corpus(source=source, name='a'),) * 2
  with pytest.raises(UserError, match='held_out: two corpora are named a'):
    cfg.check()
