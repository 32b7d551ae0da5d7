"""One iteration of PPO on two narrow layers, by the run's own programs, and what must hold of it.

The tokenizer, the prompts, the rules and the optimizers are the run's; the batch is eight prompts,
a fifth of the vocabulary ends an answer, so that rows end early, and pad is the first of these.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import numpy as np

from jaxalign.config import UserError
from jaxalign.data.cutting import Example
from jaxalign.data.text import Tokenizer
from jaxalign.models import heads
from jaxalign.rl import players
from jaxalign.stages.contract import Playing
from jaxalign.stages.doctors import doctor

ROWS, _PROMPT, _RESPONSE = 8, 48, 12
_EXACT = {'float32': 1e-5}  # between two programs; other types:
_ROUGH = 2e-3
Once = Callable[..., tuple[Any, players.Rollout, Mapping[str, Any]]]  # stage ppo's `once`


@dataclasses.dataclass(kw_only=True)
class _Rehearsal:
  cfg: Any  # the twin's
  policy: Any  # as it sampled
  seen: players.Rollout
  metrics: dict[str, float]  # means of the iteration

  @property
  def near(self) -> float:
    return _EXACT.get(self.cfg.model.dtype, _ROUGH)


def _small(cfg, tokenizer):
  """The config of the twin: the same rules, except that nobody waits and nothing else is read."""
  vocab = cfg.model.vocab
  ends = tuple(i for i in range(0, vocab, 5) if i != tokenizer.eos)
  model = dataclasses.replace(doctor.twin(cfg.model), eos=(tokenizer.eos, *ends))
  minibatches = 2 if cfg.minibatches > 1 else 1
  rules = dataclasses.replace(cfg.rules, critic_first=0, ptx=0.0)
  nothing = dict(init=None, reference=None, critic=None, pretraining=())
  prompt, response = min(cfg.prompt, _PROMPT), min(cfg.response, _RESPONSE)
  sizes = dict(batch=ROWS, minibatch=ROWS // minibatches, prompt=prompt, response=response)
  sizes |= dict(microbatches=min(cfg.microbatches, 2))
  return dataclasses.replace(cfg, model=model, rules=rules, **nothing, **sizes)


def _batch_of(examples, tokenizer, length):
  """Real prompts, ending at the right; one of them holds the end token in its midst."""
  rows = {n: np.zeros((ROWS, length), np.int32) for n in ('tokens_BT', 'segment_BT', 'position_BT')}
  for r in range(ROWS):
    ids = examples[r % len(examples)].tokens[-length:].copy()
    if r == 0:
      ids[len(ids) // 2] = tokenizer.eos
    rows['tokens_BT'][r, length - len(ids) :] = ids
    rows['segment_BT'][r, length - len(ids) :] = 1
    rows['position_BT'][r, length - len(ids) :] = np.arange(len(ids))
  return rows


def rehearse(
  cfg: Playing, tokenizer: Tokenizer, examples: Sequence[Example], once: Once
) -> _Rehearsal:
  cfg = _small(cfg, tokenizer)
  rows = _batch_of(examples, tokenizer, cfg.prompt)
  policy, seen, metrics = once(cfg, rows, doctor.Unsaved())
  means = {name: float(total[0] / max(n[0], 1e-30)) for name, (total, n) in metrics.items()}
  return _Rehearsal(cfg=cfg, policy=policy, seen=seen, metrics=means)


def masks(r: _Rehearsal) -> str:
  """Rules 2 and 3: lengths and ends decide, though pad is an end token and a prompt holds one."""
  R, seen = r.cfg.response, r.seen
  tokens_BR, mask_BR = seen.tokens_BT[:, -R:], np.asarray(seen.response_BR).astype(bool)
  ends_BR = np.isin(tokens_BR, r.cfg.model.eos)
  for row in range(ROWS):
    n = int(seen.length_B[row])
    first = int(ends_BR[row].argmax()) + 1 if ends_BR[row].any() else R
    if n != first or bool(seen.finished_B[row]) != bool(ends_BR[row, :n].any()):
      raise UserError(f'row {row} ends at {first} and is said to have length {n}')
    if mask_BR[row].tolist() != [t < n for t in range(R)]:
      raise UserError(
        f'the mask of row {row} is {mask_BR[row].astype(int).tolist()} and its length {n}: masks '
        'come from lengths, never from ids (pad is an end token here), and the end is inside'
      )
    if (seen.tokens_BT[row, -R + n :] != r.cfg.model.eos[0])[: R - n].any():
      raise UserError(f'row {row}: something was sampled after its end')
  prompt_BP = np.asarray(seen.segment_BT)[:, :-R]
  held = (seen.tokens_BT[:, :-R] == r.cfg.model.eos[0]) & (prompt_BP != 0)
  if not held.any() or not (prompt_BP[:, -1] != 0).all():
    raise UserError('an end token inside a prompt was taken for padding')
  done = int(np.sum(seen.finished_B))
  return f'pad == eos; {done} of {ROWS} rows ended early, lengths {sorted(map(int, seen.length_B))}'


def temperature(r: _Rehearsal) -> str:
  """Rule 4: the sampler's, the policy's and the reference's numbers are of one temperature."""
  R, seen, T = r.cfg.response, r.seen, r.cfg.rules.temperature
  logits_BTV = np.asarray(r.policy.logits(seen.tokens_BT, seen.segment_BT), np.float64)
  logits_BRV = logits_BTV[:, -R - 1 : -1] / T
  top_BR1 = logits_BRV.max(-1, keepdims=True)
  logp_BRV = logits_BRV - top_BR1 - np.log(np.exp(logits_BRV - top_BR1).sum(-1, keepdims=True))
  picked_BR = np.take_along_axis(logp_BRV, np.asarray(seen.tokens_BT)[:, -R:, None], -1)[..., 0]
  entropy_BR = -(np.exp(logp_BRV) * logp_BRV).sum(-1)
  mask_BR, near = np.asarray(seen.response_BR).astype(bool), 5 * r.near
  for name, ours, expected in (
    ('old log-probability', seen.logprob_BR, picked_BR),
    ('entropy', seen.entropy_BR, entropy_BR),
    ('reference log-probability', seen.ref_logprob_BR, picked_BR),
    ('reference entropy', seen.ref_entropy_BR, entropy_BR),
    ("sampler's log-probability", seen.sampled_BR, picked_BR),
  ):
    gap = np.abs(ours - expected)[mask_BR].max()
    if not gap <= near:
      raise UserError(f'the {name} is off by {gap:.2g} from that at temperature {T}')
  return f'temperature {T} in sampler, old, reference and entropy; no top-k, no top-p'


