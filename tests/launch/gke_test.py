"""The JobSet that GKE is given."""

import pytest


def test_a_jobset_for_gke(go, monkeypatch, tmp_path):
  yaml = pytest.importorskip('yaml')
  monkeypatch.chdir(tmp_path)
  monkeypatch.setenv('HF_TOKEN', 'hf_very_secret')
  command = ['--config=configs/ppo_phi2.py', '--workdir=gs://b/x', '--config.init=a\n- b: "c']
  flags = ['--gke', '--image=i:1', '--slice=v5e-64', '--num_slices=2']
  assert go('up', *flags, command=command)[0] == 0
  text = (tmp_path / 'p.yaml').read_text()
  assert 'secret' not in text.replace('secretRef', '').replace('p-secrets', '')
  spec = yaml.safe_load(text)['spec']['replicatedJobs'][0]
  assert spec['replicas'] == 2 and spec['template']['spec']['parallelism'] == 16
  inside = spec['template']['spec']['template']['spec']
  assert inside['nodeSelector']['cloud.google.com/gke-tpu-topology'] == '8x8'
  container = inside['containers'][0]
  assert container['resources']['limits']['google.com/tpu'] == 4
  assert container['command'] == ['python', '-m', 'jaxalign.main', *command]
  assert 'tolerations' not in inside and len(inside['nodeSelector']) == 2
  assert go('up', '--gke', '--spot', '--image=i:1', command=command)[0] == 0
  spec = yaml.safe_load((tmp_path / 'p.yaml').read_text())['spec']['replicatedJobs'][0]
  inside = spec['template']['spec']['template']['spec']
  assert inside['nodeSelector']['cloud.google.com/gke-spot'] == 'true'
  assert inside['tolerations'][0]['key'] == 'cloud.google.com/gke-spot'
  assert go('down', '--gke')[1] == ['kubectl delete jobset p']
