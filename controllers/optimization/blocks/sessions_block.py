"""EV sessions in a fixed number of slots: arrival, departure, target, and V2G.

The slots and the grid of steps are fixed, so that EVs come and go by bounds alone. A slot without a session, or whose
session is over, has zero bounds. In a step with an arrival or a departure the limit of power is scaled by the share of
the step in which the EV is there.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from pyomo.core.base.block import BlockData

from ..conflicts import describe
from . import exclusive_block, inverter_block
from .data_checks import DataError, RangeError, ShapeError, finite
from .linear_numbers import Numbers, add_rows, array, block_of, column, row
from .time_steps import Steps
from .wear_block import throughput_per_kw


@dataclass(frozen=True)
class SessionsData:
    """EVs that are plugged in or expected; arrays have one entry a session.

    Parameters
    ----------
    names : sequence of str
        Session ids, each once.
    connectors : sequence of str
        Where they charge, for messages.
    arrival_s, departure_s : array, shape (n_sessions,)
        Times [s]. A departure after the horizon counts as its end: give the target that shall hold there.
    energy_kwh : array
        Energy in the EV now, or at arrival [kWh].
    target_kwh : array
        Energy at departure: what is missing counts as not supplied, and no EV leaves with more (Yan & Tu 2022, eq. (1);
        Lavrenova & Denysiuk 2023, eq. (18)) [kWh]. An EV that is above it already keeps what it has, or gives it back.
    capacity_kwh : array
        Battery capacity [kWh].
    charge_kw : array
        Limit of connector and EV [kW].
    eens_per_kwh : float or array
        Cost of energy not supplied [1/kWh].
    discharge_kw : float or array
        Limit of V2G [kW]; 0 for an owner who did not agree.
    floor_kwh : float or array
        V2G never takes the EV below this: 20 % of the capacity, or what it arrived with if that was less (Yan & Tu
        2022, eq. (10)) [kWh]. Nor does it where the EV has less already.
    departure_min_kwh : float or array
        Energy at departure that must be reached, whatever it costs [kWh]; a plan that cannot has no solution.
    charging_per_kwh : float or array, broadcast to (n_sessions, n)
        What the driver pays for energy charged [1/kWh] (eq. (8)).
    subsidy_per_kwh : float or array, broadcast to (n_sessions, n)
        What the driver gets for energy given back [1/kWh] (eq. (4)); below the charging price it needs
        `exclusive_kw`.
    wear_per_kwh : float
        Cost of the wear by energy given back [1/kWh].
    eta_charge, eta_discharge : float
        Efficiencies of all EVs, above 0 and up to 1.
    slots : int
        Number of slots; 0: one a session.
    v2g : bool
        Build discharging; without it a session is one row instead of one a step.
    reactive : bool
        Give reactive set points to the EVs with V2G, whose inverters are rated `charge_kw`.
    q_per_kvarh : float
        Cost of their reactive energy [1/kvarh].
    exclusive_kw : float, optional
        Largest power ever allowed [kW], where charging and discharging at once must be excluded by binaries.
    """

    names: tuple[str, ...]
    connectors: tuple[str, ...]
    arrival_s: np.ndarray
    departure_s: np.ndarray
    energy_kwh: np.ndarray
    target_kwh: np.ndarray
    capacity_kwh: np.ndarray
    charge_kw: np.ndarray
    eens_per_kwh: np.ndarray | float
    discharge_kw: np.ndarray | float = 0.0
    floor_kwh: np.ndarray | float = 0.0
    departure_min_kwh: np.ndarray | float = 0.0
    charging_per_kwh: np.ndarray | float = 0.0
    subsidy_per_kwh: np.ndarray | float = 0.0
    wear_per_kwh: float = 0.0
    eta_charge: float = 1.0
    eta_discharge: float = 1.0
    slots: int = 0
    v2g: bool = False
    reactive: bool = False
    q_per_kvarh: float = 0.0
    exclusive_kw: float | None = None

    def __post_init__(self):
        n = len(self.names)
        twice = [name for k, name in enumerate(self.names) if name in self.names[:k]]
        if twice:
            raise DataError("sessions", f"{twice[0]!r} is there twice", "sessions.names")
        if len(self.connectors) != n:
            raise ShapeError("sessions", f"{n} names, but {len(self.connectors)} connectors", "sessions.connectors")
        if self.slots and n > self.slots:
            raise RangeError("sessions", f"{n} sessions for {self.slots} slots", "sessions.slots")
        for item in _PER_SESSION:
            values = np.asarray(getattr(self, item), dtype=float)
            if values.ndim and values.shape != (n,):
                raise ShapeError(f"sessions.{item}", f"must have {n} entries, one a session, got shape {values.shape}")
            object.__setattr__(self, item, np.broadcast_to(values, (n,)))
            self._refuse(~np.isfinite(getattr(self, item)), item, "must be finite")
            if not item.endswith("_s"):
                self._refuse(getattr(self, item) < 0.0, item, "must be >= 0")
        for item in ("eta_charge", "eta_discharge"):
            if not 0.0 < getattr(self, item) <= 1.0:
                raise RangeError(f"sessions.{item}", f"must be > 0 and <= 1, got {getattr(self, item):g}")
        self._refuse(self.departure_s <= self.arrival_s, "departure_s", "must be after its arrival_s,", "arrival_s")
        for item in ("energy_kwh", "target_kwh", "departure_min_kwh"):
            self._refuse(getattr(self, item) > self.capacity_kwh, item, "must be <= its capacity_kwh,", "capacity_kwh")
        if not self.v2g:
            self._refuse(np.asarray(self.discharge_kw) > 0.0, "discharge_kw", "must be 0 without v2g")

    def _refuse(self, wrong: np.ndarray, item: str, rule: str, other: str | None = None) -> None:
        """Name the first session that breaks a rule."""
        for k in np.flatnonzero(wrong)[:1]:
            limit = f" {getattr(self, other)[k]:g}" if other else ""
            message = f"{item} {rule}{limit}, got {getattr(self, item)[k]:g}"
            raise RangeError(f"session {self.names[k]}", message, f"session.{item}")

    @property
    def inverters(self) -> np.ndarray:
        """Sessions with reactive set points."""
        return np.flatnonzero(self.reactive & (np.asarray(self.discharge_kw) > 0.0))

    @property
    def n_slots(self) -> int:
        """Slots in the block."""
        return self.slots or len(self.names)


_PER_SESSION = (
    "arrival_s",
    "departure_s",
    "energy_kwh",
    "target_kwh",
    "capacity_kwh",
    "charge_kw",
    "eens_per_kwh",
    "discharge_kw",
    "floor_kwh",
    "departure_min_kwh",
)


def fits_kwh(steps: Steps, data: SessionsData) -> np.ndarray:
    """Compute the largest energy that each EV can take in before it leaves [kWh], shape (n_sessions,)."""
    return data.eta_charge * data.charge_kw * (steps.share(data.arrival_s, data.departure_s) @ steps.hours)


def numbers(steps: Steps, data: SessionsData) -> Numbers:
    """Compute bounds and costs of the block.

    Parameters
    ----------
    steps : Steps
        The grid of steps.
    data : SessionsData
        The sessions.

    Returns
    -------
    Numbers

    Raises
    ------
    ValueError
        A price that is not finite or does not cover the horizon; a subsidy below the charging price without
        `exclusive_kw`; a power above it.
    """
    here = (data.departure_s > steps.now_s) & (data.arrival_s < steps.edges_s[-1])
    share = steps.share(data.arrival_s, data.departure_s)
    target = np.maximum(data.target_kwh, data.departure_min_kwh)
    charging, subsidy = _price(steps, data, "charging_per_kwh"), _price(steps, data, "subsidy_per_kwh")
    returned = subsidy * steps.hours + throughput_per_kw(steps, "sessions.wear_per_kwh", data.wear_per_kwh)

    def slots(values) -> np.ndarray:
        """Fill the slots without a session with zero."""
        values = np.asarray(values)
        filled = np.zeros((data.n_slots, *values.shape[1:]))
        filled[: len(here)][here] = values[here]
        return filled

    charge = slots(share * data.charge_kw[:, None])
    columns = {
        "charge": column(charge.shape, charge, slots(-charging * steps.hours)),
        "unserved": column(
            (data.n_slots,),
            slots(np.maximum(target - data.departure_min_kwh, 0.0)),
            slots(np.asarray(data.eens_per_kwh)),
        ),
    }
    if data.v2g:
        _refuse_cycling(data, steps, charging, subsidy)
        columns["discharge"] = column(
            charge.shape, slots(share * np.asarray(data.discharge_kw)[:, None]), slots(returned)
        )
        lower, upper = _window(steps, data, target)
        columns["energy"] = column((data.n_slots, steps.n + 1), slots(upper), lower=slots(lower))
        rows = {"stored": row(charge.shape, 0.0, 0.0), "target": row((data.n_slots,), slots(target))}
        powers = {side: columns[side] for side in ("charge", "discharge")}
        pair_columns, pair_rows = exclusive_block.numbers("sessions", data.exclusive_kw, **powers)
        columns, rows = columns | pair_columns, rows | pair_rows
        if data.inverters.size:
            kva = (share * data.charge_kw[:, None])[data.inverters]
            q_columns, q_rows = inverter_block.numbers(steps, "sessions", kva, data.q_per_kvarh, one_way=False)
            columns, rows = columns | q_columns, rows | q_rows
    else:
        need = slots(np.maximum(target - data.energy_kwh, 0.0))
        rows = {"target": row((data.n_slots,), need, need)}
    return Numbers(
        columns=columns,
        rows=rows,
        matrix={
            "sessions.slots": data.n_slots,
            "sessions.v2g": data.v2g,
            "sessions: reactive": data.inverters.tolist(),
            "sessions.exclusive_kw": data.exclusive_kw,
            "sessions.eta_charge": data.eta_charge,
            "sessions.eta_discharge": data.eta_discharge,
        },
    )


def _price(steps: Steps, data: SessionsData, item: str) -> np.ndarray:
    """A price of each session in each step."""
    values = finite(f"sessions.{item}", getattr(data, item))
    shape = (len(data.names), steps.n)
    try:
        return np.broadcast_to(values, shape)
    except ValueError:
        rule = f"must broadcast to (n_sessions, n) = {shape}, got shape {values.shape}"
        raise ShapeError(f"sessions.{item}", rule) from None


def _refuse_cycling(data: SessionsData, steps: Steps, charging: np.ndarray, subsidy: np.ndarray) -> None:
    """Charging and discharging at once must not pay."""
    if data.exclusive_kw is None:
        pays = (np.asarray(data.discharge_kw) > 0.0)[:, None] & steps.open & (subsidy + data.wear_per_kwh < charging)
        for k, t in np.argwhere(pays)[:1]:
            raise DataError(
                f"session {data.names[k]}",
                f"the subsidy {subsidy[k, t]:g} in step {t} is below the charging price {charging[k, t]:g}, so that "
                "charging and discharging at once would pay; give exclusive_kw",
                "session.subsidy",
            )


def _window(steps: Steps, data: SessionsData, target: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Lower and upper limit of the energy at each edge, shape (n_sessions, n + 1)."""
    energy = data.energy_kwh[:, None]
    known = steps.edges_s <= np.maximum(data.arrival_s, steps.now_s)[:, None]
    left = steps.edges_s >= np.minimum(data.departure_s, steps.edges_s[-1])[:, None]
    max_kwh = np.where(left, np.maximum(target[:, None], energy), data.capacity_kwh[:, None])
    min_kwh = np.minimum(np.asarray(data.floor_kwh)[:, None], energy)
    return np.where(known, energy, min_kwh), np.where(known, energy, max_kwh)


