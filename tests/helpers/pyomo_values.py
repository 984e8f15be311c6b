"""Values of a solved program in its Pyomo model, where Pyomo's own expressions judge them."""

from __future__ import annotations

from pyomo.core.staleflag import StaleFlagManager

from evhub.controllers.optimization.program import Program


def write_back(program: Program) -> None:
    """Put the point that the last solve found into the model; fixed variables keep their values."""
    values = program.values()[: len(program.variables)]
    StaleFlagManager.mark_all_as_stale()
    for variable, value in zip(program.variables, values.tolist(), strict=True):
        if not variable.fixed:
            variable.set_value(value, skip_validation=True)
