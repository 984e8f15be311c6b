"""What is written on the devices of a hub, for the laws."""

from math import inf

from evhub.analysis.checks.invariants import Plates


def plates(pv_kw=inf, bess_kw=inf, connector_kw=inf, soc_min=0.0, soc_max=1.0):
    """Return the plates of a PV plant, a battery, a generator and connectors."""
    bess = {"p_min_kw": -bess_kw, "p_max_kw": bess_kw, "soc_min": soc_min, "soc_max": soc_max}
    return Plates({"pv": {"p_min_kw": 0.0, "p_max_kw": pv_kw}, "bess": bess, "dg": {"p_min_kw": 0.0}}, connector_kw)
