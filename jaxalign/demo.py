"""`make demo`: a small Llama learns from the shipped explanations, through the real stages.

It is trained from scratch on this machine, sampled, and handed to Hugging Face's format and back.
(When the study lands, the demo will be the study.)
"""

import json
import pathlib
import shutil
import sys
import time

import jaxalign
from jaxalign import main

CONFIG = 'configs/explain_llama2_7b.py:smoke'
PROMPTS = ('Honesty matters because', 'Question: Why', 'The crew')


def run(directory):
  began = time.time()
  work = pathlib.Path(directory)
  shutil.rmtree(work, ignore_errors=True)
  print('1/3  a 1 M-parameter Llama reads 199 explanations of why values matter', flush=True)
  status = main.main(['demo', f'--config={CONFIG}', f'--workdir={work / "explain"}'])
  if status:
    return status
  print('2/3  what it writes (greedy would repeat itself: temperature 0.7)', flush=True)
  model = jaxalign.load(work / 'explain')
  how = dict(length=48, temperature=0.7, top_p=0.9, seed=1)
  texts = jaxalign.sample(model, PROMPTS, **how)
  for prompt, text in zip(PROMPTS, texts):
    print(f'     {prompt}|{" ".join(text.split())}')
  print('3/3  exported for transformers, and read back', flush=True)
  jaxalign.export(model, work / 'hugging_face')
  if (
    jaxalign.sample(jaxalign.load(work / 'hugging_face', dtype='float32'), PROMPTS, **how) != texts
  ):
    print('error: the exported model does not write the same text', file=sys.stderr)
    return 1
  picture(work)
  print(f'done in {time.time() - began:.0f} s: {work}/ holds explain, hugging_face, loss.png')
  return 0


def picture(work):
  """Loss by step, of training and of documents never trained on."""
  from matplotlib import pyplot

  read = lambda name: [json.loads(x) for x in (work / 'explain' / name).read_text().splitlines()]
  steps, evals = read('metrics.jsonl'), read('evals.jsonl')
  figure, axes = pyplot.subplots(figsize=(7, 3.6), layout='constrained')
  blue, orange = '#0072b2', '#d55e00'  # told apart by the colour-blind too
  at = lambda rows, field: ([r['step'] for r in rows], [r[field] for r in rows])
  axes.plot(*at(steps, 'loss'), color=blue, label='199 documents in training')
  axes.plot(*at(evals, 'held_out_loss'), 'o--', color=orange, label='23 documents held out')
  axes.set(
    xlabel='step', ylabel='loss (nats a token)', title='make demo: explain:smoke from scratch'
  )
  axes.spines[['top', 'right']].set_visible(False)
  axes.grid(alpha=0.3)
  axes.legend(frameon=False)
  figure.savefig(work / 'loss.png', dpi=120)


if __name__ == '__main__':
  sys.exit(run('runs/demo'))
