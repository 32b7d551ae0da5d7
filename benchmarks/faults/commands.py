"""Cases of command lines: flags, words, variants, fields, config files, runs to be compared."""

import functools
import os

from benchmarks.faults.case import STAGES, Case

EXPLAIN = f'--config={STAGES}:explain'
RUN = '--workdir={place}/run'
LINES = {  # what is wrong: (its arguments, what the line must name)
  'nothing at all': ((), 'config'),
  'no workdir': ((EXPLAIN,), 'workdir'),
  'no config': ((RUN,), 'config'),
  'an unknown flag': ((EXPLAIN, RUN, '--stpes=3'), 'stpes'),
  'a flag with one letter off': ((EXPLAIN, '--workdri={place}/run'), 'workdri'),
  'a flag without its value': ((EXPLAIN, '--workdir'), 'workdir'),
  'a short flag': ((EXPLAIN, RUN, '-x'), 'x'),
  'an unknown word': (('train', EXPLAIN, RUN), 'train'),
  'two words': (('prepare', 'prepare', EXPLAIN, RUN), 'prepare'),
  'a word behind': ((EXPLAIN, RUN, 'prepare', 'x'), 'x|prepare'),
  'no such config': (('--config=configs/nothing.py', RUN), r'nothing\.py'),
  'a directory as config': (('--config=configs', RUN), 'configs'),
  'a config that is no Python': (('--config=README.md', RUN), r'README\.md'),
  'an empty config': (('--config=', RUN), 'config'),
  'no such variant': ((f'--config={STAGES}:explian', RUN), 'explian'),
  'two variants': ((f'--config={STAGES}:explain:sft', RUN), 'explain'),
  'no such field': ((EXPLAIN, RUN, '--config.stpes=3'), 'stpes.*steps'),
  'no such part': ((EXPLAIN, RUN, '--config.optimizer.lr=3'), 'optimizer'),
  'a field of a number': ((EXPLAIN, RUN, '--config.steps.x=3'), 'steps'),
  'an entry too far': ((EXPLAIN, RUN, '--config.train.9.weight=1'), r'train\.9'),
  'an entry below 0': ((EXPLAIN, RUN, '--config.train.-1.weight=1'), 'train'),
  'a field without value': ((EXPLAIN, RUN, '--config.steps'), r'config\.steps'),
  'a field without name': ((EXPLAIN, RUN, '--config.=3'), r'config\.'),
  'a property': ((EXPLAIN, RUN, '--config.tokens=3'), 'tokens'),
  'a private field': ((EXPLAIN, RUN, '--config.__class__=3'), '__class__'),
  'a whole part': ((EXPLAIN, RUN, '--config.optim=fast'), 'optim'),
  'a choice that is none': ((EXPLAIN, RUN, '--config.model.dtype=float8'), r'model\.dtype'),
  'a shape that is none': ((EXPLAIN, RUN, '--config.optim.schedule.shape=sine'), 'shape'),
  'a word for true': ((EXPLAIN, RUN, '--config.logging.tensorboard=maybe'), 'tensorboard'),
  'a profile of one': ((EXPLAIN, RUN, '--config.logging.profile=3'), 'profile'),
  'a profile turned round': ((EXPLAIN, RUN, '--config.logging.profile=5,3'), 'profile'),
  'a best that is not measured': ((EXPLAIN, RUN, '--config.saving.best=beauty'), 'beauty'),
  'weights that match nothing': ((EXPLAIN, RUN, "--config.optim.frozen=('zzz*',)"), 'zzz|frozen'),
  'everything frozen': ((EXPLAIN, RUN, "--config.optim.frozen=('*',)"), 'frozen'),
  'no such tokenizer': ((EXPLAIN, RUN, '--config.tokenizer={place}/none'), 'none|tokenizer'),
  'no such init': ((EXPLAIN, RUN, '--config.init={place}/none'), 'none'),
  'no such hub': ((EXPLAIN, RUN, '--config.init=no/such'), 'no/such'),
  'an init that is a file': ((EXPLAIN, RUN, '--config.init=README.md'), r'README\.md'),
  'a width that heads do not divide': ((EXPLAIN, RUN, '--config.model.width=15'), 'width|heads'),
  'heads that kv_heads do not divide': ((EXPLAIN, RUN, '--config.model.kv_heads=3'), 'heads'),
  'a vocabulary too small': ((EXPLAIN, RUN, '--config.model.vocab=8'), 'vocab|token'),
  'an eos outside': ((EXPLAIN, RUN, '--config.model.eos=5000'), 'eos'),
  'longer than the model': ((EXPLAIN, RUN, '--config.length=4096'), 'length'),
  'microbatches that do not divide': ((EXPLAIN, RUN, '--config.microbatches=3'), 'microbatches'),
  'a mesh that does not fit': ((EXPLAIN, RUN, '--config.mesh.data=7'), 'mesh'),
  'two axes that take the rest': ((EXPLAIN, RUN, '--config.mesh.data=-1'), 'mesh'),
  'doctor and no config': (('--doctor', RUN), 'config'),
  'a slice without doctor': ((EXPLAIN, RUN, '--slice=v5e-4'), 'slice'),
  'no such slice': ((EXPLAIN, RUN, '--doctor', '--slice=v9-4'), 'v9-4|v9'),
  'a slice of none': ((EXPLAIN, RUN, '--doctor', '--slice=v5e-0'), 'v5e-0'),
  'a slice of words': ((EXPLAIN, RUN, '--doctor', '--slice=large'), 'large'),
  'compiled into a file': ((EXPLAIN, RUN, '--compiled=README.md'), r'README\.md|compiled'),
  'a coordinator alone': ((EXPLAIN, RUN, '--coordinator=localhost:1'), 'processes'),
  'processes of text': ((EXPLAIN, RUN, '--processes=two'), 'processes'),
  'processes below 0': (
    (EXPLAIN, RUN, '--coordinator=127.0.0.1:1', '--processes=-1', '--process_id=0'),
    'processes',
  ),
  'a process beyond the last': (
    (EXPLAIN, RUN, '--coordinator=127.0.0.1:1', '--processes=1', '--process_id=4'),
    'process',
  ),
  'compare nothing': (('compare',), 'compare'),
  'compare one missing': (('compare', '{place}/a'), 'compare|/a'),
  'compare two missing': (('compare', '{place}/a', '{place}/b'), '/a'),
  'compare with a config': (('compare', 'a', 'b', EXPLAIN), 'compare'),
  'compare a directory of nothing': (('compare', 'docs', 'tests'), 'docs'),
  'compare with a bucket of none': (('compare', 'gs://', 'a'), 'gs://'),
}
FILES = {  # the text of a config file: what the line must name beside the file
  'x = 1': 'get_config',
  'def get_config(:': 'SyntaxError',
  'import no_such_module': 'no_such',
  'def get_config(): return 1 / 0': 'ZeroDivision',
  'def get_config(): return 3': 'int',
  'def get_config(): return None': 'NoneType',
  'raise RuntimeError("no")': 'RuntimeError',
  'import sys\nsys.exit(0)': 'exit',
  'import sys\ndef get_config(): sys.exit(3)': 'exit',
  'get_config = 3': 'get_config',
  'def get_config(a, b): return 3': 'get_config',
  'class C: pass\ndef get_config(): return C()': 'C',
  'raise SystemExit("bye")': 'exit|bye',
  'def get_config(): return get_config()': 'Recursion',
  '\0': 'null|SyntaxError',
  'x = (' + '(' * 5000: 'SyntaxError|nested|Memory|parenthes',
  'def get_config(variant): raise ValueError(variant)': 'variant',
  'from jaxalign.config import AdamW\ndef get_config(): return AdamW(lr="1")': r'\blr\b',
  'from jaxalign.config import AdamW\ndef get_config(): return AdamW()': 'stage|run',
  'from jaxalign.config import AdamW\ndef get_config(): return AdamW': 'type|AdamW',
  'from jaxalign.config import AdamW\ndef get_config(): return AdamW(rate=1)': 'rate',
}
RESULTS = {  # of a finished study, as compare reads it: (outcomes.jsonl, about.json, names)
  'rows torn': (b'{"arm": "a", "se', b'{"base": "x", "items": {}}', r'outcomes\.jsonl'),
  'rows without an arm': (b'{"seed": 1}\n', b'{"base": "x", "items": {}}', r'outcomes|arm'),
  'rows of numbers': (b'1\n2\n', b'{"base": "x", "items": {}}', r'outcomes'),
  'no rows': (b'', b'{"base": "x", "items": {}}', r'two finished|outcomes|compare'),
  'about torn': (b'{"arm": "a"}\n', b'{"base": ', r'about\.json'),
  'about an array': (b'{"arm": "a"}\n', b'[]', r'about\.json'),
  'about of nothing': (b'{"arm": "a"}\n', b'{}', r'about\.json'),
  'rows not UTF-8': (b'\xff\n', b'{"base": "x", "items": {}}', r'outcomes\.jsonl'),
  'rows nested deep': (b'[' * 100_000, b'{"base": "x", "items": {}}', r'outcomes\.jsonl'),
}


def cases():
  for name, (argv, says) in LINES.items():
    yield Case(kind='commands', name=name, argv=argv, says=says)
  for text, says in FILES.items():
    write = functools.partial(lambda place, text: (place / 'bad.py').write_text(text), text=text)
    yield Case(
      kind='commands',
      name=f'config file {text[:60]!r}',
      argv=('--config={place}/bad.py', RUN),
      says=rf'bad\.py.*({says})|({says})',
      make=write,
    )
  yield Case(
    kind='commands',
    name='config file that is a fifo',
    argv=('--config={place}/bad.py', RUN),
    says=r'bad\.py',
    make=lambda place: os.mkfifo(place / 'bad.py'),
    limit=15,
  )
  for name, (rows, about, says) in RESULTS.items():
    yield Case(
      kind='commands',
      name=f'compare {name}',
      argv=('compare', '{place}/a', '{place}/b'),
      says=says,
      make=functools.partial(_results, rows=rows, about=about),
    )


def _results(place, rows, about):
  for name in 'ab':
    (place / name).mkdir()
    (place / name / 'outcomes.jsonl').write_bytes(rows)
    (place / name / 'about.json').write_bytes(about)
