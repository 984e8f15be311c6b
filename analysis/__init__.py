"""Results: HDF5 files, key figures, checks, comparisons, pictures and pages.

`open_results` opens the result of a run; `Results` has its signals, tables and key figures.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .results.result_layout import ResultError, SeriesSpec
from .results.result_writer import ResultWriter

if TYPE_CHECKING:
    from .results.result_reader import Results, open_results

__all__ = ["ResultError", "ResultWriter", "Results", "SeriesSpec", "open_results"]


def __getattr__(name: str) -> Any:
    # a run only writes, and pandas takes longer to import than many a run takes
    if name in ("Results", "open_results"):
        from .results import result_reader

        result_reader.Results.show = staticmethod(_shown)
        return getattr(result_reader, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def _shown(results: Results) -> str:
    """Show a result in a notebook; drawing takes long to import, so only when one is shown."""
    from .report.print.notebook_view import notebook_view

    return notebook_view(results)
