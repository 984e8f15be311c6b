"""LP files as small tables that can be compared, and written so that people can read them."""

from __future__ import annotations

import io
from pathlib import Path

import pyomo.environ as pyo
from pyomo.repn.plugins.lp_writer import LPWriter


def parse(text: str) -> dict[str, dict]:
    """Rows, bounds and binaries of an LP file, whatever its order: {section: {name: contents}}."""
    found = {"min": {}, "s.t.": {}, "bounds": {}, "binary": {}}
    section, name = "", ""
    for line in text.splitlines():
        words = line.split()
        if not words or line.startswith("\\"):
            continue
        if words[0] in (*found, "end"):
            section, words = words[0], words[1:]
        if section == "bounds" and words:
            low, _, variable, _, high = words
            found["bounds"][variable] = {"lower": float(low), "upper": float(high)}
        elif section == "binary":
            found["binary"] |= {variable: {} for variable in words}
        elif section in ("min", "s.t."):
            for word in words:
                if word.endswith(":"):
                    name, number = word[:-1], 0.0
                    found[section][name] = {}
                elif word in ("=", "<=", ">="):
                    number = word
                elif isinstance(number, str):
                    found[section][name][number] = float(word)
                elif word[0] in "+-":
                    number = float(word)
                else:
                    found[section][name][word] = number
    return found


def write(model: pyo.ConcreteModel) -> str:
    """A model as an LP file of one line a row, sorted by name."""
    raw = io.StringIO()
    LPWriter().write(model, raw, symbolic_solver_labels=True)
    tables = parse(raw.getvalue())
    lines = []
    for section in ("min", "s.t."):
        lines += [section, ""]
        for name in sorted(tables[section]):
            row = tables[section][name]
            terms = [f"{row[v]:+.12g} {v}" for v in sorted(row) if v not in ("=", "<=", ">=")]
            side = [f"{sense} {row[sense]:.12g}" for sense in ("=", "<=", ">=") if sense in row]
            lines.append(" ".join([f"{name}:", *terms, *side]))
        lines.append("")
    lines += ["bounds", ""]
    for name in sorted(tables["bounds"]):
        bounds = tables["bounds"][name]
        high = "+inf" if bounds["upper"] == float("inf") else f"{bounds['upper']:.12g}"
        lines.append(f"{bounds['lower']:.12g} <= {name} <= {high}")
    if tables["binary"]:
        lines += ["", "binary", "", *sorted(tables["binary"])]
    return "\n".join([*lines, "", "end", ""])


def read(path: Path) -> dict[str, dict]:
    """Tables of a file."""
    return parse(path.read_text(encoding="utf-8"))
