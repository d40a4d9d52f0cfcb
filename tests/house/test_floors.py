"""The floors of the house: imports lead strictly downwards, those for typing only and late ones too."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
FOLDERS = {
    "connector": ROOT / "connector",
    "connector.plugins": ROOT / "plugins",
    "connector.schemas": ROOT / "schemas",
}

# Whole numbers are the floors of docs/design.md, decimals the steps within one. A new module needs a place
# here, and the page a line.
FLOORS: dict[float, str] = {
    0.0: "errors events lives moment ownline secret template wirewords",
    0.1: "filling measures",
    0.2: "otel",
    0.3: "observe",
    1.0: "challenge endpointparts reading snap token",
    1.05: "endpointread",
    1.1: "endpoint",
    1.2: "account",
    1.3: "dress",
    2.0: "credentials jwts pkce record recordkey service tokenstore",
    2.1: "assertions clientauth",
    2.2: "metadata tokenrequest",
    2.25: "refusal",
    2.3: "grants reply",
    2.35: "othergrants steps",
    2.36: "endpointhooks",
    2.4: "authorization device inspection",
    2.5: "testing.canary testing.doing",
    2.6: "testing.grants testing.leases testing.records testing.together",
    3.0: "effects hookspecs status",
    3.05: "explain",
    3.08: "hooked",
    3.1: "observing tokencall verdict",
    3.15: "finishing",
    3.16: "saving wish",
    3.2: "flow signin",
    3.3: "signout",
    4.0: "counts flight landing resting seal store.kept store.memory store.trouble suspicion",
    4.005: "store.pgdoor store.sqlite",
    4.01: "store.pgwire store.redisurl",
    4.015: "store.redissays",
    4.02: "store.postgresql store.redis",
    4.05: "lanes route",
    4.1: "keys post store",
    4.2: "discovery vault wire",
    4.3: "drive",
    4.9: "holding",
    5.0: "source",
    5.1: "login",
    6.0: "body fence identity",
    6.05: "rules",
    6.1: "transport",
    7.0: "pluginfile yamlerror",
    7.1: "guarded yamlnode",
    7.2: "yamlfile",
    7.3: "check damage",
    7.35: "hookfile",
    7.4: "accountspec endpointsecrets resolve",
    7.5: "endpointcheck pipelinespec settings storeurl",
    7.55: "urlcheck",
    7.6: "bindclient endpointfile",
    7.65: "catalogue",
    7.7: "manifest registry",
    7.8: "bind",
    7.9: "manifestwriter snapexport snapfields",
    7.91: "snapguard",
    7.92: "snaplogic",
    8.0: "bridge clients gate options result",
    8.05: "editorparts skeletons",
    8.06: "editorschema",
    8.1: "errorview stepcheck",
    8.2: "stage",
    8.3: "pipeline",
    8.4: "opening",
    8.45: "loginmaker",
    8.5: "host",
    8.55: "openhost",
    8.6: "__init__",
    9.0: "console dialog dialog.pages outcome",
    9.05: "testing.lines testing.report testing.sampled testing.wires",
    9.06: "testing.scene",
    9.07: "testing.play",
    9.08: "testing.checked",
    9.1: "dialog.loopback testing.contract",
    9.2: "dialog.person testing",
    9.25: "plugincheck",
    9.3: "checkcommand importcommand logincommands personcommands plugincommand pluginnew progress schemacommand",
    9.4: "running",
    9.5: "cli",
    9.6: "__main__",
}
PLACE = {
    "connector" if name == "__init__" else f"connector.{name}": floor
    for floor, names in FLOORS.items()
    for name in names.split()
}


def modules() -> dict[str, Path]:
    """Every module of the package, by the name it is imported by."""
    found = {}
    for package, folder in FOLDERS.items():
        for file in sorted(folder.rglob("*.py")):
            parts = file.relative_to(folder).with_suffix("").parts
            found[".".join([package, *parts]).removesuffix(".__init__")] = file
    return found


MODULES = modules()


def imports(module: str) -> Iterator[tuple[str, int]]:
    """All modules of ours that a module imports, with the line: anywhere in it, for typing or late alike."""
    for node in ast.walk(ast.parse(MODULES[module].read_text("utf-8"))):
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.partition(".")[0] == "connector":
                    yield alias.name, node.lineno
        elif isinstance(node, ast.ImportFrom):
            package = module.split(".") if MODULES[module].stem == "__init__" else module.split(".")[:-1]
            above = package[: len(package) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            if base.partition(".")[0] == "connector":
                for alias in node.names:
                    name = f"{base}.{alias.name}"
                    yield (name if name in MODULES else base), node.lineno


def wing(module: str) -> str:
    """``sandbox``, ``plugins``, ``schemas``, or ``house`` for all that stands on a floor."""
    part = module.split(".")[1] if "." in module else ""
    return part if part in ("sandbox", "plugins", "schemas") else "house"


def allowed(module: str, target: str) -> bool:
    """Whether `module` may import `target`."""
    here, there = wing(module), wing(target)
    if here == "schemas":
        return False
    if here == "sandbox":
        return there == "sandbox"
    if here == "plugins":
        if there == "sandbox":
            return module == "connector.plugins.sandbox"
        return there == "plugins" or target == "connector.hookspecs" or PLACE.get(target, 99.0) < 3
    if there == "sandbox":
        return PLACE[module] >= 9
    return there == "house" and PLACE.get(target, 99.0) < PLACE[module]


def test_every_module_has_a_place() -> None:
    """A new file without a floor fails here, and so does a floor without a file."""
    standing = {module for module in MODULES if wing(module) == "house"}
    assert sorted(standing - PLACE.keys()) == [], "give these a floor in FLOORS and in docs/design.md"
    assert sorted(PLACE.keys() - standing) == [], "these have a floor and no file"


def test_docs_design_knows_every_module() -> None:
    """By its name, or by that of its folder."""
    page = set(re.findall(r"[a-z_][a-z0-9_]*(?:\.[a-z0-9_]+)*", (ROOT / "docs/design.md").read_text("utf-8")))
    names = {
        module.removeprefix("connector.") for module in PLACE.keys() - {"connector", "connector.__main__"}
    }
    unknown = sorted(name for name in names if not {name, name.partition(".")[0]} & page)
    assert unknown == [], "say in docs/design.md what these are"


def test_imports_lead_downwards() -> None:
    """Each arrow that does not is named with its file and line."""
    wrong = [
        f"{MODULES[module].relative_to(ROOT)}:{line}: {module} must not import {target}"
        for module in MODULES
        for target, line in imports(module)
        if module in PLACE or wing(module) != "house"
        if not allowed(module, target)
    ]
    assert not wrong, "\n".join(wrong)


def test_there_is_no_cycle() -> None:
    """Wings and plugins included: following imports never leads back."""
    arrows = {module: {target for target, _ in imports(module) if target != module} for module in MODULES}
    done: set[str] = set()

    def walk(module: str, path: tuple[str, ...]) -> None:
        assert module not in path, " -> ".join([*path[path.index(module) :], module])
        if module not in done:
            for target in sorted(arrows.get(module, ())):
                walk(target, (*path, module))
            done.add(module)

    for module in sorted(arrows):
        walk(module, ())


def test_the_walk_sees_everything() -> None:
    """Imports under TYPE_CHECKING, in functions, relative ones and aliases are all seen."""
    seen = dict(imports("connector.host"))
    assert {"connector.pipeline", "connector.errors", "connector.vault"} <= seen.keys()
    assert "connector.store.sqlite" in dict(imports("connector.store"))
    assert not allowed("connector.errors", "connector.secret")
    assert not allowed("connector.manifest", "connector.registry")
    assert not allowed("connector.plugins.secrets", "connector.host")
    assert not allowed("connector.sandbox.server", "connector.errors")
