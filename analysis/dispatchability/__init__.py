"""Dispatchability limits of PV in unbalanced feeders with EVs, after Feizi & Khodayar."""

from .case import FeederCase, problems
from .feeder import Feeder, Line, Source
from .generation_units import DgUnit, EvCluster, PvUnit
from .limit_campaign import Campaign, Spread, draw, run_campaign
from .limit_results import StudyWriter, open_study
from .limits import PvLimits, solve_limits

__all__ = [
    "Campaign",
    "DgUnit",
    "EvCluster",
    "Feeder",
    "FeederCase",
    "Line",
    "PvLimits",
    "PvUnit",
    "Source",
    "Spread",
    "StudyWriter",
    "draw",
    "open_study",
    "problems",
    "run_campaign",
    "solve_limits",
]
