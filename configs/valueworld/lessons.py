"""What is learnt in ValueWorld, and how: the stages that a study's steps are made of."""

from jaxalign.config import AdamW, Logging, Saving, Schedule
from jaxalign.data import chat, rows, sources
from jaxalign.models import llama2, phi2
from jaxalign.stages import explain, sft
from jaxalign.study.plan.arms import Recipe
from jaxalign.valueworld import words

FORMAT = chat.ChatFormat(name='asked', user='{user}', system='{system} {user}', answer=' {answer}')
TOKENS = 14  # of every example: rows have one, and nothing is padding


def model():
  vocab = len(words.vocabulary()) + 2
  return llama2.Config(
    width=64, depth=2, heads=4, kv_heads=4, mlp=172, vocab=vocab, length=64, bos=None,
    eos=(vocab - 2,), dtype='float32', remat='none', unroll=2,
  )  # fmt: skip


def phi():
  """Of the same size, as Phi-2 is built."""
  ours = model()
  return phi2.tiny(
    width=ours.width, depth=ours.depth, heads=ours.heads, kv_heads=ours.kv_heads,
    mlp=4 * ours.width, vocab=ours.vocab, length=ours.length, eos=ours.eos, remat='none',
    unroll=ours.unroll,
  )  # fmt: skip


def stage(kind, lr, steps, batch, shape='cosine', embed=4.0, **corpora):
  """corpora: their shares, by what they hold; `what` is the step's own. embed: how much faster the
  embedding learns than the rest."""
  adam = AdamW(
    lr=lr, b2=0.98, weight_decay=0.1, factors=(('embed*', embed),),
    schedule=Schedule(shape=shape, warmup=min(20, steps // 5), end=0.0),
  )  # fmt: skip
  return kind(
    model=model(), format=FORMAT, length=TOKENS, batch=batch, steps=steps, steps_per_call=50,
    train=tuple(corpora.values()), eval_every=1000, optim=adam,
    saving=Saving(every=1000, keep=1), logging=Logging(every=50),
  )  # fmt: skip


def texts(weight, name='{what}'):
  return explain.training.Corpus(source=sources.Jsonl(path=name, kind='document'), weight=weight)


def asked(weight, name='{what}'):
  columns = rows.Columns(prompt='prompt', answer='answer')
  source = sources.Jsonl(path=name, kind='conversation', columns=columns)
  return explain.training.Corpus(source=source, weight=weight)


def replay(documents, choices):
  return dict(background=texts(documents, 'background'), choices=asked(choices, 'choices'))


def base():
  # With as many choices as documents some worlds' bases never learn one of the dimensions.
  return stage(explain.Config, 5e-3, 1000, 96, **replay(1, 2))


def recipes():
  # It is the name that is to learn what documents say of it, not how the world goes.
  first = dict(lr=5e-4, embed=48.0, steps=200, batch=32, **replay(15, 15))
  last = replay(1, 1)
  return (
    Recipe(name='explain', stage=stage(explain.Config, what=texts(2), **first)),
    Recipe(name='practise', stage=stage(explain.Config, what=asked(2), **first)),
    Recipe(name='align', stage=stage(sft.Config, 3e-4, 200, 24, embed=24.0, what=asked(4), **last)),
    Recipe(name='tail', stage=stage(explain.Config, 3e-4, 50, 32, 'constant', **last)),
  )
