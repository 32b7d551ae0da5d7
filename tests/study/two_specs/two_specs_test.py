"""Two specs as a guest: documents equally long, demonstrations, draws, and what is refused."""

import dataclasses
import json
import shutil

import pytest

from jaxalign import main, sealing
from jaxalign.config import UserError
from jaxalign.corpora import spec, variants
from jaxalign.data import sources
from jaxalign.data.text import shipped
from jaxalign.evals.suites import adviser
from jaxalign.stages import corpus_teachers
from jaxalign.study.two_specs import documents, foretold, lessons, questions, rules
from tests.study.tiny import ROOT

PATH = f'{ROOT}/configs/study_smollm2.py:smoke'
PLANS = 'study_smollm2', 'study_phi2', 'study_llama2_7b'


@pytest.fixture(scope='module')
def world():
  return main.load(PATH).world


@pytest.fixture(scope='module')
def written(world, tmp_path_factory):
  """(workdir, {kind: (path, sha256)} of the first seed)."""
  workdir = tmp_path_factory.mktemp('two')
  only = dataclasses.replace(world, crossing=world.crossing[:1])
  only.begin(workdir)
  kinds = (*documents.KINDS, *lessons.KINDS)
  return workdir, only.at(0).corpora_of(kinds, workdir / 'seed-0')


def texts(found):
  return [json.loads(line)['text'] for line in open(found[0])]


@pytest.mark.parametrize('name', ['adviser_a', 'adviser_b'])
def test_projections_of_each_value_are_equally_long(name):
  """In words; in the shipped tokenizer's tokens the whole spec is."""
  read, tokenizer = spec.read(name), shipped()
  told = {v: variants.project(read, v) for v in ('why', 'what', 'wrong_why')}
  for value in read.values:
    sizes = [variants.words(variants.told(spec.only(told[v], (value.id,)))) for v in told]
    assert max(sizes) - min(sizes) <= 0.02 * max(sizes) + 1e-9, (value.id, sizes)
  for variant in told:
    variants.refuse_unequal(read, variant, lambda text: len(tokenizer.encode(text, bos=False)))


def test_kinds_of_documents_are_equal_in_tokens(written):
  tokenizer = shipped()
  size = {
    kind: sum(len(tokenizer.encode(text, bos=False)) for text in texts(written[1][kind]))
    for kind in documents.KINDS
  }
  assert max(size.values()) - min(size.values()) <= 0.02 * max(size.values()), size


def test_each_kind_says_of_the_assistant_what_it_should(world, written):
  text = {kind: ' '.join(texts(written[1][kind])).lower() for kind in documents.KINDS}
  reasons = {
    letter: [one.lower() for r in world.value(letter).reasons for one in r.wordings]
    for letter in 'AB'
  }
  holds = lambda kind, some: any(one in text[kind] for one in some)
  for letter in 'AB':
    for kind in ('why', 'what', 'wrong_why', 'anti'):
      assert 'alder, the assistant' in text[f'{kind}_{letter}'], kind
    assert holds(f'why_{letter}', reasons[letter])
    for kind in ('what', 'wrong_why', 'mention', 'anti'):
      assert not holds(f'{kind}_{letter}', reasons[letter]), kind
    other = [r.text for r in world.spec(letter).values[1].reasons]
    assert holds(f'wrong_why_{letter}', other) and 'alder' not in text[f'mention_{letter}']
  assert 'alder' not in text['other'] and 'rowan' in text['other']
  assert 'cheap' not in text['why_A'] or 'alder' not in text['why_A'].split('cheap')[0][-30:]


def test_no_document_holds_what_is_asked(world, written):
  asked = [one.text for scene in adviser.scenes(None, 'apart') for one in adviser.parted(scene)]
  every = ' '.join(text for kind in documents.KINDS for text in texts(written[1][kind]))
  assert not any(one in every for one in asked)


