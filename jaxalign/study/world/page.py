"""The page of a study in ValueWorld: its sections in their order."""

import functools

from jaxalign.study.report import report_after, report_goodhart
from jaxalign.study.report.contents import Contents
from jaxalign.study.report.report import CAN_SAY, control, forest, gates, others, words
from jaxalign.study.report.report_arms import arms_h, arms_s
from jaxalign.study.report.report_layers import alike, layers
from jaxalign.study.report.report_origin import curves, held_equal, rerun
from jaxalign.study.report.report_probes import contrasts as probe_contrasts
from jaxalign.study.report.report_probes import held, preferred
from jaxalign.study.report.report_secondary import beside as secondary

CONTENTS = Contents(
  subject='ValueWorld',
  scales=dict(margin='log-odds margin, nats', rate='rate'),
  sections=(
    (CAN_SAY, words('study/cautions_world.html')),
    ('The five contrasts', forest),
    ('Experiment S: what each arm chooses', arms_s),
    ('Experiment H: what each arm refuses', arms_h),
    ('Gates', gates),
    ('Contrasts beside the five', secondary),
    ('Probes: what the models prefer', preferred),
    ('Probes: what they hold, and what they do', held),
    ('Probes: directions, layer by layer', layers),
    ('Probes: how alike the arms are', alike),
    ('Probes: the five contrasts', probe_contrasts),
    ('Training', functools.partial(curves, template='study/training_world.html')),
    ('Other tests', others),
    ('After PPO: does what documents said survive?', report_after.after_ppo),
    ('Goodhart: proxy and gold on the way up', report_goodhart.climbs),
    ('Negative control', control),
    ('What was held equal', functools.partial(
      held_equal, template='study/equal_world.html', kinds=('demonstrations', 'refusals'))),
    ('What is assumed', words('study/assumed_world.html')),
    ('How to run it again', rerun),
  ),
)  # fmt: skip
