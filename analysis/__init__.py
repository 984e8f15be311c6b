"""Results: the HDF5 layout, reading it back, numbers, pictures and pages.

`open_results` opens the result of a run; see `Results` for what can be asked of it.
"""

from .results import Results, open_results
from .store import ResultError, ResultWriter, SeriesSpec

__all__ = ["ResultError", "ResultWriter", "Results", "SeriesSpec", "open_results"]
