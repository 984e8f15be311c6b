"""PV limits in unbalanced feeders with EVs, after Feizi & Khodayar: how much PV a feeder can always take, and needs."""

from .case import Case, problems
from .feeder import Feeder, Line, Source
from .generation_units import Dg, EvCluster, Pv
from .limit_campaign import Campaign, Spread, draw, run_campaign
from .limit_results import StudyWriter, open_study
from .limits import Limits, solve_limits

__all__ = [
    "Campaign",
    "Case",
    "Dg",
    "EvCluster",
    "Feeder",
    "Limits",
    "Line",
    "Pv",
    "Source",
    "Spread",
    "StudyWriter",
    "draw",
    "open_study",
    "problems",
    "run_campaign",
    "solve_limits",
]
