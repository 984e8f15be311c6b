"""The contents of ``evhub list``: what comes with evhub and what is registered."""

from __future__ import annotations

from typing import Any

from ...analysis.kpis.key_figure_registry import key_figures
from ...simulators.devices import kinds
from ..assembly.ats_settings import maker_settings
from ..assembly.battery_packs import cell_sets
from ..assembly.tariff_prices import shipped_tariffs
from ..files.arrival_profiles import arrival_profiles
from ..schema.controller_registry import controllers
from ..schema.scenario_loader import shipped
from ..schema.yaml_file import read_yaml
from ..studies.dispatchability.dispatchability_study import shipped_studies
from ..studies.reproductions import NAMES, reproduction
from ..studies.variants.study_file import shipped_run_studies


def catalogue() -> list[dict[str, Any]]:
    """Return a row for each scenario, controller, device, cell set, arrival profile, study, tariff and key figure."""
    rows: list[dict[str, Any]] = []
    for name, path in shipped().items():
        rows.append({"kind": "scenario", "name": name, "what": read_yaml(path).get("title", "")})
    for name, entry in controllers().items():
        doc = entry.load().__doc__ or ""
        rows.append({"kind": "controller", "name": name, "what": doc.strip().split("\n")[0]})
    for kind in kinds():
        abilities = ", ".join(ability.replace("_", " ") for ability in kind.abilities)
        what = f"{kind.label} ({abilities})" if abilities else kind.label
        rows.append({"kind": "device", "name": kind.section_key, "what": what})
    for name, path in shipped_studies().items():
        rows.append({"kind": "study", "name": name, "what": read_yaml(path).get("title", "")})
    for name, path in shipped_run_studies().items():
        rows.append({"kind": "study", "name": name, "what": f"{read_yaml(path).get('title', '')} (compare, sweep)"})
    rows += [{"kind": "published study", "name": name, "what": reproduction(name).TITLE} for name in NAMES]
    shipped_files = {
        "pack": cell_sets(),
        "arrivals": arrival_profiles(),
        "tariff": shipped_tariffs(),
        "ats settings": maker_settings(),
    }
    for kind, files in shipped_files.items():
        for name, path in files.items():
            data = read_yaml(path)
            rows.append({"kind": kind, "name": name, "what": data.get("title") or data.get("name") or ""})
    for name, figure in key_figures().items():
        unit = "" if figure.unit in ("", "1") else f" [{figure.unit}]"
        rows.append({"kind": "key figure", "name": name, "what": f"{figure.text}{unit}"})
    return rows
