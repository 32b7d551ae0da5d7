"""Attacks: every code is read again, requests stay whole, what is random is the same each time."""

import json

import pytest

from jaxalign.config import UserError
from jaxalign.evals.templates import HOOKS, MARK, PUBLISHED, Template, from_artifact
from jaxalign.sealing import seal


def test_the_templates_that_are_published():
  names = [template.id for template in PUBLISHED]
  assert len(names) == len(set(names)) >= 12
  for template in PUBLISHED:
    seal(template)
    turns = template.turns('Name a stone.')
    roles = [turn.role for turn in turns if turn.role != 'system']
    assert roles == ['user', 'assistant'] * (len(roles) // 2) + ['user']
    assert MARK not in turns[-1].text
    assert turns == template.turns('Name a stone.') != template.turns('Name a tree.')
    if template.encode == 'plain' and not template.perturb:
      assert 'Name a stone.' in turns[-1].text
  direct = next(template for template in PUBLISHED if template.id == 'direct')
  assert [turn.text for turn in direct.turns('x')] == ['x']


def test_encoded_requests_can_be_read_out_of_the_message():
  for template in PUBLISHED:
    if template.encode != 'plain':
      message = template.turns('Name 4 stones & Trees.')[-1].text
      assert HOOKS[template.encode].encode('Name 4 stones & Trees.') in message


def test_perturbations_differ_by_seed_and_keep_the_letters():
  one, two = (Template(id='p', perturb=0.5, seed=seed) for seed in (1, 2))
  text = 'Describe how a very long bridge is built over water'
  said = [template.turns(text)[0].text for template in (one, two)]
  assert said[0] != said[1] and text not in said
  assert all(sorted(one.lower()) == sorted(text.lower()) for one in said)
  assert Template(id='p', perturb=0.0).turns(text)[0].text == text


def test_a_random_suffix_is_behind_the_request():
  template = Template(id='s', suffix=12)
  said = template.turns('Name a stone.')[0].text
  assert said.startswith('Name a stone. ') and len(said) == len('Name a stone. ') + 12


def test_aim_is_read_from_its_artifact(shared):
  template = from_artifact(str(shared('jailbreakbench/JBC_llama-2-7b-chat-hf.json')))
  assert template.id == 'aim'
  assert template.turns('Name a stone.')[0].text.endswith('first question: Name a stone.')


@pytest.mark.parametrize(
  'given, says',
  [
    ({}, 'has no parameters'),
    ({'parameters': {}}, 'is no artifact of JailbreakBench'),
    (
      {'parameters': {'method_parameters': {'template_name': 'x', 'prompt_template': 'y'}}},
      r'has no \[INSERT PROMPT HERE\]',
    ),
  ],
)
def test_no_artifact_is_one_line(tmp_path, given, says):
  path = tmp_path / 'a.json'
  path.write_text(json.dumps(given))
  with pytest.raises(UserError, match=says) as error:
    from_artifact(str(path))
  assert '\n' not in str(error.value)


def test_a_template_that_cannot_be_used_is_refused():
  with pytest.raises(UserError, match='template x has no'):
    seal(Template(id='x', text='no place'))
  with pytest.raises(UserError, match="'rot14' is none of plain, base64"):
    seal(Template(id='x', decode='rot14'))
