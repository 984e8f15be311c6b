"""The data of the model of a hub, from observation and forecast."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import ceil

import numpy as np

from ...simulators.units import energy_kwh
from .. import contract
from ..optimization.blocks.grid_connection_block import GridData
from ..optimization.blocks.loads_block import LoadsData
from ..optimization.blocks.pv_block import PvData
from ..optimization.blocks.sessions_block import SessionsData
from ..optimization.blocks.storage_block import StorageData
from ..optimization.hub_model import HubData
from .milp_parameters import MilpParameters

_DONE_KWH = 1e-6


class UnknownSocError(ValueError):
    """The state of charge of the battery was never measured."""

    kind = ("UnknownSocError",)

    def __init__(self):
        super().__init__("the state of charge of the battery is unknown")


class StaleSocError(ValueError):
    """The last measurement of the battery is too old to plan with."""

    kind = ("StaleSocError",)

    def __init__(self, age_s: float):
        super().__init__(f"the last measurement of the battery is {age_s:g} s old")


@dataclass(frozen=True)
class Window:
    """The steps of a plan, counted from the time at which it is made.

    Parameters
    ----------
    t_s : float
        That time [s since the start].
    relative_s : ndarray, shape (n + 1,)
        Edges of the steps since then [s]: the same in every plan.
    end_s : float
        End of the run [s].
    """

    t_s: float
    relative_s: np.ndarray
    end_s: float

    @classmethod
    def of(cls, parameters: MilpParameters, t_s: float, end_s: float) -> Window:
        """Build the window of a plan made at a time, as long as the horizon or the run."""
        n = ceil(min(parameters.horizon, end_s) / parameters.resolution)
        return cls(t_s, parameters.resolution * np.arange(n + 1), end_s)

    @property
    def edges_s(self) -> np.ndarray:
        """Edges [s since the start], shape (n + 1,)."""
        return self.t_s + self.relative_s

    @property
    def share(self) -> np.ndarray:
        """Share of each step that lies within the run, shape (n,)."""
        inside_s = np.minimum(self.edges_s[1:], self.end_s) - self.edges_s[:-1]
        return np.clip(inside_s / np.diff(self.relative_s), 0.0, 1.0)

    @property
    def known_edges_s(self) -> np.ndarray:
        """Edges of what lies within the run [s since the start], shape (m + 1,), m <= n."""
        edges_s = self.edges_s
        return np.append(edges_s[edges_s < self.end_s][: self.relative_s.size - 1], min(edges_s[-1], self.end_s))

    def padded(self, values: np.ndarray) -> np.ndarray:
        """Fill the values of the m steps within the run with 0 for the steps after it, shape (n,)."""
        known = np.zeros(self.relative_s.size - 1)
        known[: self.known_edges_s.size - 1] = values
        return known


@dataclass(frozen=True)
class ExpectedDay:
    """The EVs that a plan includes; arrays have the shape (n_sessions,).

    Parameters
    ----------
    names, connectors : tuple of str
        Sessions, and where they charge.
    arrival_s, departure_s : ndarray
        Times [s since the start].
    missing_kwh : ndarray
        Asked for and not delivered yet [kWh].
    delivered_kwh : ndarray
        Delivered so far [kWh].
    charge_kw : ndarray
        Power of the charging mode [kW] (eq. 17).
    """

    names: tuple[str, ...]
    connectors: tuple[str, ...]
    arrival_s: np.ndarray
    departure_s: np.ndarray
    missing_kwh: np.ndarray
    delivered_kwh: np.ndarray
    charge_kw: np.ndarray


def mode_kw(modes_kw: tuple[float, ...] | None, accepted_kw: np.ndarray) -> np.ndarray:
    """Return the power of the fastest charging mode that an EV accepts.

    Parameters
    ----------
    modes_kw : tuple of float or None
        The modes [kW]; None for as many as are wanted.
    accepted_kw : ndarray, shape (n,)
        What EV and connector accept [kW].

    Returns
    -------
    ndarray, shape (n,)
        Powers [kW]; what is accepted, where that is less than every mode.
    """
    if modes_kw is None:
        return accepted_kw
    modes = np.sort(modes_kw)
    mode_index = np.searchsorted(modes, accepted_kw, side="right") - 1
    return np.where(mode_index >= 0, modes[np.maximum(mode_index, 0)], accepted_kw)


def expected(site: contract.Site, hub: contract.Hub, modes_kw: tuple[float, ...] | None, window: Window) -> ExpectedDay:
    """List the EVs that are present or expected before the plan ends.

    An EV that announced no departure is charged at once.

    Parameters
    ----------
    site, hub : Site, Hub
        The hub.
    modes_kw : tuple of float or None
        Charging modes [kW], see `mode_kw`.
    window : Window
        The steps.

    Returns
    -------
    ExpectedDay
    """
    forecast, seen = hub.forecast.sessions(float(window.known_edges_s[-1])), hub.connectors
    connector_of = {name: i for i, name in enumerate(seen.session_id) if name is not None}
    at = np.array([connector_of.get(name, -1) for name in forecast.id], dtype=int)
    there = at >= 0
    missing_kwh = np.where(there, seen.remaining_kwh[at], forecast.energy_kwh)
    delivered_kwh = np.where(there, seen.energy_kwh[at], 0.0)
    charging = seen.occupied & (seen.remaining_kwh > _DONE_KWH)
    able_kw = site.circuits.reachable_kw(np.where(seen.faulted, 0.0, site.connector_kw), charging)
    rated_kw = np.where(there, able_kw[at], site.connector_kw.max())
    charge_kw = mode_kw(modes_kw, np.minimum(forecast.p_max_kw, rated_kw))
    arrival_s = np.where(there, window.t_s, np.maximum(forecast.arrival_s, window.t_s))
    with np.errstate(divide="ignore", invalid="ignore"):
        at_once_s = arrival_s + missing_kwh / energy_kwh(charge_kw, 1.0)
    departure_s = np.where(np.isnan(forecast.departure_s), np.minimum(at_once_s, window.end_s), forecast.departure_s)
    kept = np.flatnonzero(~(missing_kwh <= _DONE_KWH) & ~(departure_s <= arrival_s))
    return ExpectedDay(
        names=tuple(forecast.id[k] for k in kept),
        connectors=tuple(str(at[k] + 1) if there[k] else "any" for k in kept),
        arrival_s=arrival_s[kept],
        departure_s=departure_s[kept],
        missing_kwh=missing_kwh[kept],
        delivered_kwh=delivered_kwh[kept],
        charge_kw=charge_kw[kept],
    )


def grid(site: contract.Site, hub: contract.Hub, parameters: MilpParameters, window: Window) -> GridData:
    """Collect prices and limits of the grid (eq. 16): the contract for import, the installation for export."""
    buy, sell = (window.padded(hub.forecast.price(name, window.known_edges_s)) for name in ("buy", "sell"))
    return GridData(
        buy_per_kwh=buy + parameters.exchange_per_kwh,
        sell_per_kwh=sell - parameters.exchange_per_kwh,
        import_kw=site.contracted_kw * window.share,
        export_kw=site.installed_kw * window.share,
        exclusive_kw=site.installed_kw,
    )


def pv(hub: contract.Hub, parameters: MilpParameters, window: Window) -> PvData:
    """Collect the PV forecast (eq. 13)."""
    available_kw = window.padded(hub.forecast.pv_kw(window.known_edges_s)) * window.share
    return PvData(available_kw * ("pv" not in hub.failed), curtailable=parameters.curtail)


def storage(site: contract.Site, hub: contract.Hub, parameters: MilpParameters, window: Window) -> StorageData:
    """Collect the data of the battery as it is now (eq. 14-15).

    Raises
    ------
    UnknownSocError, StaleSocError
        If its state of charge is not known, or not recently.
    """
    if not np.isfinite(hub.soc):
        raise UnknownSocError
    age_s = hub.age_s.get("bess", 0.0)
    if age_s > parameters.stale:
        raise StaleSocError(age_s)
    power = 0.0 if "bess" in hub.failed else site.bess_kw * window.share
    wear = hub.forecast.price("bess", window.known_edges_s)
    return StorageData(
        energy_kwh=hub.soc * site.bess_kwh,
        energy_min_kwh=site.bess_soc_min * site.bess_kwh,
        energy_max_kwh=site.bess_soc_max * site.bess_kwh,
        charge_kw=power,
        discharge_kw=power,
        eta_charge=site.bess_eta_charge,
        eta_discharge=site.bess_eta_discharge,
        wear_per_kwh=float(wear.mean()),
        end_kwh=0.0 if parameters.soc_end is None else parameters.soc_end * site.bess_kwh,
        exclusive_kw=site.bess_kw,
    )


def softened(asked: HubData, worth_per_kwh: float) -> Iterator[tuple[HubData, str]]:
    """Yield the same day with fewer of the wishes that are not needs, and a text that says how it is planned then.

    First PV may be cut; then the battery holds at the end as much as it can, at a worth of `worth_per_kwh`, and no more
    than was asked for. The worth shall be above every price, and below what an EV's energy is worth: EVs come first.
    """
    pv, bess = asked.pv, asked.bess
    if pv is not None and not pv.curtailable:
        asked = replace(asked, pv=replace(pv, curtailable=True))
        yield asked, "with PV that may be cut"
    if bess is not None and bess.end_kwh > 0.0:
        max_kwh = max(bess.end_kwh, bess.energy_kwh)
        fuller = replace(bess, end_kwh=0.0, end_per_kwh=worth_per_kwh, energy_max_kwh=max_kwh)
        yield replace(asked, bess=fuller), "as near to soc_end as it gets"


def load(hub: contract.Hub, parameters: MilpParameters, window: Window) -> LoadsData:
    """Collect the local load, all classes together: nothing of it is cut by choice."""
    demand_kw = window.padded(hub.forecast.load_kw(window.known_edges_s).sum(axis=1)) * window.share
    return LoadsData(demand_kw, 0.0, 0.0, 0.0, eens_per_kwh=(parameters.load_eens_per_kwh, 0.0, 0.0, 0.0))


def sessions(evs: ExpectedDay, parameters: MilpParameters, window: Window, slots: int) -> SessionsData:
    """Collect the EVs in the slots of the model (eq. 17-18); energies are counted at the connector, from now.

    One that stays longer than the plan reaches gets that share of its energy which the plan covers of its stay.
    """
    due_s = np.minimum(evs.departure_s, window.end_s)
    covered_s = np.minimum(due_s, window.edges_s[-1]) - evs.arrival_s
    missing_kwh = evs.missing_kwh * covered_s / (due_s - evs.arrival_s)
    return SessionsData(
        names=evs.names,
        connectors=evs.connectors,
        arrival_s=evs.arrival_s - window.t_s,
        departure_s=due_s - window.t_s,
        energy_kwh=np.zeros(len(evs.names)),
        target_kwh=missing_kwh,
        capacity_kwh=missing_kwh,
        charge_kw=evs.charge_kw,
        eens_per_kwh=parameters.eens_per_kwh,
        slots=slots,
    )
