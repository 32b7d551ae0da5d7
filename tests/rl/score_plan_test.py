"""How a job of scoring is cut: every pair once, few programs, little padding."""

import numpy as np
import pytest

from jaxalign.rl.score_plan import plan

RANDOM = np.random.RandomState(0)


def ids(n):
  return tuple(RANDOM.randint(3, 1000, n).tolist())


def choices(questions, answers=4, primer=()):
  """Questions of 5 to 40 tokens with several answers of 1 to 20."""
  contexts = [primer + ids(RANDOM.randint(5, 40)) for _ in range(questions)]
  return [(c, ids(RANDOM.randint(1, 20))) for c in contexts for _ in range(answers)]


def programs(how):
  contexts = {group.width for group in how.groups} - {0}
  return bool(how.primer) + len(contexts) + len({c.width for g in how.groups for c in g.calls})


PRIMER = ids(50)
JOBS = {
  'choices': (choices(200), 0, True),
  'choices after a primer': (choices(200, primer=PRIMER), 50, True),
  'no context twice': (choices(300, answers=1), 0, False),
  'none twice, after a primer': (choices(300, answers=1, primer=PRIMER), 50, False),
  'texts': ([((1,), ids(n)) for n in range(1, 400, 3)], 0, False),
}


@pytest.mark.parametrize('name', JOBS)
def test_few_programs_little_padding_and_every_pair_once(name):
  pairs, primer, shared = JOBS[name]
  how = plan(pairs, rows=16, ways=1, primed=True)
  assert (len(how.primer), how.shared) == (primer, shared)
  assert programs(how) <= 6 and how.padding <= 0.4
  places = [place for group in how.groups for call in group.calls for place in call.places]
  assert sorted(places) == list(range(len(pairs)))
  for group in how.groups:
    assert len(group.contexts) <= how.held and max(map(len, group.contexts)) <= group.width
    for call in group.calls:
      assert len(call.places) <= how.rows == 16
      for place in call.places:
        context = how.context(place)
        assert context in group.contexts and len(how.row(place)) - 1 <= call.width
        assert how.primer + context + how.row(place) == pairs[place][0] + pairs[place][1]
        assert primer + group.width + call.width <= how.slots


def test_a_shared_context_is_read_once():
  pairs = choices(200)
  how = plan(pairs, rows=16, ways=1, primed=True)
  held = [context for group in how.groups for context in group.contexts]
  assert sorted(held) == sorted({context[:-1] for context, _ in pairs})


def test_padding_is_the_share_of_slots_without_a_token():
  how = plan([((1, 2, 3), (4,)), ((1, 2), (5,))], rows=16, ways=1, primed=True)
  assert [(g.width, [c.width for c in g.calls]) for g in how.groups] == [(0, [4])]
  assert how.rows == 2 and how.padding == pytest.approx(1 - 5 / 8)


def test_a_mesh_gets_as_many_rows_as_it_splits_them():
  how = plan(choices(5), rows=9, ways=4, primed=True)
  assert how.rows == 12 and how.held == 8
