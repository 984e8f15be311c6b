"""Change the code of plant and strategies a little, place by place, and see whether the nearest unit tests notice.

    python -m tests.mutation [--sample 40] [--seed 1] [--only simulators/battery] [--all] [--list]

A mutant turns a comparison or an operator, moves a constant, negates a condition, or drops an argument of `min`, `max`,
`minimum` or `maximum`. Each runs in a copy of the checkout, so that the working tree is never touched. Survivors are
printed as file, line, and what was changed into what; the exit status is 1 if there are any.
"""

from __future__ import annotations

import argparse
import ast
import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CONTROLLERS, SIMULATORS = "tests/unit/controllers", "tests/unit/simulators"
NEAREST = {
    "controllers/sharing": [
        f"{CONTROLLERS}/test_controllers.py",
        f"{CONTROLLERS}/test_in_order.py",
        f"{CONTROLLERS}/test_pv_first.py",
        f"{CONTROLLERS}/test_sharing.py",
        f"{CONTROLLERS}/test_circuits.py",
        "tests/unit/scenarios/test_controlled_hub.py",
    ],
    "simulators/arrivals": [f"{SIMULATORS}/arrivals"],
    "simulators/ats": [f"{SIMULATORS}/test_ats.py"],
    "simulators/battery": [f"{SIMULATORS}/test_battery.py"],
    "simulators/charge_point": [f"{SIMULATORS}/test_charge_point.py", f"{SIMULATORS}/arrivals/test_ev_arrivals.py"],
    "simulators/generator": [f"{SIMULATORS}/test_generator.py"],
    "simulators/grid": [f"{SIMULATORS}/test_grid.py"],
    "simulators/inverter.py": [f"{SIMULATORS}/test_inverter.py"],
    "simulators/link": [f"{SIMULATORS}/test_link.py"],
    "simulators/load": [f"{SIMULATORS}/test_load.py"],
    "simulators/network": [f"{SIMULATORS}/network"],
    "simulators/pv": [f"{SIMULATORS}/test_pv.py", f"{SIMULATORS}/test_irradiance.py"],
    "simulators/series.py": [f"{SIMULATORS}/test_series.py"],
    "simulators/tariffs": [f"{SIMULATORS}/test_tariffs.py"],
    "simulators/water_filling.py": [f"{CONTROLLERS}/test_water_filling.py", f"{SIMULATORS}/test_charge_point.py"],
}
"""Mutated file or folder, and the tests that have to notice. Adapters and YAML sections are left out."""

LEFT_OUT = ("_simulator.py", "_section.py", "__init__.py")
COMPARED = {ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq}
CALCULATED = {ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.BitAnd: ast.BitOr}
CALCULATED |= {ast.BitOr: ast.BitAnd, ast.FloorDiv: ast.Div, ast.Pow: ast.Mult}
EXTREMES = ("min", "max", "minimum", "maximum")
TIMEOUT_S = 900.0
"""After which a mutant counts as noticed, because it hangs."""
HANGS = f"no end within {TIMEOUT_S:g} s"


@dataclass(frozen=True)
class Mutant:
    """One change of one file: the source segment at `line`, and what replaces it."""

    file: str
    start: int
    end: int
    line: int
    before: str
    after: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.before}  ->  {self.after}"

    def source(self) -> str:
        """Return the whole file with the change."""
        raw = (ROOT / self.file).read_bytes()
        return (raw[: self.start] + self.after.encode() + raw[self.end :]).decode()


def changes(node: ast.AST) -> Iterator[ast.expr]:
    """Yield every replacement of one expression."""
    if isinstance(node, ast.Compare) and type(node.ops[0]) in COMPARED:
        yield ast.Compare(node.left, [COMPARED[type(node.ops[0])](), *node.ops[1:]], node.comparators)
    elif isinstance(node, ast.BinOp) and type(node.op) in CALCULATED:
        yield ast.BinOp(node.left, CALCULATED[type(node.op)](), node.right)
    elif isinstance(node, ast.BoolOp):
        yield ast.BoolOp(ast.Or() if isinstance(node.op, ast.And) else ast.And(), node.values)
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, (ast.Not, ast.USub, ast.Invert)):
        yield node.operand
    elif isinstance(node, ast.Call):
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        if name in EXTREMES and len(node.args) > 1:
            for k in range(len(node.args)):
                rest = node.args[:k] + node.args[k + 1 :]
                yield rest[0] if len(rest) == 1 else ast.Call(node.func, rest, node.keywords)
    elif isinstance(node, ast.Constant):
        if isinstance(node.value, bool):
            yield ast.Constant(not node.value)
        elif isinstance(node.value, (int, float)):
            yield ast.Constant(node.value + 1)


def expressions(tree: ast.AST) -> Iterator[ast.AST]:
    """Yield what can be mutated: no annotations, decorators, defaults of parameters, or texts for people."""
    for field, value in ast.iter_fields(tree):
        if field in ("annotation", "returns", "decorator_list", "defaults", "kw_defaults", "bases", "keywords"):
            continue
        for child in value if isinstance(value, list) else [value]:
            if not isinstance(child, ast.AST) or isinstance(child, (ast.JoinedStr, ast.Raise, ast.Assert)):
                continue
            yield child
            yield from expressions(child)


