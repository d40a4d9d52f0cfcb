"""What a person gets who installs the wheel: everything in it, and a demo that runs far from any checkout."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest
import yaml

import connector

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.slow

# What every package on an index answers for lies between us and the end of this.
INSTALL_S = 300
NOT_SOURCES = (".*", "build", "dist", "out", "node_modules", "*.egg-info", "__pycache__")


def ran(*command: object, cwd: Path, seconds: int = INSTALL_S) -> subprocess.CompletedProcess[str]:
    """Run a command to its good end, with nothing of this checkout in its environment."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "CONNECTOR_", "VIRTUAL_ENV"))}
    environ = {**kept, "PYTHON_KEYRING_BACKEND": "keyring.backends.null.Keyring"}
    done = subprocess.run(
        [str(part) for part in command], cwd=cwd, env=environ, capture_output=True, text=True, timeout=seconds
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this checkout, built from a copy: building leaves folders behind."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    shutil.copytree(ROOT, source, ignore=shutil.ignore_patterns(*NOT_SOURCES))
    ran(sys.executable, "-m", "build", "--wheel", "--outdir", folder, source, cwd=folder)
    [built] = folder.glob("*.whl")
    shutil.rmtree(source)
    return built


@pytest.fixture(scope="module")
def python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment that holds the wheel and what it depends on, nothing else."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=True)
    made = folder / ("Scripts" if os.name == "nt" else "bin") / "python"
    ran(made, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", wheel, cwd=folder)
    return made


def test_everything_is_in_the_wheel(wheel: Path) -> None:
    """All modules and data of the three source folders, under their installed names, and no test."""
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    expected = {"pytest_connector.py"}
    for folder, package in (
        ("connector", "connector"),
        ("plugins", "connector/plugins"),
        ("schemas", "connector/schemas"),
    ):
        for file in (ROOT / folder).rglob("*"):
            if file.suffix in (".py", ".yaml", ".json", ".typed"):
                expected.add(f"{package}/{file.relative_to(ROOT / folder).as_posix()}")
    assert {"connector/plugins/coupa.yaml", "connector/schemas/manifest.schema.json"} <= expected
    assert names == expected


def test_an_installed_one_knows_its_plugins_and_schemas(python: Path, tmp_path: Path) -> None:
    """In an empty environment the built-in plugins load without a problem, and the schemas can be shown."""
    program = (
        "import json, sys, connector, connector.plugins, connector.schemas\n"
        "from connector.registry import collect\n"
        "found = collect()\n"
        "print(json.dumps([connector.__file__, connector.__version__, sys.version_info[:2],\n"
        "                  [str(p) for p in found.problems], sorted(found.endpoints)]))\n"
    )
    file, version, minor, problems, endpoints = json.loads(ran(python, "-c", program, cwd=tmp_path).stdout)
    assert Path(file).is_relative_to(python.parents[1])
    assert minor == list(sys.version_info[:2])
    assert version == connector.__version__
    assert problems == []
    assert {"coupa", "servicenow", "sandbox.coupa", "sandbox.servicenow"} <= set(endpoints)
    for name in ("manifest", "account", "endpoint"):
        shown = json.loads(ran(python, "-m", "connector", "schema", name, cwd=tmp_path).stdout)
        assert shown["$id"] == f"urn:connector:schema:{name}:1"


def test_the_demo_runs_from_anywhere(python: Path, tmp_path: Path) -> None:
    """`connector run` on the manifest of this checkout, twice as fast: all records, through several renewals."""
    manifest = yaml.safe_load((ROOT / "manifest.yaml").read_text("utf-8"))
    for pipeline in manifest["pipelines"].values():
        pipeline["snaps"][0]["with"]["requests_per_second"] *= 2
    for account in manifest["accounts"].values():
        account["settings"]["lifetime"] = "2"
    (tmp_path / "manifest.yaml").write_text(yaml.safe_dump(manifest, sort_keys=False))
    command = python.with_name("connector")
    report = json.loads(
        ran(command, "run", "--jobs", "2", "--json", "--quiet", cwd=tmp_path, seconds=60).stdout
    )
    outcome = {
        name: (told["ok"], told["documents"], told["failed"]) for name, told in report["pipelines"].items()
    }
    assert outcome == {"invoices": (True, 3000, 0), "incidents": (True, 2460, 0)}
    for name, documents in (("invoices", 3000), ("incidents", 2460)):
        lines = (tmp_path / "out" / f"{name}.jsonl").read_text("utf-8").splitlines()
        assert len(lines) == len(set(lines)) == documents
    for counts in report["accounts"].values():
        assert counts["renewals"] >= 2
        assert (counts["failed_requests"], counts["failed_renewals"]) == (0, 0)
