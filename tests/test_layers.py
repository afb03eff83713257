"""The house of volest: imports run only downwards, and `import volest` stays light."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "volest"

# From top to bottom. A name stands for the module or the package with all its modules; "volest" is volest/__init__.py.
LAYERS = [
    ["__main__"],
    ["cli"],
    ["serve"],
    ["edge"],
    ["batch", "commission", "demo", "evaluate", "report", "sensorbench", "track"],
    ["page", "scoreplot"],
    ["picture", "scoretable"],
    ["score", "table"],
    ["judge"],
    ["case"],
    ["simulate"],
    ["calibration", "network"],
    ["volest"],
    ["interfaces"],
    ["load", "rows"],
    ["estimator"],
    ["drift", "tare", "weighbridge"],
    ["tickets"],
    ["fusion", "weight"],
    ["frames", "hidden", "result", "uncertainty", "wetness"],
    ["meshbed", "reference", "registration"],
    ["walls"],
    ["bed"],
    ["weighing"],
    ["truck"],
    ["truckfile"],
    ["pose", "scale"],
    ["io", "motion"],
    ["catalogue", "pointcloud", "quantity", "voxels"],
    ["schema"],
    ["objectstore"],
    ["_core", "_version", "durable", "errors", "jit", "progress"],
]
RANK = {name: rank for rank, layer in enumerate(LAYERS) for name in layer}
HEAVY = {
    "can",
    "cantools",
    "distributed",
    "fsspec",
    "laspy",
    "lazrs",
    "llvmlite",
    "matplotlib",
    "mcap",
    "numba",
    "open3d",
    "ouster",
    "pyarrow",
    "pye57",
    "rich",
    "rosbags",
    "scipy",
}
HEAVY |= {
    "alembic",
    "babel",
    "duckdb",
    "fastapi",
    "httpx",
    "jinja2",
    "obstore",
    "paho",
    "prometheus_client",
    "psycopg",
    "pyarrow",
    "sqlalchemy",
    "starlette",
    "trimesh",
    "uvicorn",
    "velodyne_decoder",
}
MOST_MODULES = 120
"""How many modules there may be after `import volest`, the standard library included; NumPy alone makes 170."""


def module_name(path: Path, package: Path) -> str:
    parts = (package.name, *path.relative_to(package).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported_modules(source: str, importer: str, is_package: bool, known: set[str]) -> Iterator[str]:
    """Each module of the package that the source imports, wherever in the file the import stands."""
    root = importer.partition(".")[0]
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parts = importer.split(".")
                base = ".".join(parts[: len(parts) - node.level + is_package] + ([base] if base else []))
            names = [f"{base}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:
            while name not in known and "." in name:  # volest.pose.Pose is a name in volest.pose
                name = name.rpartition(".")[0]
            if name.partition(".")[0] == root and name != importer:
                yield name


def import_graph(package: Path) -> dict[str, set[str]]:
    """For each module of the package the modules of the package that it imports."""
    modules = {module_name(path, package): path for path in sorted(package.rglob("*.py"))}
    known = {*modules, f"{package.name}._core"}
    return {
        name: set(imported_modules(path.read_text("utf-8"), name, path.name == "__init__.py", known))
        for name, path in modules.items()
    }


def room(module: str) -> str:
    return module.split(".")[1] if "." in module else module


def upward_imports(graph: dict[str, set[str]]) -> list[str]:
    return [
        f"{importer} imports {imported}, which stands above it"
        for importer, targets in sorted(graph.items())
        for imported in sorted(targets)
        if RANK[room(imported)] < RANK[room(importer)]
    ]


GRAPH = import_graph(PACKAGE)


def test_every_room_has_its_layer() -> None:
    assert {room(module) for module in GRAPH} - RANK.keys() == set(), "add the new room to LAYERS"


def test_imports_run_only_downwards() -> None:
    assert upward_imports(GRAPH) == []


def test_imports_make_no_cycle() -> None:
    try:
        TopologicalSorter(GRAPH).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


@pytest.mark.parametrize(
    "source",
    [
        "import volest.cli",
        "from volest import cli",
        "from volest.cli import main",
        "from . import cli",
        "from .cli import main as entry",
        "def late():\n    from volest.cli import main",
        "if False:\n    import volest.cli as c",
    ],
)
def test_every_spelling_of_an_upward_import_is_found(tmp_path: Path, source: str) -> None:
    package = tmp_path / "volest"
    package.mkdir()
    for name, content in {"__init__": "", "cli": "def main(): ...", "pose": source}.items():
        (package / f"{name}.py").write_text(content, "utf-8")
    assert upward_imports(import_graph(package)) == ["volest.pose imports volest.cli, which stands above it"]


def test_relative_import_inside_a_subpackage_is_resolved() -> None:
    known = {"volest", "volest.io", "volest.io.pcd", "volest.errors"}
    assert list(imported_modules("from .pcd import read", "volest.io", True, known)) == ["volest.io.pcd"]
    assert list(imported_modules("from ..errors import E", "volest.io.pcd", False, known)) == ["volest.errors"]
    assert list(imported_modules("from . import pcd", "volest.io", True, known)) == ["volest.io.pcd"]


@pytest.fixture(scope="module")
def loaded() -> set[str]:
    """The modules that are there after `import volest` in a fresh interpreter."""
    script = "import volest, json, sys; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
    return set(json.loads(done.stdout))


def test_import_volest_loads_nothing_heavy(loaded: set[str]) -> None:
    assert HEAVY & {name.partition(".")[0] for name in loaded} == set()


def test_import_volest_loads_few_modules(loaded: set[str]) -> None:
    assert len(loaded) <= MOST_MODULES
