"""Flags of the launcher: what is refused before anything is asked of a cloud."""

import pytest


@pytest.mark.parametrize(
  'flags, command, says',
  [
    (['--name=Big_Name'], ['x'], '--name=Big_Name: lower case'),
    (['--slice=v5e-63'], ['x'], 'there is no v5e-63; it comes as 1, 4, 8'),
    (['--slice=h100-8'], ['x'], 'kinds are v4, v5e, v5p, v6e'),
    (['--spott'], ['x'], 'unrecognized arguments: --spott (--help says more)'),
    ([], None, 'give the command after --'),
    ([], ['--config=configs/none.py', '--workdir=gs://b/x'], 'git tracks no such file'),
    ([], ['--config=configs/ppo_phi2.py', '--workdir=out'], '--workdir=out: name a gs:// place'),
    (['--slice=local-2'], ['--config=configs/ppo_phi2.py', '--workdir=out'], 'from the root'),
    (['--slice=local-0'], ['x'], 'from 1 to 64'),
    (['--zone='], ['x'], '--zone=: takes a name, which is not empty'),
    (['--zone=--help'], ['x'], '--zone=--help: takes a name, which is not'),
    (['--zone=a b'], ['x'], '--zone=a b: letters, digits, dashes and dots'),
    (['--project=-x'], ['x'], '--project=-x: takes a name'),
    (['--runtime_version='], ['x'], '--runtime_version=: takes a name'),
    (['--gke', '--image=--rm'], ['x'], '--image=--rm: takes a name'),
    (['--slice=local-2', '--root='], ['x'], '--root=: takes a name'),
    (['--slice='], ['x'], '--slice=: takes a name'),
    ([f'--slice=v5e-{"9" * 5000}'], ['x'], 'write KIND-COUNT'),
    (['--create_flag=network=x'], ['x'], 'a flag of gcloud, as --create_flag=--network=NAME'),
    (['--env=A,B C'], ['x'], "'B C' is no name of a variable"),
    (['--restarts=-5'], ['x'], "--restarts: '-5' is no whole number from 0 on"),
    (['--worker=-1'], ['x'], "--worker: '-1' is no whole number from 0 on"),
    (['--gke'], ['x'], '--image is missing'),
    (['--gke', '--down_after'], ['x'], '--down_after is not for --gke'),
    (['--num_slices=2'], ['x'], 'several slices over DCN are for --gke'),
    (['--poll=-1'], ['x'], '--poll: invalid amount value'),
    (['--wait=nan'], ['x'], '--wait: invalid amount value'),
    (['--devices=0'], ['x'], '--devices: invalid count value'),
    (['--env=A=hidden'], ['x'], 'error: --env takes names, and no values: export them first'),
    (['--create_flag=--metadata=x=hf_very_secret'], ['x'], 'HF_TOKEN stands in the command line'),
    ([], ['env', 'HF_TOKEN=another', 'x'], 'HF_TOKEN stands in the command line'),
    ([], ['--config', 'configs/ppo_phi2.py'], '--config: write --config=..., with the equals'),
  ],
)
def test_bad_arguments(go, flags, command, says, monkeypatch):
  monkeypatch.setenv('HF_TOKEN', 'hf_very_secret')
  status, said = go('up', *flags, command=command)
  assert status == 2 and len(said) == 1 and says in said[0], said
