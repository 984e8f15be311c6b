"""What each strategy of a scenario was told of the future."""

from __future__ import annotations

from collections.abc import Collection

from ...simulators.devices import kind_of
from ..forecasts.forecast_text import describe_forecasts
from .controller_registry import controller_class
from .scenario_loader import Scenario
from .scenario_schema import ControllerSpec, HubSection

NO_FORECAST = "looks at no forecast"


def foresight(loaded: Scenario, outside: Collection[str] = ()) -> list[str]:
    """Describe what every controller of a scenario was told of the future.

    A controller says whether it looks at the forecast (`Controller.foresees`); one that says no gets none, so that the
    sentence is true of every run. What the forecast held is read from the scenario.

    Parameters
    ----------
    loaded : Scenario
        The scenario.
    outside : collection of str
        Hubs for which somebody outside decided, who could look at the forecast.

    Returns
    -------
    list of str
        Such as ``milp_dispatch was told every session and load without error: `forecasts` left out``; a line for each
        controller, and for each of its hubs where they differ.
    """
    lines: list[str] = []
    for n, spec in enumerate(loaded.scenario.controller):
        who = spec.type
        if not set(outside).isdisjoint(spec.hubs or loaded.scenario.hubs):
            who = f"whoever decided in the place of {spec.type}"
        elif not _foresees(loaded, spec, f"controller[{n}]"):
            lines.append(f"{spec.type} {NO_FORECAST}")
            continue
        texts = _by_hub(loaded, spec)
        same = len(set(texts.values())) == 1
        for hub, text in list(texts.items())[: 1 if same else None]:
            lines.append(f"{who} was told {text}" if same else f"{who} was told at {hub} {text}")
    return list(dict.fromkeys(lines))


def _foresees(loaded: Scenario, spec: ControllerSpec, key: str) -> bool:
    cls = controller_class(spec.type, loaded.folder, str(loaded.path), f"{key}.type")
    context = {"resolve": lambda name, field: loaded.resolve(name, f"{key}.{field}")}
    return cls.foresees(cls.Parameters.model_validate(spec.parameters, context=context))


def _by_hub(loaded: Scenario, spec: ControllerSpec) -> dict[str, str]:
    hubs = loaded.scenario.hubs
    return {
        name: describe_forecasts(
            hubs[name].forecasts, _quantities(hubs[name]), left_out="forecasts" not in hubs[name].model_fields_set
        )
        for name in spec.hubs or hubs
    }


def _quantities(hub: HubSection) -> list[str]:
    """Return the keys of ``forecasts`` that say something of a hub."""
    kinds = [kind_of(device.kind) for device in hub.devices()]
    present = {
        "sessions": hub.connectors is not None,
        "load": hub.load is not None,
        "pv": hub.pv is not None,
        "other": any(kind.forecast and not kind.contract for kind in kinds),
        "prices": True,
    }
    return [key for key, there in present.items() if there]
