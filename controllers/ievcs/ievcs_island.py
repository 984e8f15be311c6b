"""Set points in an island: load is cut to what the secondary source and storage can supply, as far as it may be cut."""

from __future__ import annotations

from dataclasses import replace
from math import inf

import numpy as np

from .. import contract
from .ievcs_parameters import IevcsParameters
from .ievcs_schedule import CONTROLLABLE, GENERAL, SHIFTABLE


def carried(
    site: contract.Site,
    parameters: IevcsParameters,
    setpoints: contract.Setpoints,
    demand_kw: np.ndarray,
    now_kw: np.ndarray,
    bess_max_kw: float,
) -> tuple[contract.Setpoints, np.ndarray]:
    """Limit the load to what the secondary source and storage can supply.

    Critical load and the least of the controllable cannot be cut. While the source alone can carry them, storage lends
    to all classes; otherwise it is kept for them, and all else is cut. What costs least per kWh is cut first, and
    nothing that was put off is made good. PV may go within seconds and is not counted.

    Parameters
    ----------
    site, parameters : Site, IevcsParameters
        The hub.
    setpoints : Setpoints
        Without limits of the load; EVs get what the load leaves over, and PV is held below what load and EVs use now.
    demand_kw : ndarray, shape (4,)
        Expected demand of the load classes [kW]; where it is not known, all that can be cut is cut, and PV too.
    now_kw : ndarray, shape (4,)
        What is expected to be served of it under the limits in force [kW].
    bess_max_kw : float
        What storage can give until the next decision [kW].

    Returns
    -------
    setpoints : Setpoints
        With limits of the load, the storage, and PV held below what is left for it.
    served_kw : ndarray, shape (4,)
        What is served of each class [kW].
    """
    if not np.isfinite(demand_kw).all():
        return replace(setpoints, pv_limit_kw=0.0, load_limit_kw=(inf, 0.0, 0.0, 0.0)), np.zeros(4)
    firm_kw = site.secondary_kw
    # below its band controllable load obeys no limit
    served_kw = demand_kw * np.array([1.0, 1.0 - parameters.controllable_cut, 0.0, 0.0])
    if served_kw.sum() <= firm_kw:
        room_kw = firm_kw + bess_max_kw - float(served_kw.sum())
        for part in sorted((CONTROLLABLE, SHIFTABLE, GENERAL), key=lambda part: -parameters.eens_per_kwh[part]):
            restored_kw = min(float(demand_kw[part] - served_kw[part]), room_kw)
            served_kw[part] += restored_kw
            room_kw -= restored_kw
    limit_kw = np.where(served_kw < demand_kw - 1e-9, served_kw, inf)
    limit_kw[SHIFTABLE] = served_kw[SHIFTABLE]
    bess_kw = float(np.clip(served_kw.sum() - firm_kw, 0.0, bess_max_kw))
    cut_kw = max(float(now_kw.sum() - served_kw.sum()), 0.0)
    limited = replace(
        setpoints,
        bess_kw=bess_kw,
        # neither what storage gives nor what load takes no longer may flow back into the source
        pv_limit_kw=max(setpoints.pv_limit_kw - bess_kw - cut_kw, 0.0),
        load_limit_kw=(inf, *limit_kw[1:].tolist()),
    )
    return limited, served_kw
