"""The page of study 3: its sections in their order."""

import functools

from jaxalign.study.report.contents import Contents
from jaxalign.study.report.contrasts import contrasts, control, gates, interactions, unjudged
from jaxalign.study.report.provenance import curves, rerun
from jaxalign.study.why import answer, exploratory, lead

CONTENTS = Contents(
  subject='WhyWorld',
  question=lead.QUESTION,
  answer=answer.answer,
  lead=lead.lead,
  scales=dict(
    share="V: the margins' sum over their sizes", margin='log-odds margin, nats', rate='rate'
  ),
  sections=(
    ('The contrasts', contrasts),
    ('Gates', gates),
    ('Contrasts beside them', unjudged),
    ('Arms that are only explored', exploratory.section),
    ('Training', functools.partial(curves, template='study/training_world.html')),
    ('Negative controls', control),
    ('Less with a control', interactions),
    ('How to run it again', functools.partial(rerun, template='study/rerun_world.html')),
  ),
)
