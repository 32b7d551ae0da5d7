"""Writes the golden files: what transformers (on torch) answers for every case.

python -m tests.golden.make_golden      from the root of the checkout; needs torch
"""

import copy
import json

import numpy as np
import torch
import transformers

from tests.golden import cases


def reference(name):
  """transformers' logits and each decoder layer's output, every packed document run alone."""
  model, layers = _their_model(name)
  tokens_BT = torch.tensor(cases.tokens(name), dtype=torch.long)
  depth, D = len(layers), model.config.hidden_size
  logits_BTV = np.zeros((*tokens_BT.shape, model.config.vocab_size), np.float32)
  hidden_NBTD = np.zeros((depth, *tokens_BT.shape, D), np.float32)

  segment_BT = cases.SEGMENT_BT
  padded = [b for b, row in enumerate(segment_BT) if row.max() == 1]
  mask_BT = torch.tensor(segment_BT[padded] != 0, dtype=torch.long)
  position_BT = (mask_BT.cumsum(1) - 1).clamp(min=0)
  seen, logits = _run(
    model, layers, tokens_BT[padded], attention_mask=mask_BT, position_ids=position_BT
  )
  logits_BTV[padded], hidden_NBTD[:, padded] = logits, seen

  for b in set(range(len(segment_BT))) - set(padded):
    for document in range(1, segment_BT[b].max() + 1):
      (where,) = np.nonzero(segment_BT[b] == document)
      seen, logits = _run(model, layers, tokens_BT[b : b + 1, where])
      logits_BTV[b, where], hidden_NBTD[:, b, where] = logits[0], seen[:, 0]
  return dict(logits=logits_BTV, hidden=hidden_NBTD)


def _their_model(name):
  fields = copy.deepcopy(cases.CASES[name])  # transformers writes into what is nested
  kind = fields.pop('model_type')
  config = transformers.AutoConfig.for_model(kind, **fields)
  config._attn_implementation = 'eager'
  model = transformers.AutoModelForCausalLM.from_config(config, dtype=torch.float32).eval()
  given = {k: torch.tensor(v) for k, v in cases.tensors(name).items()}
  if config.tie_word_embeddings:
    given['lm_head.weight'] = given['model.embed_tokens.weight']
  model.load_state_dict(given, strict=True)
  return model, model.model.layers


@torch.no_grad()
def _run(model, layers, tokens_BT, **how):
  seen = []

  def tap(module, given, out):
    seen.append(out[0] if isinstance(out, tuple) else out)

  hooks = [layer.register_forward_hook(tap) for layer in layers]
  logits_BTV = model(input_ids=tokens_BT, use_cache=False, **how).logits
  for hook in hooks:
    hook.remove()
  return torch.stack(seen).numpy(), logits_BTV.numpy()


def main():
  for name in cases.CASES:
    content = reference(name)
    if name not in cases.WITH_HIDDEN:
      del content['hidden']
    file = cases.GOLDEN / f'{name}.npz'
    np.savez_compressed(file, config=json.dumps(cases.CASES[name]), **content)
    print(f'{file.name}: {file.stat().st_size} bytes')


if __name__ == '__main__':
  main()