def build(steps: Steps, data: SessionsData) -> BlockData:
    """Build the block of all sessions.

    Variables (all >= 0), by slot: ``charge`` [kW] of each step, ``unserved`` [kWh]; with V2G also ``discharge`` [kW]
    and ``energy`` [kWh] at each edge, and where asked ``q_out``, ``q_in`` [kvar] of each EV with V2G. Rows:
    ``target``; with V2G ``stored``, ``energy[t+1] = energy[t] + dt (eta_charge charge[t] - discharge[t] /
    eta_discharge)``; ``circle`` of the inverters.

    Parameters
    ----------
    steps : Steps
        The grid of steps.
    data : SessionsData
        The sessions.

    Returns
    -------
    Block
    """
    part = numbers(steps, data)
    block = block_of(part)
    charge, unserved = array(block, "charge"), array(block, "unserved")
    into, out_of = data.eta_charge * steps.hours, steps.hours / data.eta_discharge
    if data.v2g:
        discharge, energy = array(block, "discharge"), array(block, "energy")
        moved = [(1.0, energy[:, 1:]), (-1.0, energy[:, :-1]), (-into, charge), (out_of, discharge)]
        add_rows(block, "stored", part, moved)
        add_rows(block, "target", part, [(1.0, energy[:, -1]), (1.0, unserved)])
        exclusive_block.add(block, part, data.exclusive_kw, "charge", "discharge", "EVs")
        active = [(-1.0, charge[data.inverters]), (1.0, discharge[data.inverters])]
        inverter_block.add(block, part, active, one_way=False)
    else:
        charged = [(hours, charge[:, t]) for t, hours in enumerate(into)]
        add_rows(block, "target", part, [*charged, (1.0, unserved)])
    sentences(block, steps, data)
    return block


def sentences(block: BlockData, steps: Steps, data: SessionsData) -> None:
    """Say what each session demands, for the explanation of a conflict."""
    fits, min_kwh = fits_kwh(steps, data), np.asarray(data.departure_min_kwh)

    def demand(slot: int, *_) -> str:
        if slot >= len(data.names):
            return f"slot {slot} is free"
        needed_kwh = max(min_kwh[slot] - data.energy_kwh[slot], 0.0)
        return (
            f"session {data.names[slot]} needs {needed_kwh:.6g} kWh by {steps.clock(data.departure_s[slot])}, "
            f"at most {fits[slot]:.6g} kWh fit behind connector {data.connectors[slot]}"
        )

    for item in ("charge", "unserved", "target", "discharge", "energy", "stored"):
        component = block.component(item)
        if component is not None:
            describe(component, demand)


def injection(block: BlockData) -> list[tuple[float, np.ndarray]]:
    """Return the terms that feed the hub bus [kW], each of shape (n,): what EVs give back less what they take."""
    terms = [(-1.0, power) for power in array(block, "charge")]
    if block.component("discharge") is not None:
        terms += [(1.0, power) for power in array(block, "discharge")]
    return terms
