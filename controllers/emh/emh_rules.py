"""The ordered list of rules, each with name, rank, guard and action, after Leal et al. 2024, section 3.

A rule looks at the `HubSituation` and changes the `References`: rules of protection set bounds, rules of economics set
wishes, those of the status both (see `references`). A scenario may leave rules out or put them in another order; a
subclass of `Emh` may add its own to ``rules``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import isfinite

from . import capacity, cost_rules, criteria, emh_island, priority
from .references import ReferenceRank, References
from .situation import HubSituation

_DUST_KW = 1e-6


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule: it sets or limits references while its guard holds.

    Parameters
    ----------
    name : str
        Name in scenarios and events.
    rank : ReferenceRank
        Rank of its bounds.
    applies : callable
        Guard: whether the rule acts in a situation.
    act : callable
        Action: ``act(rule, situation, references)``.
    """

    name: str
    rank: ReferenceRank
    applies: Callable[[HubSituation], bool]
    act: Callable[[Rule, HubSituation, References], None]

    def keep(self, reference, min_kw: float = -float("inf"), max_kw: float = float("inf")) -> None:
        """Limit a reference [kW] with this rule's name and rank."""
        reference.keep(self.rank, self.name, min_kw, max_kw)


# --- protection: alarms -----------------------------------------------------------------------------------------------


def _alarm(number: int) -> Callable[[HubSituation], bool]:
    return lambda s: number in s.alarms


def _stop_pv(rule: Rule, s: HubSituation, refs: References) -> None:
    rule.keep(refs.pv, max_kw=0.0)


def _stop_bess(rule: Rule, s: HubSituation, refs: References) -> None:
    """In an island the battery is released only when PV is measured at 0, so that PV has nowhere else to flow."""
    held_kw = emh_island.released_kw(s.last_bess_kw, s.pv_at_0 or not s.islanded)
    rule.keep(refs.bess, min_kw=held_kw, max_kw=held_kw)


def _stop_dg(rule: Rule, s: HubSituation, refs: References) -> None:
    rule.keep(refs.dg, max_kw=0.0)


def _overcurrent(rule: Rule, s: HubSituation, refs: References) -> None:
    rule.keep(refs.cp, max_kw=0.0 if s.overcurrent_level == 2 else s.parameters.cp_protection_kw)
    _stop_pv(rule, s, refs)
    _stop_bess(rule, s, refs)
    _stop_dg(rule, s, refs)


def _meter_error(rule: Rule, s: HubSituation, refs: References) -> None:
    rule.keep(refs.cp, max_kw=s.parameters.cp_protection_kw)
    _stop_pv(rule, s, refs)
    _stop_bess(rule, s, refs)
    _stop_dg(rule, s, refs)


def _pv_error(rule: Rule, s: HubSituation, refs: References) -> None:
    _stop_pv(rule, s, refs)
    if s.islanded:
        _stop_bess(rule, s, refs)


def _bess_error(rule: Rule, s: HubSituation, refs: References) -> None:
    _stop_bess(rule, s, refs)
    if s.islanded:
        _stop_pv(rule, s, refs)


def _connector_fault(rule: Rule, s: HubSituation, refs: References) -> None:
    refs.excluded = s.connectors.faulted


def _ocpp_timeout(rule: Rule, s: HubSituation, refs: References) -> None:
    refs.frozen = True


# --- protection and economics: capacity -------------------------------------------------------------------------------


def _installed_limit_kw(s: HubSituation) -> float:
    if s.islanded:
        return s.limit_kw
    return (s.parameters.installed_kw or s.site.installed_kw) * s.parameters.tx_limit_connected


def _over_installed(s: HubSituation) -> bool:
    return s.p_in_kw > _installed_limit_kw(s) + _DUST_KW


def _over_contracted(s: HubSituation) -> bool:
    return not s.islanded and s.p_in_kw > s.limit_kw + _DUST_KW


def _relieve(rule: Rule, s: HubSituation, refs: References, limit: float) -> None:
    ready = capacity.bess_ready(s.bess_kw, s.soc, s.soc_min, s.site.bess_kw) and not s.alarms & {1, 2, 4}
    max_kw = s.site.bess_kw if s.soc > s.soc_min else 0.0
    back = capacity.relief(s.p_in_kw, limit, s.cp_kw, s.bess_kw, ready, max_kw)
    # charging stops at once, before the connectors pay for it; in an island PV, which only feeds the charging, too
    rule.keep(refs.bess, min_kw=max(0.0, back.bess_kw) if ready else 0.0)
    rule.keep(refs.cp, max_kw=back.cp_kw)
    if s.islanded:
        rule.keep(refs.pv, max_kw=0.0)


