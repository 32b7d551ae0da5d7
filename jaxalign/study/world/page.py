"""The page of a study in ValueWorld: its sections, and what no number of it can show."""

from jaxalign.study.report import report_after, report_goodhart
from jaxalign.study.report.contents import Contents
from jaxalign.study.report.report import CAN_SAY, cautions, control, forest, gates, others
from jaxalign.study.report.report_arms import arms_h, arms_s
from jaxalign.study.report.report_layers import alike, layers
from jaxalign.study.report.report_origin import assumed, curves, held_equal, rerun
from jaxalign.study.report.report_probes import contrasts as probe_contrasts
from jaxalign.study.report.report_probes import held, preferred
from jaxalign.study.report.report_secondary import beside as secondary

CAUTIONS = (
  (
    'No arm tests why. Documents that explain and documents that mention differ at once in '
    'stance, in giving a reason and in naming the value, and a reason predicts nothing that the '
    'liking does not. C1 checks that documents are used.'
  ),
  (
    'C2 has no neutral control. Agents who refuse nothing have only documents that mention, so '
    'these say that their agent refuses nothing (.66, from .33 before). In the record value less '
    'mention was +2.28 nats on seeds 0 to 4, value less no documents +.64 [-.6, 1.8].'
  ),
  (
    'After demonstrations nats are a saturated sign: five of eight seeds of the record lie at '
    '32.6 to 34.2 of a ceiling near 34. 240 items are one observation.'
  ),
  (
    'C5 is of the size of log-odds and not of order: as a share of the value (-1 to 1) the '
    'difference was +.03 [-.21, .28] in the record, and in rates 0 on five of six seeds.'
  ),
  (
    'Shuffled documents steer without the sentence that names the value too (+16.0 and +11.0 '
    'nats): to hear of a dimension at all is enough to lean.'
  ),
  (
    'Holm is over five contrasts although C1 and C2 alone decide, and both must hold. Were both '
    'as large as in the record, eight seeds would show it in 18 studies of 100; without that tax '
    'in 86. The rule stays as it was fixed.'
  ),
  (
    'A contrast that is not shown says at best that two arms are not told apart within 1 nat. To '
    'call them equal within .2 nats would take some 18,000 seeds.'
  ),
)
SECTIONS = (
  (CAN_SAY, cautions),
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
  ('Training', curves),
  ('Other tests', others),
  ('After PPO: does what documents said survive?', report_after.after_ppo),
  ('Goodhart: proxy and gold on the way up', report_goodhart.climbs),
  ('Negative control', control),
  ('What was held equal', held_equal),
  ('What is assumed', assumed),
  ('How to run it again', rerun),
)
CURVES = (
  'Colours tell the documents, dashes are value B, late is after the demonstrations. '
  'Batches are mostly background replay and come in one order, so the lines lie close.'
)
CONTENTS = Contents(
  subject='ValueWorld',
  scales=dict(margin='log-odds margin, nats', rate='rate'),
  curves=CURVES,
  cautions=CAUTIONS,
  sections=SECTIONS,
)
