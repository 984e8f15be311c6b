"""Voltage check of a plan by power flow: where the voltage at the hub's bus breaks a limit, the exchange is limited."""

from __future__ import annotations

import numpy as np

from ...simulators.network.admittances import compiled
from ...simulators.network.batch_load_flow import solve
from ..contract import parameter
from .ievcs_parameters import FeederSection

_TOLERANCE_PU = 1e-6
_PROBE_KW = 1.0
_INSIDE = 1.02
"""A limit is set this much further in than a straight line says: voltages fall faster than that."""


class NetworkCheck:
    """The feeder, with the hub in place of the loads at its bus, at unity power factor.

    Parameters
    ----------
    feeder : FeederSection
        Network, bus and limits.

    Raises
    ------
    ParameterError
        If the network cannot be had or solved (``feeder.net``), or has no such bus (``feeder.bus``).
    """

    def __init__(self, feeder: FeederSection):
        self._feeder = feeder
        # pandapower takes a second to load, and not every run has a network
        from ...simulators.network.network_sources import build, find_bus

        with parameter("feeder.net"):
            net = build(feeder.net)
        with parameter("feeder.bus"):
            bus = find_bus(net, feeder.bus)
        with parameter("feeder.net"):
            self._network = compiled(net, (bus,))
        with parameter("feeder.bus"):
            self._node = self._network.node(bus)

    def v_pu(self, grid_kw: np.ndarray) -> np.ndarray:
        """Compute the voltage at the hub's bus.

        Parameters
        ----------
        grid_kw : ndarray, shape (k,)
            Exchange at the PCC, > 0 imports [kW].

        Returns
        -------
        ndarray, shape (k,)
            Voltages [pu]; 0 where the power flow has no solution.
        """
        network = self._network
        s_pu = np.repeat((network.other_pu - network.load_pu)[None, :], len(grid_kw), axis=0)
        s_pu[:, self._node] -= grid_kw / network.base_kw
        return np.nan_to_num(solve(network, s_pu).v_pu[:, self._node])

    def broken(self, grid_kw: np.ndarray) -> np.ndarray:
        """Return where a voltage limit is broken, shape (k,): -1 too low, 1 too high, 0 nowhere."""
        # the rest of the feeder stays the same, so that the voltage only falls as the import rises
        if not self._side(np.array([grid_kw.min(), grid_kw.max()])).any():
            return np.zeros(grid_kw.shape, dtype=int)
        return self._side(grid_kw)

    def _side(self, grid_kw: np.ndarray) -> np.ndarray:
        v_pu = self.v_pu(grid_kw)
        low, high = self._feeder.v_min_pu - _TOLERANCE_PU, self._feeder.v_max_pu + _TOLERANCE_PU
        return np.where(v_pu < low, -1, np.where(v_pu > high, 1, 0))

    def max_import_kw(self, up_to_kw: float) -> float:
        """Find by bisection, to 0.1 kW, the largest import <= `up_to_kw` at which the voltage is not too low [kW]."""
        low_kw, high_kw = 0.0, up_to_kw
        if self._side(np.array([high_kw]))[0] >= 0:
            return high_kw
        while high_kw - low_kw > 0.1:
            middle_kw = (low_kw + high_kw) / 2.0
            if self._side(np.array([middle_kw]))[0] < 0:
                high_kw = middle_kw
            else:
                low_kw = middle_kw
        return low_kw

    def limits_kw(self, grid_kw: np.ndarray) -> np.ndarray:
        """Estimate the exchange at which the voltage is at the limit that it breaks.

        Parameters
        ----------
        grid_kw : ndarray, shape (k,)
            Exchange that breaks a limit [kW].

        Returns
        -------
        ndarray, shape (k,)
            The exchange on a straight line to the limit, and a little further in [kW]; half the exchange where the
            power flow has no solution.
        """
        v_pu, less = self.v_pu(grid_kw), self.v_pu(grid_kw - _PROBE_KW)
        limit_pu = np.where(v_pu < self._feeder.v_min_pu, self._feeder.v_min_pu, self._feeder.v_max_pu)
        with np.errstate(divide="ignore", invalid="ignore"):
            moved_kw = _PROBE_KW * (limit_pu - v_pu) / (less - v_pu)
        return np.where((v_pu > 0.0) & (less > v_pu), grid_kw - _INSIDE * moved_kw, grid_kw / 2.0)