def _installed_capacity(rule: Rule, s: HubSituation, refs: References) -> None:
    _relieve(rule, s, refs, _installed_limit_kw(s))


def _contracted_capacity(rule: Rule, s: HubSituation, refs: References) -> None:
    _relieve(rule, s, refs, s.limit_kw)


# --- economics: status ------------------------------------------------------------------------------------------------


def _dead_bus(rule: Rule, s: HubSituation, refs: References) -> None:
    for reference in (refs.cp, refs.bess, refs.pv, refs.dg):
        reference.want(0.0, rule.name)
        rule.keep(reference, min_kw=0.0, max_kw=0.0)


def _connected(rule: Rule, s: HubSituation, refs: References) -> None:
    refs.pv.want(s.site.pv_kw, rule.name)
    refs.bess.want(0.0, rule.name)
    refs.dg.want(0.0, rule.name)
    refs.cp.want(max(0.0, min(s.need_kw, s.room_kw)), rule.name)


def _islanded(rule: Rule, s: HubSituation, refs: References) -> None:
    refs.pv.want(0.0, rule.name)
    refs.bess.want(0.0, rule.name)
    refs.dg.want(0.0, rule.name)
    refs.cp.want(max(0.0, s.room_kw), rule.name)
    rule.keep(refs.cp, max_kw=s.parameters.cp_islanded_kw)
    _stop_dg(rule, s, refs)


# --- economics: cost rules --------------------------------------------------------------------------------------------


def _battery(s: HubSituation) -> cost_rules.Battery:
    p, tr = s.parameters, s.prices
    max_kw = s.site.bess_kw if p.bess_discharge_kw is None else min(p.bess_discharge_kw, s.site.bess_kw)
    # where the need has room, charging takes what that leaves, and must not stop itself
    own_kw = min(0.0, s.bess_kw) if s.need_kw <= s.room_kw else 0.0
    # a battery that fed the grid would not serve the connectors
    max_kw = max(0.0, min(max_kw, s.consumption_kw))
    return cost_rules.Battery(
        discharge_kw=max_kw,
        slow_kw=s.slow_kw,
        may_discharge=criteria.bess_may_discharge(
            soc=s.soc, soc_min=s.soc_min, soc_off_peak=p.soc_off_peak, tr_grid=tr.buy, tr_bess=tr.bess, peak=s.peak
        ),
        may_charge=criteria.bess_may_charge(
            soc=s.soc,
            soc_max=s.soc_max,
            p_in_kw=s.p_in_kw + own_kw,
            pv_kw=s.pv_kw,
            limit_kw=s.limit_kw,
        ),
        last_kw=s.last_bess_kw,
    )


def _cost_rule_1(rule: Rule, s: HubSituation, refs: References) -> None:
    pays = s.prices.charging > s.prices.bess
    _wish(rule, refs, cost_rules.rule_1(s.need_kw, s.room_kw, s.pv_kw, pays, _battery(s)))


def _cost_rule_2(rule: Rule, s: HubSituation, refs: References) -> None:
    tr = s.prices
    may_run = criteria.dg_may_run(
        fuel_l=s.fuel_l,
        fuel_capacity_l=s.site.dg_fuel_capacity_l,
        # what the generator itself gives must not stop it
        p_in_kw=s.p_in_kw + s.dg_kw,
        pv_kw=s.pv_kw,
        limit_kw=s.limit_kw,
        tr_dg=tr.dg,
        tr_grid=tr.buy,
        bess_rated_kw=s.site.bess_kw,
        soc=s.soc,
        soc_min=s.soc_min,
        peak=s.peak,
    )
    pays = tr.charging > tr.bess
    battery = _battery(s)
    # with the battery never more than the hub draws
    max_kw = s.consumption_kw - (battery.discharge_kw if pays and battery.may_discharge else 0.0)
    dg_kw = max(0.0, min(s.site.dg_kw, max_kw)) if may_run else 0.0
    _wish(rule, refs, cost_rules.rule_2(s.need_kw, s.room_kw, s.pv_kw, pays, battery, dg_kw))


def _wish(rule: Rule, refs: References, wish: cost_rules.CostDispatch) -> None:
    refs.bess.want(wish.bess_kw, rule.name)
    refs.dg.want(wish.dg_kw, rule.name)
    refs.cp.want(wish.cp_kw, rule.name, counting_kw=max(0.0, wish.bess_kw) + wish.dg_kw)


# --- islanded coordination --------------------------------------------------------------------------------------------