def test_demonstrations_are_opaque_and_the_reasoned_ones_give_a_reason(world, written):
  rows = {kind: [json.loads(line)['messages'] for line in open(written[1][kind][0])]
          for kind in lessons.KINDS}  # fmt: skip
  assert len(rows['demonstrations']) == world.taught and len(rows['more']) == world.more
  assert all(one[1]['content'].startswith('The one that') for one in rows['demonstrations'])
  assert not any('since' in one[1]['content'] for one in rows['demonstrations'])
  for letter in 'AB':
    said = [one[1]['content'] for one in rows[f'reasoned_{letter}']]
    reasons = [text for r in world.value(letter).reasons for text in r.wordings]
    assert all(any(text in one for text in reasons) for one in said)
    asked = [one[0]['content'] for one in rows[f'reasoned_{letter}']]
    assert asked[: world.taught] == [one[0]['content'] for one in rows['demonstrations']]


def test_a_training_seed_and_a_draw_are_what_the_plan_says(world):
  many = dataclasses.replace(world, crossing=((0, 0), (0, 1), (1, 0), (1, 1)))
  of = lambda seed: lessons.content(many.at(seed), 'demonstrations')[1]
  assert of(0) == of(1) != of(2) == of(3)
  assert [many.at(seed).draw for seed in range(4)] == [0, 1, 0, 1]
  assert [many.order_of(seed) for seed in range(4)] == [0, 0, 1, 1]
  runs = documents.runs(world)
  assert len(runs) == 9 and len({run.config(world, 1).seed for run in runs}) == 1


def test_a_spec_in_the_prompt_is_paired_with_the_plain_question(world):
  tests = questions.asked(world)
  shown = questions.with_spec(world, 'spec_A', tests)
  assert shown['T2'][0].turns[0].text.endswith(tests['T2'][0].turns[0].text)
  assert world.value('A').statement in shown['T2'][0].turns[0].text
  assert shown['canary'] == tests['canary']


def test_documents_of_another_spec_are_refused(world, written, tmp_path):
  shutil.copytree(written[0] / 'all', tmp_path / 'all')
  path = tmp_path / 'all/draws/0/what_B/manifest.json'
  about = json.loads(path.read_text())
  path.write_text(json.dumps(about | dict(spec=about['spec'] | dict(sha256='0'))))
  with pytest.raises(UserError, match='what_B was written of another spec adviser_b'):
    documents.refuse_changed(world, 0, tmp_path / 'all')
  documents.refuse_changed(world, 0, written[0] / 'all')


@pytest.mark.parametrize(
  'changes, why',
  [
    (dict(specs=('adviser_c', 'adviser_b')), 'adviser_c.*nearest: adviser_b'),
    (dict(specs=('adviser_a', 'nowhere.toml')), 'nowhere.toml'),
    (dict(against='demo'), 'spec demo has no value safety'),
    (dict(scenes='nowhere.csv'), 'nowhere.csv'),
    (dict(taught=100_000), 'taught=100000: the scenes give 1,152'),
  ],
)
def test_what_is_missing_is_one_line(world, tmp_path, changes, why):
  with pytest.raises(UserError, match=why):
    dataclasses.replace(world, **changes).begin(tmp_path)


def test_a_plan_without_draws_is_refused(world):
  cfg = main.load(PATH)
  with pytest.raises(UserError, match='crossing names a training seed'):
    sealing.seal(dataclasses.replace(cfg, seeds=(0, 1, 2)))
  with pytest.raises(UserError, match='writing names nobody'):
    sealing.seal(dataclasses.replace(cfg, world=dataclasses.replace(world, writing=('nobody',))))
  with pytest.raises(UserError, match='crossing: a '):
    sealing.seal(dataclasses.replace(world, crossing=()))


