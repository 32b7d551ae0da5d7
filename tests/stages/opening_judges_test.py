"""Judges that need weights, opened: what they say, and who is no evidence."""

import json

import jax
import numpy as np
import pytest
from etils import epath

import jaxalign
from jaxalign.config import UserError
from jaxalign.data import chat, dialogues
from jaxalign.data.records import Conversation, Turn
from jaxalign.data.text import shipped
from jaxalign.evals.ask import fingerprint_of
from jaxalign.evals.item import Item, Said
from jaxalign.evals.judges import gold, http, native, refusal
from jaxalign.sharding.meshes import make_mesh
from jaxalign.stages import opening_judges, trained
from tests.evals.small import model
from tests.stages.judging_test import known
from tests.stages.trained_test import run, store

ASKED = (Turn('user', 'How?'),)
ANSWERS = ('So.', 'In some other way, that is', '')


@pytest.fixture
def mesh():
  return make_mesh(1, 1, 1, devices=jax.devices()[:1])


def said(item, *answers):
  return [(item, Said(key=str(n), item=item.id, text=a)) for n, a in enumerate(answers)]


def ppo(workdir, init, *by):
  workdir.mkdir()
  (workdir / 'checkpoints').mkdir()
  judges = [dict(by=str(one), weight=1.0) for one in by]
  raw = {'class': trained.PPO, 'init': init and str(init), 'judges': judges}
  (workdir / 'config.json').write_text(json.dumps(raw))
  return str(workdir)


def test_a_reward_model_scores_each_dialogue_with_its_answer(tmp_path, mesh):
  scorer = store(tmp_path)
  judge = opening_judges.opened(gold.Reward(workdir=str(tmp_path)), tmp_path, mesh, {})
  item = Item(turns=ASKED, right=('So it is.',))
  found = judge.verdicts(said(item, *ANSWERS))
  for answer, verdict in zip(ANSWERS, found):
    talk = Conversation((*ASKED, Turn('assistant', answer)))
    tokens = dialogues.encode(chat.TRANSCRIPT, shipped(), talk).tokens
    assert verdict.value == pytest.approx(float(run(scorer, tokens[None])[0]), abs=1e-4)
  assert opening_judges.by_all(judge) and len({one.value for one in found}) == 3


def test_the_reward_model_of_the_policy_is_no_evidence(tmp_path, mesh):
  known(tmp_path / 'a', 1)
  known(tmp_path / 'b', 2)
  policy = ppo(tmp_path / 'policy', None, tmp_path / 'a')
  later = ppo(tmp_path / 'later', policy)
  for name in (policy, later):
    marks = opening_judges.trained_by(name)
    assert list(marks) == [str(tmp_path / 'a')]
    opening_judges.refuse(gold.Reward(workdir=str(tmp_path / 'b')), marks)
    for copy in ('a', 'copy'):
      if copy == 'copy':
        (tmp_path / 'a').rename(tmp_path / 'copy')
      judge = gold.Reward(workdir=str(tmp_path / copy))
      with pytest.raises(UserError, match='the same reward model is no evidence'):
        opening_judges.refuse(judge, marks)
      with pytest.raises(UserError, match='the same reward model is no evidence'):
        opening_judges.opened(judge, tmp_path, mesh, marks)
    (tmp_path / 'copy').rename(tmp_path / 'a')
  assert opening_judges.trained_by('http://h/v1#m') == {} == opening_judges.trained_by(model().cfg)


@pytest.mark.parametrize('wrapped', [False, True])
def test_what_a_reward_model_chose_was_trained_by_it(tmp_path, wrapped):
  """sft or dpo on the answers of best-of-n: the proxy has shaped the policy as in PPO."""
  known(tmp_path / 'proxy', 1)
  known(tmp_path / 'gold', 2)
  known(tmp_path / 'first', 3)
  before = ppo(tmp_path / 'before', None, tmp_path / 'first')
  (tmp_path / 'bon').mkdir()
  chosen = {'class': trained.BON, 'init': before, 'proxy': [dict(by=str(tmp_path / 'proxy'))]}
  chosen |= dict(gold=[dict(by=str(tmp_path / 'gold'))])
  (tmp_path / 'bon' / 'config.json').write_text(json.dumps(chosen))
  source = {'class': 'jaxalign.data.sources:Jsonl', 'path': [str(tmp_path / 'bon/best-*.jsonl')]}
  raw = {'class': 'jaxalign.stages.dpo:Config', 'init': None}
  raw['train'] = [dict(source=source) if wrapped else source]
  policy = ppo(tmp_path / 'policy', None)
  (tmp_path / 'policy' / 'config.json').write_text(json.dumps(raw))
  marks = opening_judges.trained_by(policy)
  assert set(marks) == {str(tmp_path / 'proxy'), str(tmp_path / 'first')}
  opening_judges.refuse(gold.Reward(workdir=str(tmp_path / 'gold')), marks)
  with pytest.raises(UserError, match='the same reward model is no evidence'):
    opening_judges.refuse(gold.Reward(workdir=str(tmp_path / 'proxy')), marks)
  assert opening_judges.trained_by(str(tmp_path / 'bon')) == marks
  raw['train'] = [dict(source, path=str(tmp_path / 'elsewhere/best.jsonl'))]
  (tmp_path / 'policy' / 'config.json').write_text(json.dumps(raw))
  assert opening_judges.trained_by(policy) == {}


def test_what_is_no_reward_model_is_refused_before_anything_is_asked(tmp_path):
  with pytest.raises(UserError, match='judge gold .*no such workdir of stage reward'):
    opening_judges.refuse(gold.Reward(workdir=str(tmp_path)), {})
  with pytest.raises(UserError, match='judge classifier: .*no such file'):
    judge = native.Classifier(path=str(tmp_path / 'x'), template=native.TRUTH)
    opening_judges.refuse(judge, {})


def test_a_classifier_is_loaded_and_known_by_its_weights(tmp_path, mesh):
  jaxalign.export(model(), tmp_path / 'hf')
  judge = native.Classifier(path=str(tmp_path / 'hf'), template=native.TRUTH, batch=4)
  one = opening_judges.opened(judge, tmp_path, mesh, {})
  assert one.fingerprint == judge.opened(model(), fingerprint_of(model())).fingerprint
  other = judge.opened(model(1), fingerprint_of(model(1)))
  assert one.fingerprint != other.fingerprint and opening_judges.by_all(one)
  assert np.isfinite([v.value or 0 for v in one.verdicts(said(Item(turns=ASKED), 'So.'))]).all()


def test_who_needs_no_weights_is_asked_by_one_process(tmp_path, mesh):
  words = refusal.Words()
  assert opening_judges.opened(words, tmp_path, mesh, {}) is words
  assert not opening_judges.by_all(words)
  from jaxalign.endpoint import Endpoint

  judge = http.Http(endpoint=Endpoint(url='http://127.0.0.1:1/v1', model='m'), rubric=http.HARM)
  one = opening_judges.opened(judge, epath.Path(tmp_path), mesh, {})
  assert not opening_judges.by_all(one) and one.replies.endswith('replies/http.jsonl')
  with pytest.raises(UserError, match='keeps its replies on a local disk'):
    opening_judges.opened(judge, epath.Path('gs://bucket/run'), mesh, {})