def _island_ramp(rule: Rule, s: HubSituation, refs: References) -> None:
    ramp = s.parameters.ramp
    s.ramp = emh_island.step(
        s.ramp,
        s.t_s,
        charging_kw=-s.bess_kw,
        pv_kw=s.pv_kw,
        max_kw=ramp.bess_share * s.site.bess_kw,
        step_kw=ramp.step_kw,
        pv_share=ramp.pv_share,
        # PV must have heard of its limit before it can be short of it
        every_s=max(ramp.every_s, s.round_s),
        # a battery that was discharging leaves its power to the secondary source
        may_rise=s.p_in_kw + max(0.0, s.bess_kw) + ramp.step_kw <= s.limit_kw,
    )
    refs.bess.want(0.0 - s.ramp.charge_kw, rule.name)
    refs.pv.want(emh_island.pv_limit_kw(s.ramp, -s.bess_kw, ramp.pv_share), rule.name)


def _sure_kw(s: HubSituation) -> float:
    """What a discharge may cover so that nothing flows back into the secondary source [kW].

    What source and battery give, and what the consumers are measured to draw, whichever is less. The last EV may leave
    at any moment; where the source would trip before messages can answer that, only the local load counts.
    """
    if not isfinite(s.p_in_kw):
        return 0.0
    sure_kw = min(s.consumption_kw, s.p_in_kw + s.bess_kw)
    if s.round_s >= s.site.secondary_reverse_s:
        load_kw = s.load_kw if isfinite(s.load_kw) else 0.0
        sure_kw = min(sure_kw, load_kw + s.site.secondary_reverse_kw)
    return sure_kw


def _island_discharge(rule: Rule, s: HubSituation, refs: References) -> None:
    refs.pv.want(0.0, rule.name)
    if not s.pv_at_0:
        refs.bess.want(min(s.last_bess_kw, 0.0), rule.name)
    elif s.parameters.island_discharge == "relief":
        refs.bess.want(emh_island.relief_kw(_sure_kw(s), s.slow_kw), rule.name)
    else:
        limit = s.parameters.ramp.bess_share * s.site.bess_kw
        refs.bess.want(emh_island.above_limit_kw(_sure_kw(s), limit, s.site.bess_kw), rule.name)


# --- economics: priority ----------------------------------------------------------------------------------------------


def _priority(rule: Rule, s: HubSituation, refs: References) -> None:
    p, connectors = s.parameters, s.connectors
    refs.weights = priority.weights(s.busy, connectors.plugged_s, p.preferred, p.weight_of_last)


RULES: dict[str, Rule] = {
    rule.name: rule
    for rule in (
        Rule("overcurrent", ReferenceRank.ALARM, _alarm(1), _overcurrent),
        Rule("meter_error", ReferenceRank.ALARM, _alarm(2), _meter_error),
        Rule("pv_error", ReferenceRank.ALARM, _alarm(3), _pv_error),
        Rule("bess_error", ReferenceRank.ALARM, _alarm(4), _bess_error),
        Rule("dg_error", ReferenceRank.ALARM, _alarm(5), _stop_dg),
        Rule("connector_fault", ReferenceRank.ALARM, _alarm(6), _connector_fault),
        Rule("ocpp_timeout", ReferenceRank.ALARM, _alarm(8), _ocpp_timeout),
        Rule("installed_capacity", ReferenceRank.INSTALLED, _over_installed, _installed_capacity),
        Rule("dead_bus", ReferenceRank.STATUS, lambda s: s.dead, _dead_bus),
        Rule("connected", ReferenceRank.STATUS, lambda s: s.connected, _connected),
        Rule("islanded", ReferenceRank.STATUS, lambda s: s.islanded, _islanded),
        Rule("contracted_capacity", ReferenceRank.CONTRACTED, _over_contracted, _contracted_capacity),
        Rule("cost_rule_1", ReferenceRank.COST, lambda s: s.connected and s.prices.dg >= s.prices.buy, _cost_rule_1),
        Rule("cost_rule_2", ReferenceRank.COST, lambda s: s.connected and s.prices.dg < s.prices.buy, _cost_rule_2),
        Rule("island_ramp", ReferenceRank.COST, lambda s: s.islanded and not s.ramp.discharging, _island_ramp),
        Rule("island_discharge", ReferenceRank.COST, lambda s: s.islanded and s.ramp.discharging, _island_discharge),
        Rule("priority", ReferenceRank.PRIORITY, lambda s: True, _priority),
    )
}
"""The rules of the paper, in the order of its hierarchy. Alarm 7 needs none of its own: it raises alarms 2 to 5."""
