"""The doctor of evaluations passes what runs, finds what does not, and says what it costs."""

import dataclasses

import jax
import pytest

import jaxalign
from jaxalign import sealing
from jaxalign.config import Mesh, UserError
from jaxalign.data import chat
from jaxalign.endpoint import Endpoint
from jaxalign.evals.judges import native, refusal
from jaxalign.models import llama2
from jaxalign.stages import evaluate, opening_judges
from jaxalign.stages.doctors import doctor
from jaxalign.stages.doctors.doctor import Machine
from tests.endpoint_test import Stub
from tests.evals.small import Letters, Small, model

ONE = Machine('one', 1, 1 << 30)
TINY = llama2.tiny(vocab=1024, eos=(2,), remat='none')


def checks(tmp_path, machine=ONE, **changes):
  given = dict(
    model=TINY, tokenizer='shipped', format=chat.TRANSCRIPT, suites=(Small(), Letters()),
    judges=(refusal.Words(),),
  )  # fmt: skip
  cfg = sealing.seal(evaluate.Config(**given | changes))
  return {one.name: one for one in evaluate.doctor(cfg, tmp_path, machine)}


def test_a_good_config_passes_and_its_cost_is_told(tmp_path):
  found = checks(tmp_path / 'not' / 'there')
  assert {one.state for one in found.values()} == {'ok'}
  assert 'small: 7 items' in found['prompts'].why
  assert '12 answers' in found['cost'].why and '84 written at most' in found['cost'].why
  assert not (tmp_path / 'not').exists()


def test_a_chip_has_hours_and_more_rows_take_fewer(tmp_path):
  machine = Machine.of('v5e-4')
  some, more = (checks(tmp_path, machine, rows=rows)['cost'].why for rows in (4, 64))
  assert 'chip-hours' in some
  rate = lambda why: float(why.split('hours: ')[-1].split(' tokens/s')[0].replace(',', ''))
  assert rate(more) > 4 * rate(some) and 'mesh.tensor in place of fsdp' in some
  split = checks(tmp_path, machine, rows=4, mesh=Mesh(fsdp=1, tensor=4))['cost'].why
  assert rate(split) > 2 * rate(some) and 'in place of' not in split


def test_what_does_not_fit_is_counted(tmp_path):
  found = checks(tmp_path, suites=(Small(questions=('a', 'long ' * 600)),))
  assert '1 do not fit 512' in found['prompts'].why


@pytest.mark.parametrize(
  'name, changes, said',
  [
    ('model', dict(model=''), '--config.model='),
    ('text', dict(tokenizer=None), 'tokenizer is not set'),
    ('text', dict(model=llama2.tiny(vocab=512, eos=(2,))), '1024 ids, the model 512'),
    ('data', dict(format=None), '--config.format='),
    ('judges', dict(judges=()), 'needs a judge of kind refusal'),
    (
      'judges',
      dict(judges=(refusal.Words(), native.Classifier(path='no/where', template=native.TRUTH))),
      'judge classifier',
    ),
    ('primaries', dict(primaries=('small/J',)), 'name small/J'),
  ],
)
def test_each_fault_fails_its_check(tmp_path, name, changes, said):
  found = checks(tmp_path, **changes)
  assert found[name].state == 'FAIL' and said in found[name].why


@dataclasses.dataclass(kw_only=True, unsafe_hash=True)
class Judged(Small):
  """Small, judged by whoever tells the truth."""

  name: str = 'judged'
  needs = ('truth',)


def test_a_judge_is_loaded_when_the_model_is_freed_and_must_fit_itself(tmp_path):
  large = model(width=128, depth=6)
  size = sum(x.nbytes for x in jax.tree.leaves(large))
  jaxalign.export(large, tmp_path / 'judge')
  judge = native.Classifier(path=str(tmp_path / 'judge'), template=native.TRUTH)
  how = dict(suites=(Judged(),), judges=(judge,), rows=1)
  room = size // 9 * 10 + 10  # of which nine parts of ten are for weights
  found = checks(tmp_path, Machine('one', 1, room), **how)['memory']
  assert found.state == 'ok' and '; then judge classifier, loaded when' in found.why
  found = checks(tmp_path, Machine('one', 1, room - 100), **how)['memory']
  assert found.state == 'FAIL' and found.why.startswith('judge classifier')
  assert 'holds it' in found.why
  alone = dict(suites=(Small(),), rows=1)
  assert checks(tmp_path, Machine('one', 1, room - 100), **alone)['memory'].state == 'ok'


def test_a_judge_that_is_not_here_is_as_large_as_the_published_and_names_its_slice(tmp_path):
  build = opening_judges.builder_of(
    native.Classifier(path='no/where', template=native.HARMBENCH, name='harm')
  )
  shapes = jax.eval_shape(build, jax.random.key(0))
  assert 12.9e9 < sum(x.size for x in jax.tree.leaves(shapes)) < 13.1e9
  assert doctor.slice_that_holds(shapes, 'v5e') == 'v5e-4'
  assert doctor.slice_that_holds(shapes, 'v5p') == 'v5p-2'
  with pytest.raises(UserError, match='no/where'):
    own = dataclasses.replace(native.TRUTH, yes='aye')
    opening_judges.builder_of(native.Classifier(path='no/where', template=own))


def test_an_endpoint_of_this_machine_is_looked_for_and_no_other(tmp_path):
  stub, suites = Stub(), (Small(),)

  def at(url):
    model = Endpoint(url=url, model='m')
    return checks(tmp_path, model=model, prefill=True, suites=suites)

  there = at(stub.url)
  assert there['endpoint'].state == 'ok' and '7 calls, 84 tokens' in there['cost'].why
  assert stub.seen == []
  stub.server.shutdown()
  stub.server.server_close()
  gone = at(stub.url)['endpoint']
  assert gone.state == 'FAIL' and 'start the server first' in gone.why
  assert at('https://example.invalid/v1')['endpoint'].state == 'skipped'
