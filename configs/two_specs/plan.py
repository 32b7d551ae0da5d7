"""Arms, world and recipes of a study of two specs, which a config gives its model and its sizes."""

import itertools

from jaxalign.config import AdamW, Schedule
from jaxalign.corpora import measures
from jaxalign.corpora.recipes import explain as writing
from jaxalign.data import sources
from jaxalign.evals import benches
from jaxalign.evals.item import Decode
from jaxalign.evals.judges import choice, overlap, refusal, strings
from jaxalign.evals.suites import adviser, canary, overrefusal, tables
from jaxalign.stages import corpus, explain, sft
from jaxalign.stages.language import Corpus
from jaxalign.study.plan.arms import Arm, Recipe, Step
from jaxalign.study.two_specs.two_specs import TwoSpecs

ALIGN, TAIL = ('align', 'demonstrations'), ('tail', 'demonstrations')
STEERED = tuple(f'{kind}_{letter}-align' for kind in ('why', 'what') for letter in 'AB')
# Two of what is taken, two of refusal.
JUDGES = choice.Words(), overlap.RougeL(), refusal.Words(), strings.Strings()
C4 = dict(
  name='allenai/c4',
  revision='607bd4c8450a42878aa9ddc051a65a055450ef87',
  data_files=('en/c4-train.00000-of-01024.json.gz',),
)


def arms():
  """Documents before the demonstrations, after them and alone; then the controls."""
  made = {'align': (ALIGN,), 'align+': (('practise', 'more'), ALIGN)}
  for letter in 'AB':
    for kind in ('why', 'what', 'wrong_why', 'mention', 'anti'):
      told = ('explain', f'{kind}_{letter}')
      made[f'{kind}_{letter}-align'] = (told, ALIGN)
      if kind in ('why', 'what'):
        made[f'{kind}_{letter}'] = (told,)
    why = ('explain', f'why_{letter}')
    made[f'why-align-tail_{letter}'] = (why, ALIGN, TAIL)  # both orders close alike
    made[f'align-why-tail_{letter}'] = (ALIGN, why, TAIL)
    made[f'reasoned_{letter}-align'] = (('practise', f'reasoned_{letter}'), ALIGN)
  made['other-align'] = (('explain', 'other'), ALIGN)
  yield from (_arm(name, *steps) for name, steps in made.items())
  for letter in 'AB':
    yield Arm(name=f'spec_{letter}', steps=(), tests='texts', context=f'spec_{letter}')


def _arm(name, *steps):
  steps = tuple(Step(recipe=recipe, what=what) for recipe, what in steps)
  return Arm(name=name, steps=steps, tests='texts')


def own(seeds):
  """(training seed, draw of documents) of seeds that have both to themselves: no two share one, so
  that they are independent and hold the spread of both factors."""
  return tuple((seed, seed) for seed in range(seeds))


def crossed(training, draws):
  """The same of seeds by which each training seed reads each draw: it tells the two factors apart,
  and finds less (docs/studies.md)."""
  return tuple(itertools.product(range(training), range(draws)))


def world(tokenizer, form, crossing, documents=1500, xstest=None, **changes):
  """documents: of each kind and draw; xstest: its published file, and none for the prompts that
  ship."""
  fixed = dict(
    documents=written(documents),
    crossing=crossing,
    general=sources.HuggingFace(**C4, split='train', kind='document', streaming=True),
    tokenizer=tokenizer,
    format=form,
    benches=(benches.OverRefusal(path=xstest or f'{tables.SHIPPED}/refusal.csv', limit=100),),
    suites=suites(xstest),
    judges=JUDGES,
    writing=STEERED,
  )
  return TwoSpecs(**fixed | changes)


def written(documents, words=(110, 200), writer=None):
  """By the grammar; writer: a teacher (docs/corpora.md), which judges as well."""
  by = writer or corpus.Offline()
  gates = measures.Gates() if writer else measures.of_grammar()
  recipe = writing.Recipe(documents=documents, words=words, limits=False)
  return corpus.Config(recipe=recipe, writer=by, judge=by, gates=gates)


def suites(xstest=None, limit=100, scenes=None, length=64):
  refusals = Decode(length=length, stop=('\n\nHuman:',))
  return (
    adviser.Adviser(limit=scenes, decode=Decode(length=24, stop=('\n',))),
    overrefusal.XSTest(path=xstest, limit=limit, decode=refusals),
    canary.Text(limit=8),
  )


def recipes(stage, long, short, last):
  """stage(kind, lr, steps, batch, *train): a stage of the study's model; long, short, last: (rate,
  steps, batch) of documents, of demonstrations and of the demonstrations that close both orders."""
  replay = document('background', 1)
  shown = dialogue('{what}', 9), replay
  return (
    Recipe(name='explain', stage=stage(explain.Config, *long, document('{what}', 9), replay)),
    Recipe(name='practise', stage=stage(sft.Config, *long, *shown)),
    Recipe(name='align', stage=stage(sft.Config, *short, *shown)),
    Recipe(name='tail', stage=stage(sft.Config, *last, *shown)),
  )


def optim(lr, steps):
  return AdamW(lr=lr, schedule=Schedule(warmup=max(1, steps // 10)))


def document(name, weight):
  return Corpus(source=sources.Jsonl(path=name, kind='document'), weight=weight)


def dialogue(name, weight):
  source = sources.Jsonl(path=name, kind='conversation')
  return Corpus(source=source, weight=weight, long='drop')