def mutants(file: str) -> list[Mutant]:
    """Return every mutant of a file, in the order of its lines."""
    text = (ROOT / file).read_text()
    starts = [0]
    for line in text.encode().splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    found = []
    for node in expressions(ast.parse(text)):
        for new in changes(node):
            assert isinstance(node, ast.expr) and node.end_lineno is not None and node.end_col_offset is not None
            start = starts[node.lineno - 1] + node.col_offset
            end = starts[node.end_lineno - 1] + node.end_col_offset
            after = ast.unparse(new)
            found.append(
                Mutant(file, start, end, node.lineno, ast.unparse(node), after if after.isalnum() else f"({after})")
            )
    return found


def files(places: list[str]) -> dict[str, list[str]]:
    """Return the mutated files with the tests nearest to them."""
    found = {}
    for place in places:
        path = ROOT / place
        for file in sorted(path.rglob("*.py")) if path.is_dir() else [path]:
            name = str(file.relative_to(ROOT))
            if not name.endswith(LEFT_OUT):
                key = max((key for key in NEAREST if name == key or name.startswith(f"{key}/")), key=len)
                found[name] = [test for test in NEAREST[key] if (ROOT / test).exists()]
    return found


def checkout(folder: Path) -> Path:
    """Copy what the tests need: the rooms, the links to them, and the tests themselves."""
    target = folder / "checkout"
    target.mkdir()
    for name in ("analysis", "controllers", "scenarios", "simulators", "tests", "evhub", "setup.cfg", "benchmarks"):
        source = ROOT / name
        if source.is_dir():
            ignored = shutil.ignore_patterns("__pycache__", "*.h5")
            shutil.copytree(source, target / name, symlinks=True, ignore=ignored)
        else:
            shutil.copy(source, target / name)
    return target


def failure(place: Path, tests: list[str]) -> str:
    """Run the tests in a copy of the checkout; what pytest said if they fail or hang, else nothing."""
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", "--hypothesis-profile=quick"]
    environment = {**os.environ, "PYTHONPATH": str(place), "PYTHONDONTWRITEBYTECODE": "1"}
    try:
        done = subprocess.run(
            [*command, "-m", "not slow and not campaign", *tests],
            cwd=place,
            env=environment,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
        )
    except subprocess.TimeoutExpired:
        return HANGS
    if done.returncode not in (0, 1, 2):  # 2: the mutant cannot even be imported
        raise RuntimeError(f"pytest ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return done.stdout if done.returncode else ""


def survivors(drawn: list[Mutant], nearest: dict[str, list[str]], workers: int) -> list[Mutant]:
    """Run the mutants; return those that no test noticed."""
    share = [drawn[k::workers] for k in range(workers)]

    def work(mine: list[Mutant]) -> list[Mutant]:
        alive = []
        with tempfile.TemporaryDirectory() as folder:
            place = checkout(Path(folder))
            for mutant in mine:
                original = (place / mutant.file).read_bytes()
                (place / mutant.file).write_text(mutant.source())
                said = failure(place, nearest[mutant.file])
                (place / mutant.file).write_bytes(original)
                outcome = "SURVIVED" if not said else "hung    " if said.startswith(HANGS) else "killed  "
                print(f"{outcome} {mutant}", flush=True)
                if not said:
                    alive.append(mutant)
        return alive

    with ThreadPoolExecutor(workers) as pool:
        return [mutant for alive in pool.map(work, share) for mutant in alive]


def main(arguments: list[str] | None = None) -> int:
    """Draw, run, and print; 1 if a mutant survived, 2 if the tests fail without any."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutation", description=__doc__.splitlines()[0])
    parser.add_argument("--sample", type=int, default=40, help="mutants to draw (default 40: about 5 minutes)")
    parser.add_argument("--all", action="store_true", help="every mutant instead of a sample (hours)")
    parser.add_argument("--seed", type=int, default=1, help="of the sample")
    parser.add_argument("--only", action="append", help="file or folder, such as simulators/battery; may be repeated")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--list", action="store_true", help="print the sample without running it")
    chosen = parser.parse_args(arguments)
    for place in chosen.only or []:
        if not (ROOT / place).exists() or not any(f"{place}/".startswith(f"{key}/") for key in NEAREST):
            parser.error(f"--only must be within {', '.join(NEAREST)}, got {place}")
    nearest = files(chosen.only or list(NEAREST))
    known = [mutant for file in nearest for mutant in mutants(file)]
    drawn = known if chosen.all else random.Random(chosen.seed).sample(known, min(chosen.sample, len(known)))
    print(f"{len(drawn)} of {len(known)} mutants in {len(nearest)} files, seed {chosen.seed}", flush=True)
    if chosen.list:
        print(*drawn, sep="\n")
        return 0
    with tempfile.TemporaryDirectory() as folder:
        said = failure(checkout(Path(folder)), sorted({test for tests in nearest.values() for test in tests}))
    if said:
        print(f"{said}\nthe tests fail without any mutant", file=sys.stderr)
        return 2
    alive = survivors(drawn, nearest, chosen.workers)
    print(f"\n{len(drawn) - len(alive)} killed, {len(alive)} survived", *alive, sep="\n")
    return 1 if alive else 0


if __name__ == "__main__":
    sys.exit(main())
