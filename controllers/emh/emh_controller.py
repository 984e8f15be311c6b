"""The controller `emh`: it observes each hub, sets references by its rules, and shares the power by rank."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, cast

import numpy as np

from .. import contract
from . import emh_island, priority
from .emh_parameters import EmhParameters
from .emh_rules import RULES, Rule
from .references import References
from .situation import HubSituation, Memory, observe

_DECIDED = ("cp", "bess", "pv", "dg")


class Emh(contract.Controller):
    """The rule-based management strategy of Leal et al. 2024.

    Every decision follows figure 7: acquire, alarms, rules (power dispatch), DER references, priority, connectors.
    ``rules`` are the rules a scenario can name; a subclass adds its own: ``rules = {**Emh.rules, "mine": Rule(...)}``.
    """

    uses_forecast = False

    Parameters = EmhParameters
    parameters: EmhParameters
    rules: ClassVar[Mapping[str, Rule]] = RULES
    records: ClassVar[Mapping[str, tuple[str, str]]] = {
        "alarms": ("", "active alarms: bit n - 1 is set while alarm n is active"),
        "p_in_limit_kw": ("kW", "limit of the import in force (eq. 1)"),
        "p_limit_cp_kw": ("kW", "power allowed to the charge point"),
        **{
            f"rule_{one}": ("", f"place of the rule that decided {one}, from 1, see the documentation")
            for one in _DECIDED
        },
    }

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self._memory = {
            name: Memory(np.zeros_like(site.connector_kw), self.period_s) for name, site in self.sites.items()
        }
        self._codes = {name: float(number) for number, name in enumerate(self.rules, 1)}
        self._chosen: dict[tuple[str, ...], list[Rule]] = {}
        for name in self.sites:
            self.check(name, self.parameters)

    def __getstate__(self) -> dict:
        """Leave out the rules that were chosen; they are looked up again."""
        return {**self.__dict__, "_chosen": {}}

    def check(self, hub: str, parameters: contract.Parameters) -> None:
        """Refuse rules that do not exist, and what does not fit the plates of a hub."""
        emh_parameters = cast("EmhParameters", parameters)
        self._choose(emh_parameters)
        _fit(hub, self.sites[hub], emh_parameters)

    def decide(self, observation: contract.Observation) -> contract.Decision:
        """Decide the set points of every hub by the rules."""
        now = observation.time.time()
        setpoints: dict[str, contract.Setpoints] = {}
        events: list[tuple[str, str, str]] = []
        records: dict[str, dict[str, float]] = {}
        for name, hub in observation.hubs.items():
            site, memory = self.sites[name], self._memory[name]
            situation, messages = observe(observation.t_s, now, site, hub, memory)
            setpoints[name], records[name], decided = self._settle(situation, memory)
            events += [(name, kind, text) for kind, text in messages]
            events += [(name, "rule", text) for text in decided]
        return contract.Decision(setpoints, events, records)

    def _choose(self, parameters: EmhParameters) -> list[Rule]:
        chosen = self._chosen.get(parameters.rules)
        if chosen is None:
            if unknown := [name for name in parameters.rules if name not in self.rules]:
                raise ValueError(f"rules must be among {', '.join(self.rules)}, got {', '.join(unknown)}")
            chosen = self._chosen[parameters.rules] = [self.rules[name] for name in parameters.rules]
        return chosen

    def _settle(self, s: HubSituation, memory: Memory) -> tuple[contract.Setpoints, dict[str, float], list[str]]:
        """Evaluate the rules, clip the wishes, share the power; and remember it."""
        refs = References()
        for rule in self._choose(s.parameters):
            if rule.applies(s):
                rule.act(rule, s, refs)
        bess_kw, bess_by = refs.bess.settle()
        pv_kw, pv_by = refs.pv.settle()
        dg_kw, dg_by = refs.dg.settle()
        cp_kw, cp_by = refs.cp.settle(refs.cp_wish_kw(bess_kw, dg_kw, s.bess_kw, s.dg_kw))
        bess_kw = min(max(bess_kw, -s.site.bess_kw), s.site.bess_kw)
        connector_kw = _connectors_kw(s, refs, cp_kw, memory.connector_kw)

        overruled = refs.bess.wish != bess_kw or pv_kw < refs.pv.wish
        if s.islanded and overruled and s.ramp.charge_kw > 0.0:
            memory.ramp = emh_island.restart(s.ramp, s.t_s, s.parameters.ramp.every_s)
        else:
            memory.ramp = s.ramp
        memory.bess_kw, memory.connector_kw = bess_kw, connector_kw
        by = (cp_by, bess_by, pv_by, dg_by)
        messages = []
        if by != memory.decided_by:
            before = memory.decided_by or ("",) * len(by)
            values = zip(_DECIDED, before, by, (cp_kw, bess_kw, pv_kw, dg_kw), strict=True)
            messages = [f"{reference} {kw:.2f} kW by {rule}" for reference, was, rule, kw in values if rule != was]
            memory.decided_by = by
        code = self._codes.get
        records = {
            "alarms": float(memory.log.mask),
            "p_in_limit_kw": s.limit_kw,
            "p_limit_cp_kw": cp_kw,
            "rule_cp": code(cp_by, 0.0),
            "rule_bess": code(bess_by, 0.0),
            "rule_pv": code(pv_by, 0.0),
            "rule_dg": code(dg_by, 0.0),
        }
        return contract.Setpoints(connector_kw, bess_kw, max(0.0, pv_kw), max(0.0, dg_kw)), records, messages


def _connectors_kw(s: HubSituation, refs: References, cp_kw: float, last_kw: np.ndarray) -> np.ndarray:
    """Limits of the connectors, by weight; the last ones while the OCPP side is lost."""
    if refs.frozen:
        return last_kw
    weight = s.busy.astype(float) if refs.weights is None else refs.weights
    if refs.excluded is not None:
        weight = weight * ~refs.excluded
    target_kw = priority.share(cp_kw, weight, s.max_kw, s.site.connector_minimum_kw)
    return priority.admit(cp_kw, target_kw, s.connectors.p_kw, last_kw, weight)


def _fit(name: str, site: contract.Site, parameters: EmhParameters) -> None:
    """Refuse parameters that do not fit the plates of a hub."""
    contracted_kw, installed_kw = (
        parameters.contracted_kw or site.contracted_kw,
        parameters.installed_kw or site.installed_kw,
    )
    if contracted_kw > installed_kw:
        raise ValueError(
            f"contracted_kw must be at most installed_kw {installed_kw:g} of {name}, got {contracted_kw:g}"
        )
    soc_min = site.bess_soc_min if parameters.soc_min is None else parameters.soc_min
    soc_max = site.bess_soc_max if parameters.soc_max is None else parameters.soc_max
    if site.bess_kw and not site.bess_soc_min <= soc_min < soc_max <= site.bess_soc_max:
        raise ValueError(
            f"soc_min and soc_max must rise within {site.bess_soc_min:g} to {site.bess_soc_max:g} of {name}'s battery, "
            f"got {soc_min:g} and {soc_max:g}"
        )
    ramp, count = parameters.ramp, site.connector_kw.size
    if site.bess_kw and ramp.step_kw > ramp.bess_share * site.bess_kw:
        raise ValueError(
            f"ramp.step_kw must be at most ramp.bess_share of the rating of {name}'s battery, "
            f"{ramp.bess_share * site.bess_kw:g}, got {ramp.step_kw:g}"
        )
    if count and max(parameters.preferred, default=1) > count:
        raise ValueError(f"preferred must name connectors 1 to {count} of {name}, got {max(parameters.preferred)}")
