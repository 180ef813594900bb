"""The calibration of the judge: every decision rule on data with known truth, measured against its promise.

``python -m ilr_check.stats.calibration`` measures the whole catalogue and writes the table. ``catalogue``
lists what is measured, ``situations`` makes the data, ``measure`` counts, and ``table`` writes.
"""

from ilr_check.stats.calibration.catalogue import CORE, FULL
from ilr_check.stats.calibration.measure import Cell, Study, cell_count, failing, limited, measure, tally

__all__ = ["CORE", "FULL", "Cell", "Study", "cell_count", "failing", "limited", "measure", "tally"]
