"""The commands of a schedule: powers that the devices can give, also checked for EVs that are full early."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from ..optimization.hub_model import HubPlan
from .dispatch_loop import Loop
from .ems_dispatch import EmsSchedule, Places, balanced, set_points

_CHARGES_KW = 1e-3


def commanded(
    loop: Loop,
    schedule: EmsSchedule,
    places: Mapping[str, Places],
    min_kw: Mapping[str, np.ndarray],
    room_kw: Mapping[str, np.ndarray],
    shared_kw: np.ndarray,
    background_pu: np.ndarray,
) -> tuple[EmsSchedule, np.ndarray]:
    """Make a schedule that devices can follow, and check it by load flow.

    An EV below the least power of its connector pauses. In the last step in which an EV charges it may get full early:
    the limits must hold with it and without it. PV is lowered, with its reactive power, until they hold without, then
    the EV until they hold with it.

    Parameters
    ----------
    loop : Loop
        The network and its limits.
    schedule : EmsSchedule
        From the loop.
    places : mapping of str to Places
        Hubs on the network.
    min_kw : mapping of str to ndarray, shape (n_sessions,)
        Least power of the connector of each EV [kW].
    room_kw : mapping of str to ndarray, shape (k,)
        Most that each hub on the network may purchase [kW].
    shared_kw : ndarray, shape (k,)
        Most that they may purchase together [kW].
    background_pu : ndarray of complex, shape (k, n)
        What all others feed in [pu].

    Returns
    -------
    EmsSchedule
        With cost and unserved energy as they were planned.
    ndarray of bool, shape (k,)
        Steps in which every limit is kept, with and without EVs that get full.
    """
    ends = {name: _last(schedule.plans[name].session_kw) for name in places}
    plans = {name: _paused(plan, min_kw[name]) for name, plan in schedule.plans.items()}
    m = len(loop.nodes)

    def u(of: Mapping[str, HubPlan]) -> np.ndarray:
        return set_points(of, places, m)[0]

    def kept(of: Mapping[str, HubPlan]) -> np.ndarray:
        return loop.kept(u(of), background_pu)

    def scaled(of: Mapping[str, HubPlan], pv: np.ndarray, ev: np.ndarray) -> dict[str, HubPlan]:
        scaled_plans = dict(of)
        for name in places:
            plan = of[name]
            session_kw = np.where(ends[name], ev, 1.0) * plan.session_kw
            lower = replace(plan, pv_kw=pv * plan.pv_kw, pv_q_kvar=pv * plan.pv_q_kvar, session_kw=session_kw)
            scaled_plans[name] = balanced(lower)
        return scaled_plans

    every, none = np.ones(len(background_pu)), np.zeros(len(background_pu))
    without = scaled(plans, every, none)
    pv = every - loop.secured(u(without), u(scaled(plans, none, none)), background_pu)
    plans = scaled(plans, pv, every)
    without = scaled(plans, every, none)
    ev = every - loop.secured(u(plans), u(without), background_pu)
    plans = scaled(plans, every, ev)
    for name in places:  # less PV must not be made up for by more than may be bought
        others = sum(_import_kw(plan) for other, plan in plans.items() if other in places and other != name)
        over_kw = np.maximum(_import_kw(plans[name]) - np.minimum(room_kw[name], shared_kw - others), 0.0)
        charge_kw = np.maximum(np.where(ends[name], plans[name].session_kw, 0.0), 0.0)
        share = 1.0 - np.minimum(over_kw / np.maximum(charge_kw.sum(axis=0), 1e-9), 1.0)
        fewer = np.where(charge_kw > 0.0, share, 1.0) * plans[name].session_kw
        plans[name] = _paused(replace(plans[name], session_kw=fewer), min_kw[name])
    # where one of several EVs had to pause, the others may be too much
    plans = scaled(plans, every, np.where(kept(without) & ~kept(plans), none, every))
    u_kw, rest = set_points(plans, places, m)
    return replace(schedule, plans=plans, u=u_kw, rest=rest), kept(plans) & kept(scaled(plans, every, none))


def present(plan: HubPlan, is_there: np.ndarray) -> HubPlan:
    """Remove the EVs that are not present from a plan; `is_there` has the shape (n_sessions,)."""
    there = is_there[:, None]
    return balanced(replace(plan, session_kw=plan.session_kw * there, session_q_kvar=plan.session_q_kvar * there))


def _paused(plan: HubPlan, min_kw: np.ndarray) -> HubPlan:
    low = (plan.session_kw > 0.0) & (plan.session_kw < min_kw[:, None] - 1e-6)
    return balanced(replace(plan, session_kw=np.where(low, 0.0, plan.session_kw)))


def _last(session_kw: np.ndarray) -> np.ndarray:
    """Where each EV charges for the last time, shape (n_sessions, k)."""
    charges = session_kw > _CHARGES_KW
    later = np.cumsum(charges[:, ::-1], axis=1)[:, ::-1] - charges
    return charges & (later == 0)


def _import_kw(plan: HubPlan) -> np.ndarray:
    return plan.buy_kw - plan.sell_kw
