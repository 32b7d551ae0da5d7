"""The page of a study in ValueWorld: its sections in their order."""

import functools

from jaxalign.study.report.arms import after_ppo, arms_h, arms_s, others
from jaxalign.study.report.contents import Contents
from jaxalign.study.report.contrasts import contrasts, control, gates, unjudged
from jaxalign.study.report.goodhart import climbs
from jaxalign.study.report.probes import alike, held, layers, preferred, probe_contrasts
from jaxalign.study.report.provenance import curves, held_equal, rerun
from jaxalign.study.report.study_page import CAN_SAY, words

CONTENTS = Contents(
  subject='ValueWorld',
  scales=dict(margin='log-odds margin, nats', rate='rate'),
  sections=(
    (CAN_SAY, words('study/cautions_world.html')),
    ('The five contrasts', contrasts),
    ('Experiment S: what each arm chooses', arms_s),
    ('Experiment H: what each arm refuses', arms_h),
    ('Gates', gates),
    ('Contrasts beside the five', unjudged),
    ('Probes: what the models prefer', preferred),
    ('Probes: what they hold, and what they do', held),
    ('Probes: directions, layer by layer', layers),
    ('Probes: how alike the arms are', alike),
    ('Probes: the five contrasts', probe_contrasts),
    ('Training', functools.partial(curves, template='study/training_world.html')),
    ('Other tests', others),
    ('After PPO: does what documents said survive?', after_ppo),
    ('Goodhart: proxy and gold on the way up', climbs),
    ('Negative control', control),
    ('What was held equal', functools.partial(
      held_equal, template='study/equal_world.html', kinds=('demonstrations', 'refusals'))),
    ('What is assumed', words('study/assumed_world.html')),
    ('How to run it again', functools.partial(rerun, template='study/rerun_world.html')),
  ),
)  # fmt: skip
