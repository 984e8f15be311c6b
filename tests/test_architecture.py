"""The rooms of the project and the arrows between them."""

import ast
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ROOMS = ("analysis", "controllers", "scenarios", "simulators")
FILES = [path for room in ROOMS for path in sorted((ROOT / room).rglob("*.py")) if "example_study" not in path.parts]


def imported(path: Path) -> set[str]:
    """Absolute names of the modules a file imports."""
    package = ["evhub", *path.relative_to(ROOT).parent.parts]
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = [*base, *(node.module.split(".") if node.module else [])]
            found.add(".".join(module))
            found.update(".".join([*module, alias.name]) for alias in node.names)
    return found


def may(path: Path) -> tuple[str, ...]:
    """Rooms that a file may import from, besides its own and the units."""
    room, name = path.relative_to(ROOT).parts[0], path.name
    if room == "scenarios":
        return ROOMS
    if room == "simulators":
        exceptions = {"controller.py": ("controllers.base",), "recorder.py": ("analysis.store",)}
        return () if "models" in path.parts else ("simulators", *exceptions.get(name, ()))
    return {"controllers": (), "analysis": ("controllers.optimization",)}[room]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_follow_the_arrows(path):
    room = path.relative_to(ROOT).parts[0]
    own = f"evhub.{room}.models" if "models" in path.parts else f"evhub.{room}"
    allowed = [own, "evhub.simulators.models.units", *(f"evhub.{name}" for name in may(path))]
    for name in imported(path):
        if not name.startswith("evhub."):
            continue
        # "from ..controllers import base" is seen as the package and the module; the module decides
        if any(target.startswith(f"{name}.") for target in allowed):
            continue
        assert any(name == target or name.startswith(f"{target}.") for target in allowed), f"{path}: imports {name}"


@pytest.mark.parametrize("room", ["controllers", "analysis", "simulators/models"])
def test_only_the_plant_knows_mosaik(room):
    for path in (ROOT / room).rglob("*.py"):
        assert not any(name.split(".")[0].startswith("mosaik") for name in imported(path)), path


def test_models_read_no_files_and_use_no_global_random_state():
    for path in (ROOT / "simulators" / "models").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                assert node.func.id != "open", path
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Attribute):
                is_random = node.value.attr == "random" and node.attr not in (
                    "Generator",
                    "SeedSequence",
                    "default_rng",
                )
                assert not is_random, f"{path}: numpy.random.{node.attr}"


def test_conversion_factors_stand_in_one_place():
    found = [
        f"{path}:{node.lineno}: {node.value} belongs in units.py"
        for path in FILES
        for node in ast.walk(ast.parse(path.read_text()))
        if path.name != "units.py" and isinstance(node, ast.Constant) and node.value in (3600, 86400)
    ]
    assert found == []


def test_every_folder_with_code_is_packaged():
    listed = set((ROOT / "setup.cfg").read_text().split("packages =")[1].split("package_dir")[0].split())
    found = {"evhub." + ".".join(path.parent.relative_to(ROOT).parts) for path in FILES if path.name == "__init__.py"}
    assert found == listed


def test_modules_are_imported_once():
    """`import simulators` from the root would make second classes of the same name."""
    import evhub.scenarios.runner  # noqa: F401

    ours = {str(path) for path in FILES}
    named = {
        name: getattr(module, "__file__", "") for name, module in sys.modules.items() if name.split(".")[0] in ROOMS
    }
    assert not {name for name, file in named.items() if file in ours}
