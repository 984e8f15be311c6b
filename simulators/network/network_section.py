"""The section ``network`` of a scenario."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator

from ..field_types import Name, NonNegative, Section, Switch
from ..series_section import Source


def _bus(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise ValueError("must be a bus index (a whole number) or a bus name")
    return value


Bus = Annotated[int | str, BeforeValidator(_bus)]


class NetworkSection(Section):
    """The distribution network the hubs are connected to."""

    type: Literal["pandapower"]
    net: str
    """A network of pandapower.networks (case33bw, create_cigre_network_lv, ...), lv_feeder, or a JSON file."""
    hub_bus: dict[Name, Bus]
    """The bus of each hub: pandapower's index, or the bus name."""
    replaces_load: Switch = False
    """A hub stands in the place of the loads at its bus."""
    load_scale: Source | None = None
    """Factor on the network's own loads over time; 1 when left out."""
    solver: Literal["newton", "power_grid_model"] = "newton"
    """What solves it while only powers change: Newton's method on pandapower's equations, or power-grid-model (extra
    `fast`), which pays on large networks; voltages agree to 1e-6 pu. pandapower itself solves after every switching."""
    tolerance_kw: NonNegative = 0.0
    """No new power flow while every hub's power has changed by no more than this since the last one [kW]."""
