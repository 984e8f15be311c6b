"""Power flow at constant admittances by power-grid-model (extra `fast`), in the place of `HeldNewton`."""

from __future__ import annotations

import numpy as np
from pandapower.pypower.idx_brch import (
    BR_B,
    BR_B_ASYM,
    BR_G,
    BR_G_ASYM,
    BR_R,
    BR_R_ASYM,
    BR_X,
    BR_X_ASYM,
    F_BUS,
    SHIFT,
    T_BUS,
    TAP,
)
from pandapower.pypower.idx_bus import BASE_KV, BS, GS

from ..units import KW_PER_MW, W_PER_KW

try:
    from power_grid_model import ComponentType, LoadGenType, PowerGridModel, initialize_array
    from power_grid_model.errors import PowerGridError  # pyright: ignore[reportPrivateImportUsage]
except ImportError as error:
    raise ImportError(
        "power-grid-model is not installed; it comes with the extra 'fast': pip install evhub[fast]"
    ) from error

_W_PER_MW = W_PER_KW * KW_PER_MW
_STIFF_VA = 1e16
"""Short-circuit power of a slack: its voltage does not move."""


class PgmFlow:
    """Power flow at constant admittances.

    Parameters
    ----------
    base_mva : float
        Base power [MVA].
    bus, branch : arrays
        Buses and branches in service, in the MATPOWER format of pandapower.
    v : array, shape (n,)
        Complex voltages [pu]; those of slack buses are kept.
    pv, pq : array of int
        Buses of given active power and magnitude, and of given active and reactive power. All others are slacks.

    Raises
    ------
    ValueError
        If a bus holds its voltage by reactive power, or a branch is not the same from both ends.
    """

    def __init__(self, base_mva, bus, branch, v, pv, pq):
        if len(pv):
            raise ValueError("solver power_grid_model: the network has generators that hold a voltage; use newton")
        if np.any(branch[:, [BR_R_ASYM, BR_X_ASYM, BR_G_ASYM, BR_B_ASYM]]):
            raise ValueError(
                "power_grid_model does not know branches that differ from end to end; use the solver newton"
            )
        self._arguments = base_mva, bus, branch, v, pv, pq
        n = len(bus)
        self._base_va = base_mva * _W_PER_MW
        self._load = _rows("sym_load", n, n, node=np.arange(n), status=1, type=LoadGenType.const_power)
        slack = np.setdiff1d(np.arange(n), pq)
        parts = {
            "node": _rows("node", n, 0, u_rated=bus[:, BASE_KV] * W_PER_KW),
            "sym_load": self._load,
            "source": _rows(
                "source",
                len(slack),
                2 * n,
                node=slack,
                status=1,
                u_ref=np.abs(v[slack]),
                u_ref_angle=np.angle(v[slack]),
                sk=_STIFF_VA,
            ),
            "shunt": _shunts(bus, 3 * n),
            "generic_branch": _branches(bus, np.real(branch), base_mva, 4 * n),
        }
        self._load["p_specified"] = self._load["q_specified"] = 0.0
        self._model = PowerGridModel(parts)
        self._update = initialize_array("update", "sym_load", n)
        self._update["id"] = self._load["id"]

    def __deepcopy__(self, memo):
        return self  # every power flow begins anew

    def __reduce__(self):
        return PgmFlow, self._arguments  # the model of power-grid-model cannot be pickled

    def solve(self, s):
        """Solve the voltages at bus powers; parameters and result as in `newton_solver.HeldNewton.solve`."""
        self._update["p_specified"] = -s.real * self._base_va
        self._update["q_specified"] = -s.imag * self._base_va
        try:
            self._model.update(update_data={ComponentType.sym_load: self._update})
            node = self._model.calculate_power_flow(
                error_tolerance=1e-10,
                max_iterations=40,
                output_component_types={ComponentType.node: ["u_pu", "u_angle"]},
            )[ComponentType.node]
        except PowerGridError:
            return None
        return node["u_pu"] * np.exp(1j * node["u_angle"])


def _shunts(bus, first_id):
    """Shunts, given by their power at 1 pu [MW, Mvar]."""
    row = np.flatnonzero((bus[:, GS] != 0.0) | (bus[:, BS] != 0.0))
    per_mw = bus[row, BASE_KV] ** -2.0
    return _rows("shunt", len(row), first_id, node=row, status=1, g1=bus[row, GS] * per_mw, b1=bus[row, BS] * per_mw)


def _branches(bus, branch, base_mva, first_id):
    """Branches as pi models, seen from their far end, with an ideal transformer at the near one."""
    near, far = branch[:, F_BUS].astype(int), branch[:, T_BUS].astype(int)
    z_ohm = bus[far, BASE_KV] ** 2 / base_mva
    return _rows(
        "generic_branch",
        len(branch),
        first_id,
        from_node=near,
        to_node=far,
        from_status=1,
        to_status=1,
        r1=branch[:, BR_R] * z_ohm,
        x1=branch[:, BR_X] * z_ohm,
        g1=branch[:, BR_G] / z_ohm,
        b1=branch[:, BR_B] / z_ohm,
        k=np.where(branch[:, TAP] == 0.0, 1.0, branch[:, TAP]),
        theta=np.deg2rad(branch[:, SHIFT]),
        sn=base_mva * _W_PER_MW,
    )


def _rows(kind, count, first_id, **columns):
    """Rows of a component of power-grid-model; ids go through all kinds."""
    rows = initialize_array("input", kind, count)
    rows["id"] = np.arange(first_id, first_id + count)
    for name, values in columns.items():
        rows[name] = values
    return rows