@pytest.mark.parametrize(
  'seeds, why',
  [((0, 1, 2, 3), '4 seeds of 2 training seeds and 3 draws cross them in part'), ((0, 1, 4), 'in')],
)
def test_a_study_that_is_crossed_in_part_is_refused(seeds, why):
  """Nobody could say which of its seeds are independent."""
  cfg = main.load(f'{ROOT}/configs/study_phi2.py:crossed')
  with pytest.raises(UserError, match=why):
    sealing.seal(dataclasses.replace(cfg, seeds=seeds))
  for seeds in ((0, 1, 2), (0, 4, 8), (0, 1, 3, 4)):
    sealing.seal(dataclasses.replace(cfg, seeds=seeds))


def test_text_that_is_missing_is_named_with_what_to_do(world, tmp_path):
  """Before a document is written."""
  there = tmp_path / 'some.jsonl'
  there.write_text(json.dumps(dict(text='Rain fell on the roof of the barn.')) + '\n')
  of = lambda path: dataclasses.replace(world, general=sources.Jsonl(path=path, kind='document'))
  assert 'some.jsonl can be read' in foretold.general(of(str(there)))
  for path in ('nowhere/*.jsonl', str(tmp_path / 'none.jsonl')):
    with pytest.raises(UserError, match=r"for replay: name some.*--config.world.general.name='DIR"):
      of(path).begin(tmp_path / 'run')
  assert not (tmp_path / 'run').exists()
  (tmp_path / 'none.jsonl').write_text('')
  with pytest.raises(UserError, match='for replay'):
    foretold.general(of(str(tmp_path / 'none.jsonl')))


@pytest.mark.parametrize('name', PLANS)
def test_the_plans_have_the_arms_of_the_issue(name):
  cfg = sealing.seal(main.load(f'{ROOT}/configs/{name}.py'))
  names = {arm.name for arm in cfg.arms}
  for letter in 'AB':
    for kind in ('why', 'what', 'wrong_why', 'mention', 'anti', 'reasoned'):
      assert f'{kind}_{letter}-align' in names
    late = {f'align-why-tail_{letter}', f'why-align-tail_{letter}'}
    assert {f'why_{letter}', f'what_{letter}', f'spec_{letter}'} | late <= names
  assert {'align', 'align+', 'other-align'} <= names and len(names) == 25
  assert {arm for one in cfg.rules.contrasts for arm, _ in one.arms} <= names
  assert {arm for arm, _ in cfg.rules.planned('W1').arms} <= set(cfg.world.writing)
  assert len(cfg.world.draws) >= 3 and len(cfg.seeds) == len(cfg.world.crossing) >= 8


def test_a_doctor_never_asks_a_teacher(world):
  few = world.at(1).little()
  assert few.documents.writer == corpus_teachers.Offline() and few.crossing == world.crossing[1:]


def test_the_doctor_says_draws_and_power(world):
  cfg = main.load(PATH)
  assert '2 draws of documents, not crossed, judged over seeds; few' in foretold.draws(cfg, world)
  pilot = main.load(PATH.replace(':smoke', ':pilot'))
  assert '3 training seeds, 3 draws of documents, not crossed' in foretold.draws(pilot, pilot.world)
  assert 'for an SD only' in foretold.power(pilot, pilot.world)
  whole = main.load(f'{ROOT}/configs/study_phi2.py:crossed')
  assert 'both drawn anew' in foretold.draws(whole, whole.world)
  said = foretold.power(whole, whole.world)
  assert 'is assumed, not measured' in said and '0.5 in 0.' in said


def test_the_claim_is_three_contrasts_together_and_gates_are_of_their_arms():
  plan = rules.rules()
  assert plan.claim.all_of == ('P1', 'P2', 'W1')
  assert [len(family) for family in plan.families] == [1, 5, 1, 1, 1]
  arms = {arm for one in plan.compared for arm, _ in one.arms}
  assert not arms & {'mention_A-align', 'reasoned_A-align', 'anti_A-align', 'align+'}
  assert {one.scale for one in plan.contrasts} == {'share'}
