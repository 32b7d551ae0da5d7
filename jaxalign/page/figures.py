"""Figures of a page: their colours, their letters, and the width at which a phone shows them."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
  import numpy as np
  from matplotlib.axes import Axes
  from matplotlib.figure import Figure

# Okabe and Ito's colours, told apart by any eye; a marker or a dash says the same again.
BLUE, ORANGE, GREEN, RED = '#0072B2', '#E69F00', '#009E73', '#D55E00'
PURPLE, SKY = '#CC79A7', '#56B4E9'
HUES = BLUE, RED, GREEN, PURPLE, ORANGE, SKY
GREY = '#73787f'  # as far from white as from the dark page, and no eye's purple
INK = '#010203'  # becomes the colour of the page's text, be it dark or light
STYLE = {
  'svg.hashsalt': 'jaxalign', 'svg.fonttype': 'path', 'font.size': 9,
  'axes.titlesize': 9, 'legend.fontsize': 8, 'legend.frameon': False,
  'axes.spines.top': False, 'axes.spines.right': False, 'axes.linewidth': 0.6,
  'figure.facecolor': 'none', 'axes.facecolor': 'none', 'savefig.facecolor': 'none',
  **dict.fromkeys(('text.color', 'axes.edgecolor', 'axes.labelcolor'), INK),
  **dict.fromkeys(('xtick.color', 'ytick.color', 'axes.titlecolor'), INK),
}  # fmt: skip
_WIDE = 4.4  # inches: at the width of a phone, letters keep their size


def figure(
  height: float, rows: int = 1, columns: int = 1, shared: bool = False
) -> tuple['Figure', 'np.ndarray']:
  """(Figure, its axes as an array of rows and columns); shared: with the same ends."""
  from matplotlib.figure import Figure

  made = Figure(figsize=(_WIDE, height), layout='constrained')
  return made, made.subplots(rows, columns, squeeze=False, sharex=shared, sharey=shared)


def axes_of(height: float) -> tuple['Figure', 'Axes']:
  """(Figure of one picture, its only axes)."""
  made, ((ax,),) = figure(height)
  return made, ax