def first_ratio(r: _Rehearsal) -> str:
  """Rule 5: before anything moved, new is old; and the policy is its own reference."""
  m, near = r.metrics, r.near
  gaps = {name: abs(m[name] - 1) for name in ('first_ratio', 'first_ratio_max')}
  gaps |= {name: abs(m[name]) for name in ('first_clip_fraction', 'first_approx_kl')}
  gaps |= dict(kl_sequence=abs(m['kl_sequence']) / r.cfg.response)
  for name, gap in gaps.items():
    if not gap <= (0 if name == 'first_clip_fraction' else near):
      raise UserError(
        f'{name}={m[name]:.6g} at the first minibatch, where old and new are the same weights'
      )
  return f'ratio 1 within {gaps["first_ratio_max"]:.1g}, clip fraction 0, KL to the reference 0'


def steps_counted(r: _Rehearsal) -> str:
  """Rules 22 and 23: epochs x minibatches optimizer steps, each finite, and both players move."""
  cfg, m = r.cfg, r.metrics
  wanted = cfg.rules.epochs * cfg.minibatches
  took = m['optimizer_steps'] + m['masked_steps']
  if m['skipped'] or not np.isfinite([m['policy_loss'], m['value_loss']]).all():
    raise UserError(f'{m["skipped"]:.0f} of {wanted} steps had a gradient that is not finite')
  if took != wanted:
    raise UserError(f'{took:.0f} optimizer steps, where epochs x minibatches are {wanted}')
  for name in ('policy', 'critic'):
    if not m[f'{name}_grad_norm'] > 0:
      raise UserError(f'the gradient of the {name} is 0: it would learn nothing')
  masked = f', {m["masked_steps"]:.0f} of them stopped by kl_stop' if m['masked_steps'] else ''
  return (
    f'{cfg.rules.epochs} epochs x {cfg.minibatches} minibatches = {wanted} optimizer steps{masked} '
    f'of {cfg.microbatches} microbatches; losses {m["policy_loss"]:.3g}, {m["value_loss"]:.3g}'
  )


RULES = dict(masks=masks, temperature=temperature, first_ratio=first_ratio, steps=steps_counted)


def last_token(cfg: Playing, examples: Sequence[Example]) -> str:
  """Rule 10: a text has one score, with padding on either side or none, and its end counts."""
  model = dataclasses.replace(doctor.twin(cfg.model), dtype='float32')
  build = heads.fresh(model)
  scorer = jax.jit(lambda key: jax.tree.map(lambda w: w * 4, build(key)))(jax.random.key(1))
  return same_score(jax.jit(lambda tokens, segment: scorer(tokens, segment)), examples)


def same_score(score: Callable[..., Any], examples: Sequence[Example]) -> str:
  ids, T = examples[0].tokens[-_PROMPT:], _PROMPT + 5
  rows = np.zeros((3, T), np.int32)
  segment = np.zeros((3, T), np.int32)
  for row, place in enumerate((slice(0, len(ids)), slice(T - len(ids), T), slice(0, len(ids) - 1))):
    rows[row, place], segment[row, place] = ids[: place.stop - place.start], 1
  right, left, shorter = np.asarray(score(rows, segment))
  whole = float(score(ids[None], np.ones_like(ids[None]))[0])
  if not np.allclose([right, left], whole, atol=1e-4, rtol=1e-4):
    raise UserError(
      f'a text scores {whole:.5g} alone, {right:.5g} padded on the right and {left:.5g} padded on '
      'the left: the score is not read at its last token'
    )
  if np.isclose(shorter, whole, atol=1e-6, rtol=0):
    raise UserError('a text scores the same without its last token: that is not where it is read')
  return f'{whole:.4f} alone, padded right and padded left; {shorter:.4f} without the last token'
