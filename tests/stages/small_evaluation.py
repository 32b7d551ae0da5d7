"""The config of an evaluation that processes of their own run: many short answers, choices, and a
judge whose weights lie on all of them."""

from jaxalign.config import Mesh
from jaxalign.data import chat
from jaxalign.evals.item import Decode
from jaxalign.evals.judges import native, refusal
from jaxalign.models import llama2
from jaxalign.stages import evaluate
from tests.evals.small import Letters, Small

MODEL = llama2.tiny(
  depth=1, width=32, heads=2, kv_heads=2, mlp=64, vocab=1024, length=512, eos=(2,), remat='none'
)
NAMES = 'bread', 'salt', 'the sky', 'a dog', 'rain', 'a boat', 'snow', 'milk', 'a song', 'time'


class Judged(Small):
  """Small, of more questions, judged by a classifier too."""

  needs = ('refusal', 'truth')


def get_config():
  questions = tuple(f'{word} {name}?' for name in NAMES for word in ('What is', 'Why', 'Where is'))
  return evaluate.Config(
    model=MODEL,
    tokenizer='shipped',
    format=chat.TRANSCRIPT,
    suites=(Judged(questions=questions, decode=Decode(length=40)), Letters()),
    judges=(refusal.Words(), native.Classifier(path='', template=native.TRUTH, batch=4)),
    rows=2,
    mesh=Mesh(),
  )
