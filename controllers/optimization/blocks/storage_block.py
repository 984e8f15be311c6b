"""A stationary battery: charge, discharge and the energy at the edges of the steps."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from pyomo.core.base.block import BlockData

from ..conflicts import describe
from . import exclusive_block, inverter_block
from .data_checks import RangeError, finite
from .linear_numbers import Numbers, add_rows, array, block_of, column, row
from .time_steps import Steps
from .wear_block import throughput_per_kw


@dataclass(frozen=True)
class StorageData:
    """A battery and its state.

    Parameters
    ----------
    energy_kwh : float
        Stored at the begin of step `now` [kWh]. A measurement just outside the window may stay there, not go further.
    energy_min_kwh, energy_max_kwh : float
        Window of the stored energy [kWh].
    charge_kw, discharge_kw : float or array, shape (n,)
        Limits at the terminals [kW].
    eta_charge, eta_discharge : float
        Efficiencies, above 0 and up to 1; 1 is the lossless battery of the papers.
    wear_per_kwh : float
        Cost of each kWh through the terminals, in either direction [1/kWh].
    end_kwh : float
        Least energy at the end of the horizon [kWh].
    end_missing_per_kwh : float, optional
        Cost of what is missing of it [1/kWh]; without one it must be there.
    end_per_kwh : float
        Worth of what is left at the end [1/kWh].
    exclusive_kw : float, optional
        Largest power ever allowed [kW], where charging and discharging at once must be excluded by binaries. Without
        them it pays only when a price is negative.
    inverter_kva : float, optional
        Apparent power, where the battery has reactive set points [kVA].
    q_per_kvarh : float
        Cost of reactive energy [1/kvarh].
    name : str
        For messages.
    """

    energy_kwh: float
    energy_min_kwh: float
    energy_max_kwh: float
    charge_kw: np.ndarray | float
    discharge_kw: np.ndarray | float
    eta_charge: float = 1.0
    eta_discharge: float = 1.0
    wear_per_kwh: float = 0.0
    end_kwh: float = 0.0
    end_missing_per_kwh: float | None = None
    end_per_kwh: float = 0.0
    exclusive_kw: float | None = None
    inverter_kva: float | None = None
    q_per_kvarh: float = 0.0
    name: str = "bess"

    def __post_init__(self):
        finite(f"{self.name}.energy_kwh", self.energy_kwh, 0.0)
        finite(f"{self.name}.energy_min_kwh", self.energy_min_kwh, 0.0)
        finite(f"{self.name}.energy_max_kwh", self.energy_max_kwh, self.energy_min_kwh)
        finite(f"{self.name}.end_kwh", self.end_kwh, 0.0, self.energy_max_kwh)
        finite(f"{self.name}.end_per_kwh", self.end_per_kwh)
        if self.end_missing_per_kwh is not None:
            finite(f"{self.name}.end_missing_per_kwh", self.end_missing_per_kwh, 0.0)
        for item in ("eta_charge", "eta_discharge"):
            if not 0.0 < getattr(self, item) <= 1.0:
                raise RangeError(f"{self.name}.{item}", f"must be > 0 and <= 1, got {getattr(self, item):g}")


def numbers(steps: Steps, data: StorageData) -> Numbers:
    """Compute bounds and costs of the block.

    Parameters
    ----------
    steps : Steps
        The grid.
    data : StorageData
        The battery.

    Returns
    -------
    Numbers

    Raises
    ------
    ValueError
        A limit that is negative, not finite or does not cover the horizon.
    """
    n, name = steps.n, data.name
    wear = throughput_per_kw(steps, f"{name}.wear_per_kwh", data.wear_per_kwh)
    min_kwh = np.where(steps.edge_open, min(data.energy_min_kwh, data.energy_kwh), data.energy_kwh)
    max_kwh = np.where(steps.edge_open, max(data.energy_max_kwh, data.energy_kwh), data.energy_kwh)
    worth = np.zeros(n + 1)
    worth[-1] = -data.end_per_kwh
    powers = {
        side: column((n,), steps.open * steps.series(f"{name}.{side}_kw", getattr(data, f"{side}_kw"), 0.0), wear)
        for side in ("charge", "discharge")
    }
    pair_columns, pair_rows = exclusive_block.numbers(name, data.exclusive_kw, **powers)
    q_columns, q_rows = inverter_block.numbers(steps, name, data.inverter_kva, data.q_per_kvarh, one_way=False)
    missing = {}
    if data.end_missing_per_kwh is not None:
        missing["end_missing"] = column((1,), data.end_kwh, data.end_missing_per_kwh)
    return Numbers(
        columns={**powers, "energy": column((n + 1,), max_kwh, worth, min_kwh), **missing, **pair_columns, **q_columns},
        rows={"stored": row((n,), 0.0, 0.0), "end": row((1,), data.end_kwh), **pair_rows, **q_rows},
        matrix={
            f"{name}.eta_charge": data.eta_charge,
            f"{name}.eta_discharge": data.eta_discharge,
            f"{name}.exclusive_kw": data.exclusive_kw,
            f"{name}: end may be missed": bool(missing),
            f"{name}: reactive": data.inverter_kva is not None,
        },
    )


def build(steps: Steps, data: StorageData) -> BlockData:
    """Build the block of a battery.

    Variables (all >= 0): ``charge``, ``discharge`` [kW] of each step, ``energy`` [kWh] at each edge. Rows: ``stored``,
    ``energy[t+1] = energy[t] + dt (eta_charge charge[t] - discharge[t] / eta_discharge)``, and ``end``, which
    ``end_missing`` [kWh] relaxes where it has a cost.

    Parameters
    ----------
    steps : Steps
        The grid.
    data : StorageData
        The battery.

    Returns
    -------
    Block
    """
    part = numbers(steps, data)
    block = block_of(part)
    charge, discharge, energy = (array(block, item) for item in ("charge", "discharge", "energy"))
    into, out_of = -data.eta_charge * steps.hours, steps.hours / data.eta_discharge
    add_rows(block, "stored", part, [(1.0, energy[1:]), (-1.0, energy[:-1]), (into, charge), (out_of, discharge)])
    missing = [(1.0, array(block, "end_missing"))] if "end_missing" in part.columns else []
    add_rows(block, "end", part, [(1.0, energy[-1:]), *missing])
    exclusive_block.add(block, part, data.exclusive_kw, "charge", "discharge", data.name)
    inverter_block.add(block, part, injection(block), one_way=False)
    sentences(block, steps, data)
    return block


def sentences(block: BlockData, steps: Steps, data: StorageData) -> None:
    """Say what the battery demands, for the explanation of a conflict."""
    texts = {
        "charge": f"{data.name} charges and discharges within its limits of power",
        "discharge": f"{data.name} charges and discharges within its limits of power",
        "energy": f"{data.name} stays between {data.energy_min_kwh:g} and {data.energy_max_kwh:g} kWh",
        "stored": f"{data.name} holds {data.energy_kwh:g} kWh and stores what it charges",
        "end": f"{data.name} must hold {data.end_kwh:g} kWh at {steps.clock_at(-1)}",
    }
    for item, text in texts.items():
        describe(block.component(item), lambda _, text=text: text)


def injection(block: BlockData) -> list[tuple[float, np.ndarray]]:
    """Return the terms that feed the hub bus [kW], each of shape (n,): discharge less charge."""
    return [(1.0, array(block, "discharge")), (-1.0, array(block, "charge"))]
