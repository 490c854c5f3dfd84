"""The house's order: a module imports only from the layers above its own; the pure stay pure."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "src" / "metaalign"
LAYERS = [
    "schema",
    "policy",
    "prompt",
    "data",
    "sandbox",
    "train",
    "generate",
    "evaluate",
    "serve",
    "terminal",
    "boundary",
    "quickstart",
    "cli",
]
PURE = {"schema", "policy", "prompt"}
HEAVY = set(LAYERS) - {"schema", "boundary", "cli"}
LIGHT = {"msgspec", "typer"}
"""What may be imported at the top of cli.py, besides the standard library."""


def imports(tree: ast.AST, module: str, is_package: bool) -> Iterator[tuple[int, str]]:
    """(line, absolute name) of everything that ``tree`` imports, inside functions too."""
    package = module if is_package else module.rpartition(".")[0]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parents = package.split(".")
                parents = parents[: len(parents) - node.level + 1]
                base = ".".join([*parents, base] if base else parents)
            # "from metaalign import data" names the module data, not something in metaalign.
            if base == "metaalign":
                yield from ((node.lineno, f"metaalign.{alias.name}") for alias in node.names)
            else:
                yield node.lineno, base


def top_level(tree: ast.Module) -> ast.Module:
    """What runs when the module is imported: the tree without functions' bodies, and without what
    only type checkers see."""

    class Strip(ast.NodeTransformer):
        def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
            return None

        def visit_If(self, node: ast.If) -> ast.If | None:
            return None if ast.unparse(node.test) == "TYPE_CHECKING" else node

    stripped = Strip().visit(tree)
    assert isinstance(stripped, ast.Module)
    return stripped


def violations(package: Path) -> list[str]:
    """Every import under ``package`` that breaks the order, as ``file:line: what``."""
    found = []
    for path in sorted(package.rglob("*.py")):
        parts = path.relative_to(package).with_suffix("").parts
        if parts in {("__init__",), ("__main__",)}:
            layer = "schema" if parts == ("__init__",) else "cli"
        elif parts[0] in LAYERS:
            layer = parts[0]
        else:
            found.append(f"{path.name}:1: {parts[0]} is in no layer")
            continue
        is_package = parts[-1] == "__init__"
        module = ".".join(["metaalign", *(parts[:-1] if is_package else parts)])
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for line, name in imports(tree, module, is_package):
            where = f"{'/'.join(parts)}.py:{line}"
            first, _, rest = name.partition(".")
            if first == "metaalign":
                target = rest.partition(".")[0]
                # Lower-case names of no layer are things of the package itself: its version.
                if target in LAYERS and LAYERS.index(target) > LAYERS.index(layer):
                    found.append(f"{where}: {layer} imports the later layer {target}")
            elif layer in PURE and first not in sys.stdlib_module_names | {"msgspec"}:
                found.append(f"{where}: {layer} is pure and imports {first}")
        if layer == "cli":
            for line, name in imports(top_level(tree), module, is_package):
                first, _, rest = name.partition(".")
                own = first == "metaalign" and rest.partition(".")[0] not in HEAVY
                if first not in sys.stdlib_module_names | LIGHT and not own:
                    found.append(f"{'/'.join(parts)}.py:{line}: cli imports {name} at its top")
    return found


def test_every_import_keeps_the_order() -> None:
    assert violations(PACKAGE) == []


def test_every_layer_is_there() -> None:
    """A layer that is renamed or taken away must be so here too, or the order guards nothing."""
    there = {path.stem for path in PACKAGE.iterdir() if path.suffix == ".py" or path.is_dir()}
    assert set(LAYERS) <= there


@pytest.mark.parametrize(
    ("file", "source", "complaint"),
    [
        (
            "policy/a.py",
            "from metaalign.data import store\n",
            "policy imports the later layer data",
        ),
        ("policy/a.py", "from ..cli import main\n", "policy imports the later layer cli"),
        ("policy/a.py", "from .. import train\n", "policy imports the later layer train"),
        ("schema.py", "from metaalign import policy\n", "schema imports the later layer policy"),
        ("prompt/a.py", "def f():\n    import torch\n", "prompt is pure and imports torch"),
        ("serve/__init__.py", "from ..quickstart import q\n", "serve imports the later layer"),
        ("cli.py", "import torch\n", "cli imports torch at its top"),
        (
            "cli.py",
            "if True:\n    from metaalign.train import stages\n",
            "cli imports metaalign.train",
        ),
        ("cli.py", "from metaalign import terminal\n", "cli imports metaalign.terminal"),
        ("helpers.py", "", "helpers is in no layer"),
    ],
)
def test_a_violation_is_found(tmp_path: Path, file: str, source: str, complaint: str) -> None:
    path = tmp_path / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(source, encoding="utf-8")
    [found] = violations(tmp_path)
    assert complaint in found


@pytest.mark.parametrize(
    ("file", "source"),
    [
        (
            "policy/a.py",
            "import tomllib\nimport msgspec\nfrom ..schema import Kind\nfrom .b import c\n",
        ),
        (
            "train/a.py",
            "import torch\nfrom metaalign.data.store import x\nfrom metaalign import sandbox\n",
        ),
        ("cli.py", "import typer\nfrom metaalign.schema import Kind\ndef f():\n    import torch\n"),
        ("cli.py", "from metaalign import __version__\n"),
        ("cli.py", "if TYPE_CHECKING:\n    from metaalign.data.recipe import Split\n"),
    ],
)
def test_what_keeps_the_order_is_not_blamed(tmp_path: Path, file: str, source: str) -> None:
    path = tmp_path / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(source, encoding="utf-8")
    assert violations(tmp_path) == []
