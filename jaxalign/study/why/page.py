"""The page of study 3: its sections in their order."""

import functools

from jaxalign.study.report.contents import Contents
from jaxalign.study.report.contrasts import contrasts, control, gates, unjudged
from jaxalign.study.report.provenance import curves, rerun
from jaxalign.study.why import exploratory

CONTENTS = Contents(
  subject='WhyWorld',
  scales=dict(margin='log-odds margin, nats', rate='rate'),
  sections=(
    ('The contrasts', contrasts),
    ('Gates', gates),
    ('Contrasts beside them', unjudged),
    ('Arms that are only explored', exploratory.section),
    ('Training', functools.partial(curves, template='study/training_world.html')),
    ('Negative control', control),
    ('How to run it again', rerun),
  ),
)
