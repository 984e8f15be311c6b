"""Basic control: surplus to storage, deficit from the grid."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings

from evhub.analysis import open_results

from ...helpers import plants
from ...helpers.sizes import examples
from . import test_controllers as made


def battery_kw(pv_kw: float, *, load_kw: float = 5.0, soc: float = 0.5, **changes) -> float:
    """Set point of the battery (20 kW, 40 kWh, 20 to 80 %) at a hub with one EV that takes 10 kW."""
    seen = made.connectors([True], [20.0], [10.0])
    return made.decide(
        "basic_control", made.site(1), made.hub(seen, p_pv_kw=pv_kw, p_load_kw=load_kw, soc=soc, **changes)
    ).bess_kw


@pytest.mark.parametrize(
    ("pv_kw", "soc", "expected_kw"),
    [
        (27.0, 0.5, -12.0),  # 27 less 15 that load and EV take
        (15.0, 0.5, 0.0),
        (3.0, 0.5, 0.0),  # a deficit of 12 kW is the grid's, with a battery at hand
        (60.0, 0.5, -20.0),  # the rating
        (60.0, 0.8, 0.0),  # full
        (60.0, 0.795, -12.0),  # 0.2 kWh are left to charge, in a minute
    ],
)
def test_surplus_is_stored_and_a_deficit_leaves_the_storage_alone(pv_kw, soc, expected_kw):
    assert battery_kw(pv_kw, soc=soc) == pytest.approx(expected_kw)


@pytest.mark.parametrize("changes", [{"failed": frozenset({"bess"})}, {"soc": float("nan")}, {"load_kw": float("nan")}])
def test_the_storage_rests_when_it_or_what_it_must_know_fails(changes):
    assert battery_kw(40.0, **changes) == 0.0


@given(situation=made.situations())
@settings(max_examples=examples(100))
def test_evs_get_full_power_as_far_as_contract_and_pv_go(situation):
    plant, seen = situation
    if seen.bus != 1 or np.isnan(seen.p_load_kw):
        return
    got_kw = np.minimum(made.decide("basic_control", plant, seen).connector_kw, seen.connectors.p_max_kw)
    room_kw = plant.contracted_kw - seen.p_load_kw + seen.p_pv_kw
    assert got_kw.sum() <= max(room_kw, 0.0) + 1e-9
    wanted = seen.connectors.occupied & (seen.connectors.remaining_kwh > 1e-6)
    max_kw = np.where(wanted, np.minimum(plant.connector_kw, seen.connectors.p_max_kw), 0.0)
    if max_kw.sum() <= room_kw:
        assert got_kw == pytest.approx(max_kw)


def test_in_a_run_the_storage_only_charges_and_all_load_is_served(tmp_path):
    data = plants.smallest(
        hubs={"depot": plants.hub_with_everything()}, controller={"type": "basic_control", "period": "1min"}
    )
    data["hubs"]["depot"]["load"] = {"general": {"demand": {"type": "constant", "value": 5}}}
    with open_results(plants.run_data(data, tmp_path)) as results:
        assert results.arrays("depot/bess/p_kw")[1].max() <= 1e-9
        assert results.arrays("depot/bess/p_kw")[1].min() < -1.0
        assert results.arrays("depot/load/served_kw")[1][:, 3].min() == pytest.approx(5.0)
