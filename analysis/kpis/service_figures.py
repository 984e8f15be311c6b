"""How well EVs were served."""

from __future__ import annotations

import numpy as np
import pandas as pd

from ...simulators.units import S_PER_MIN
from .key_figure import HubRun, KeyFigure, KeyFigureGroup, WholeRun, part, ratio

_SATISFIED = 0.99


def ev_service(sessions: pd.DataFrame, end_s: float) -> dict[str, float]:
    """Compute how many EV sessions were served, their energy and their waiting times.

    Parameters
    ----------
    sessions : DataFrame
        Sessions of `Results.sessions`.
    end_s : float
        End of the run [s]; sessions that arrive later do not count.

    Returns
    -------
    dict of str to float
        ``sessions`` that arrived; of these ``served``, ``balked``, ``reneged``, ``unfinished``. ``requested_kwh``,
        ``delivered_kwh`` and ``missed_kwh`` leave unfinished sessions out, which may still get theirs.
        ``met`` of the ``ended`` sessions (all but unfinished) got at least 99 % of their request in time.
        ``waited_min`` is the time from arrival until charging may start, summed over those ``plugged`` in,
        ``waiting_max_min`` the longest. ``fairness`` is `fairness` of delivered over requested energy
        of the ended sessions.
    """
    arrived = sessions["arrival_s"].to_numpy(float) <= end_s
    outcome = sessions["outcome"].to_numpy(object)[arrived]
    numbers = ("requested_kwh", "delivered_kwh", "missed_kwh", "plug_s", "waiting_s")
    requested, delivered, missed, plug_s, waited_s = (sessions[name].to_numpy(float)[arrived] for name in numbers)
    count = {name: int((outcome == name).sum()) for name in ("served", "balked", "reneged")}
    ended = np.isin(outcome, list(count))
    plugged = np.isfinite(plug_s)
    waited_min = waited_s[plugged] / S_PER_MIN
    return {
        "sessions": len(outcome),
        **count,
        "unfinished": len(outcome) - int(ended.sum()),
        "requested_kwh": float(requested[ended].sum()),
        "delivered_kwh": float(np.nansum(delivered[ended])),
        "missed_kwh": float(missed[ended].sum()),
        "met": int((delivered[ended] >= _SATISFIED * requested[ended]).sum()),
        "ended": int(ended.sum()),
        "waited_min": float(waited_min.sum()),
        "plugged": int(plugged.sum()),
        "waiting_max_min": float(waited_min.max()) if waited_min.size else np.nan,
        "fairness": fairness(_shares(requested[ended], delivered[ended])),
    }


def _shares(requested_kwh: np.ndarray, delivered_kwh: np.ndarray) -> np.ndarray:
    """Return delivered over requested energy of each session, 0..1; sessions without a request are left out."""
    asked = requested_kwh > 0
    return np.clip(np.nan_to_num(delivered_kwh[asked]) / requested_kwh[asked], 0.0, 1.0)


def fairness(shares: np.ndarray) -> float:
    """Compute Jain's index of fairness (Jain, Chiu & Hawe 1984): square of the sum over n times the sum of squares.

    Parameters
    ----------
    shares : array, shape (n,)
        Share of each of n sessions, >= 0.

    Returns
    -------
    float
        1 when all got the same, k / n when k of them got the same and the others nothing; NaN when nobody got
        anything.
    """
    squares = float(np.sum(shares**2))
    return float(np.sum(shares)) ** 2 / (len(shares) * squares) if squares > 0 else np.nan


def ev_service_of(hub: HubRun) -> dict[str, float]:
    """Compute `ev_service` of a hub; empty where it has neither sessions nor connectors."""
    if not len(hub.sessions) and hub.read("cp/p_kw") is None:
        return {}
    return ev_service(hub.sessions, hub.end_s)


def _fairness_of_all(run: WholeRun) -> float:
    return ev_service(run.sessions, run.end_s)["fairness"]


def _figures() -> tuple[KeyFigure, ...]:
    of = ev_service_of
    return (
        KeyFigure("sessions", "1", "sessions", part(of, "sessions"), description="Arrived before the end of the run."),
        KeyFigure(
            "served",
            "1",
            "served",
            part(of, "served"),
            "more",
            description="Sessions that were plugged in, whatever they got, and have ended.",
        ),
        KeyFigure(
            "balked",
            "1",
            "balked",
            part(of, "balked"),
            "less",
            description="Sessions that found no place in the queue.",
        ),
        KeyFigure("reneged", "1", "reneged", part(of, "reneged"), "less", description="Sessions that gave up waiting."),
        KeyFigure(
            "unfinished", "1", "unfinished", part(of, "unfinished"), description="Sessions that have not ended yet."
        ),
        KeyFigure(
            "requested_kwh",
            "kWh",
            "energy requested",
            part(of, "requested_kwh"),
            description="Energy that sessions asked for.",
        ),
        KeyFigure(
            "delivered_kwh",
            "kWh",
            "energy delivered",
            part(of, "delivered_kwh"),
            "more",
            description="Energy they got.",
        ),
        KeyFigure(
            "missed_kwh",
            "kWh",
            "energy missed",
            part(of, "missed_kwh"),
            "less",
            description="What sessions asked for and did not get: requested less delivered where it is positive.",
        ),
        KeyFigure(
            "delivered_percent",
            "%",
            "delivered of requested",
            ratio(of, "delivered_kwh", "requested_kwh"),
            "more",
            "ratio",
            description="Delivered of requested.",
        ),
        KeyFigure(
            "on_time_percent",
            "%",
            "requests met",
            ratio(of, "met", "ended"),
            "more",
            "ratio",
            description="Sessions that had at least 99 % of their request when they left.",
        ),
        KeyFigure(
            "fairness",
            "1",
            "fairness (Jain's index)",
            part(of, "fairness"),
            "more",
            _fairness_of_all,
            description="Jain's index of x = delivered / requested (cut to 0..1) over the sessions: (sum x)^2 / (n "
            "sum x^2). 1: all got the same share; k / n: k of n got the same and the others nothing (Jain, Chiu & "
            "Hawe 1984, DEC-TR-301). The total is that of all sessions together.",
        ),
        KeyFigure(
            "waiting_mean_min",
            "min",
            "mean time from arrival to charging",
            ratio(of, "waited_min", "plugged"),
            "less",
            "ratio",
            description="From arrival until charging may start (queue, plugging in, authentication), of those that "
            "were plugged in.",
        ),
        KeyFigure(
            "waiting_max_min",
            "min",
            "longest time from arrival to charging",
            part(of, "waiting_max_min"),
            "less",
            "max",
            description="The longest of these times.",
        ),
    )


SERVICE = KeyFigureGroup(
    "EV service",
    "Sessions that arrived before the end of the run; each is `served`, `balked`, `reneged` or `unfinished`. "
    "Energies and shares are of the sessions that *ended*: one that is still plugged in at the end may still get "
    "what it asked for.",
    _figures,
)
