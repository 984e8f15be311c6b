"""The power flow of pandapower from a flat start, with every option stated."""

from __future__ import annotations

import warnings

import numpy as np
import pandapower as pp
from scipy.sparse.linalg import MatrixRankWarning

# Every option is given, so that neither a default of pandapower nor an option kept in a file decides.
_OPTIONS = {
    "algorithm": "nr",
    "calculate_voltage_angles": True,
    "max_iteration": 20,
    "tolerance_mva": 1e-8,
    "trafo_model": "t",
    "trafo_loading": "current",
    "enforce_p_lims": False,
    "enforce_q_lims": False,
    "check_connectivity": True,
    "voltage_depend_loads": False,
    "consider_line_temperature": False,
    "run_control": False,
    "distributed_slack": False,
    "tdpf": False,
    "numba": False,
    "lightsim2grid": False,
    "switch_rx_ratio": 2,
    "delta_q": 0,
    "trafo3w_losses": "hv",
    "neglect_open_switch_branches": False,
    "v_debug": False,
    "recycle": None,
}
# Tried in turn; the angles of a DC power flow suit transformers that shift the phase.
_STARTS = ("dc", "flat")


def solved_from_scratch(net: pp.pandapowerNet) -> bool:
    """Solve a network in its present state, without an earlier solution.

    Parameters
    ----------
    net : pandapowerNet
        The network; its result tables are filled.

    Returns
    -------
    bool
        False if none of the starting points leads to a solution.
    """
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore", MatrixRankWarning)  # both only say that the iteration left the numbers
        for init in _STARTS:
            try:
                pp.runpp(net, init=init, **_OPTIONS)
            except pp.LoadflowNotConverged:
                continue
            return True
    return False
