"""A GKE JobSet, as xpk writes it, for those whose TPUs hang on Kubernetes: a file for kubectl."""

import json
import pathlib

from launch import accelerators
from launch.shell import PodError

SPOT = """
              cloud.google.com/gke-spot: "true"
            tolerations:
            - {key: cloud.google.com/gke-spot, operator: Exists, effect: NoSchedule}"""


def main(args):
  """up writes NAME.yaml; what the other verbs are is said."""
  kubectl = {
    'run': f'kubectl apply -f {args.name}.yaml',
    'logs': f'kubectl logs -f job/{args.name}-slice-0 --container=jaxalign',
    'status': f'kubectl get jobset {args.name} && kubectl get pods -l '
    f'jobset.sigs.k8s.io/jobset-name={args.name} -o wide',
    'stop': f'kubectl patch jobset {args.name} --type=merge -p \'{{"spec":{{"suspend":true}}}}\'',
    'down': f'kubectl delete jobset {args.name}',
  }
  if args.verb != 'up':
    print(kubectl[args.verb])
    return 0
  if not args.image:
    raise PodError(
      '--image is missing: a container with the checkout and its packages (docs/tpu.md)'
    )
  text = jobset(args, accelerators.find(args.slice))
  if args.dry_run:
    print(text, end='')
  else:
    try:
      pathlib.Path(f'{args.name}.yaml').write_text(text)
    except OSError as error:
      raise PodError(f'{args.name}.yaml cannot be written here: {error.strerror}') from error
  print(f'# start it with: kubectl apply -f {args.name}.yaml; remove it with: {kubectl["down"]}')
  return 0


def jobset(args, found):
  """YAML by hand, values as JSON, which YAML is a superset of. Secrets are named, never held."""
  chips = found.chips // found.hosts
  q = json.dumps
  return f"""apiVersion: jobset.x-k8s.io/v1alpha2
kind: JobSet
metadata:
  name: {args.name}
  annotations:
    alpha.jobset.sigs.k8s.io/exclusive-topology: cloud.google.com/gke-nodepool
spec:
  failurePolicy:
    maxRestarts: {args.restarts}  # all pods anew; the run goes on from its last save
    rules:
    - {{action: FailJobSet, onJobFailureReasons: [PodFailurePolicy]}}
  replicatedJobs:
  - name: slice
    replicas: {args.num_slices}
    template:
      spec:
        parallelism: {found.hosts}
        completions: {found.hosts}
        backoffLimit: 0
        podFailurePolicy:
          rules:  # bad input does not get better
          - action: FailJob
            onExitCodes: {{containerName: jaxalign, operator: In, values: [2]}}
        template:
          spec:
            restartPolicy: Never
            hostNetwork: true
            dnsPolicy: ClusterFirstWithHostNet
            terminationGracePeriodSeconds: 300  # SIGTERM: it saves first
            nodeSelector:
              cloud.google.com/gke-tpu-accelerator: {q(found.gke)}
              cloud.google.com/gke-tpu-topology: {q(found.topology)}{SPOT if args.spot else ''}
            containers:
            - name: jaxalign
              image: {q(args.image)}
              workingDir: /jaxalign
              command: {q(args.command)}
              env:
              - {{name: PYTHONUNBUFFERED, value: "1"}}
              envFrom:
              - secretRef: {{name: {args.name}-secrets, optional: true}}  # WANDB_API_KEY, HF_TOKEN
              ports:
              - containerPort: 8471
              - containerPort: 8080
              resources:
                limits:
                  google.com/tpu: {chips}
"""
