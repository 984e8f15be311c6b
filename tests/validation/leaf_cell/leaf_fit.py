"""Fit of the Nissan Leaf cell in ``simulators/data/batteries/nissan_leaf_2013.yaml``; run it to see the parameters.

Least squares over the terminal voltage of all measurements at once. The discharges decide; the charge and the rest
points have a quarter of the weight of one of them, so that the set is of use in both directions and at low current too.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from scipy.optimize import least_squares

from evhub.simulators.battery import tremblay_cell as tremblay

HERE = Path(__file__).parent
TAU_S = 30.0
DISCHARGES = ("leaf_dis_1C.csv", "leaf_dis_2C.csv", "leaf_dis_3C.csv")
CHARGE = "leaf_ccv_10A_charge.csv"

# The rows come each second for a minute, then each minute. Part of the weight goes to the rows, part to the time.
ROW_SHARE = 0.3
# Relative weight of the charge and of the rest points beside a discharge, as a standard deviation.
OTHER_WEIGHT = 0.5
# What the cell shows in its first quarter of an hour of charge from empty is out of reach for the equations.
CHARGE_FROM_S = 900.0

START = (3.6, 0.0025, 0.0004, 0.5, 0.04, 31.5)
LOWER = (3.3, 0.0, 0.0, 0.0, 0.001, 30.4)
UPPER = (5.0, 0.05, 0.1, 2.0, 5.0, 45.0)


def read(name: str) -> np.ndarray:
    """Rows of a file, by column name."""
    return np.genfromtxt(HERE / name, delimiter=",", names=True)


def filtered(t_s: np.ndarray, i_a: np.ndarray) -> np.ndarray:
    """Filtered current at the rows, the current between two rows being that of the later one."""
    decay = np.exp(-np.diff(t_s, prepend=0.0) / TAU_S)
    out, last = np.empty_like(i_a), 0.0
    for k in range(len(i_a)):
        last = out[k] = i_a[k] + (last - i_a[k]) * decay[k]
    return out


def voltage_error(cell: tremblay.Cell, name: str) -> np.ndarray:
    """Model less measured voltage at the rows of a discharge or charge [V]."""
    rows = read(name)
    i_a = -rows["I_A"]
    it_ah = -rows["Ah"] if name in DISCHARGES else rows["Ah"][-1] - rows["Ah"]
    return tremblay.voltage_v(cell, it_ah, i_a, filtered(rows["t_s"], i_a)) - rows["V"]


def rest_error(cell: tremblay.Cell) -> np.ndarray:
    """Model less measured open-circuit voltage [V]."""
    rows = read("leaf_ocv_points.csv")
    return tremblay.open_circuit_v(cell, -rows["Ah_from_full"]) - rows["OCV_V"]


def weights(name: str) -> np.ndarray:
    """Weights of the rows of a measurement, of sum 1."""
    t_s = read(name)["t_s"]
    time = np.where(t_s <= 60.0, 1.0, 60.0)
    if name == CHARGE:
        time *= t_s > CHARGE_FROM_S
        return time / time.sum()
    return (1.0 - ROW_SHARE) * time / time.sum() + ROW_SHARE / len(t_s)


def residuals(values: np.ndarray) -> np.ndarray:
    """What is squared and summed."""
    cell = tremblay.Cell(*values)
    parts = [voltage_error(cell, name) * np.sqrt(weights(name)) for name in DISCHARGES]
    parts.append(OTHER_WEIGHT * voltage_error(cell, CHARGE) * np.sqrt(weights(CHARGE)))
    rest = rest_error(cell)[:-1]  # the last point, at 10 % SoC, lies in the knee
    parts.append(OTHER_WEIGHT * rest / np.sqrt(len(rest)))
    return np.concatenate(parts)


def fit() -> tremblay.Cell:
    """The cell that fits best."""
    scale = np.array(START)
    return tremblay.Cell(*least_squares(residuals, START, bounds=(LOWER, UPPER), x_scale=scale).x.tolist())


if __name__ == "__main__":
    print("\n".join(f"{name}: {value:.6g}" for name, value in vars(fit()).items()))
