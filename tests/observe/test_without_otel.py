"""OpenTelemetry is not installed, not used, or broken: renewals go on, and nothing is imported for nothing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
# A whole life: first look, renewal, a refused token, a failure.
LIFE = """
import sys
sys.path.insert(0, {here!r})
import httpx
from observe_room import make_room
room = make_room()
room.get()
room.clock.now += 3600
room.pages.append(httpx.Response(401))
assert room.get().status_code == 200
room.clock.now += 3600
room.answers.append(lambda request: httpx.Response(503))
try:
    room.get()
except httpx.TransportError:
    pass
assert room.calls == 3, room.calls
"""
ABSENT = """
import sys
class Nowhere:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "opentelemetry":
            raise ModuleNotFoundError("No module named " + name, name=name)
sys.meta_path.insert(0, Nowhere())
"""
NOTHING_OF_IT = """
assert not [name for name in sys.modules if name.startswith("opentelemetry")]
assert "connector.otel" not in sys.modules
"""


def run(*parts: str) -> str:
    """Run Python in a process of its own; returns what it wrote to standard error."""
    text = "\n".join(part.replace("{here!r}", repr(str(HERE))) for part in parts)
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stderr


def test_it_is_not_installed() -> None:
    """All of it works where the package cannot be imported."""
    shown = run(
        ABSENT,
        LIFE,
        NOTHING_OF_IT,
        "try:\n    import opentelemetry.trace\n    assert False\nexcept ImportError: pass",
    )
    assert "telemetry.broken" not in shown


def test_it_is_installed_and_not_used() -> None:
    """A program that does not measure never pays for importing it."""
    run(LIFE, NOTHING_OF_IT)


def test_a_program_may_begin_to_measure_later() -> None:
    """Whoever sets it up after its first renewals is measured from then on."""
    later = """
assert "connector.otel" not in sys.modules
from otel_room import setup
seen = setup()
room.clock.now += 3600
room.get()
assert seen.points()["connector.renewals"][0][1] == 1
"""
    run(LIFE, later)


def test_an_api_that_does_not_fit_is_told_once() -> None:
    """Half a package, or one of another time: one warning, and no renewal fails."""
    half = """
import sys, types
sys.modules["opentelemetry"] = types.ModuleType("opentelemetry")
sys.modules["opentelemetry.trace"] = types.ModuleType("opentelemetry.trace")
"""
    shown = run(half, LIFE)
    assert shown.count("telemetry.broken reason=ImportError") == 1


@pytest.mark.parametrize("what", ["add", "record", "start_span"])
def test_a_provider_that_raises_is_told_once(what: str) -> None:
    """A stranger's provider fails: one warning with the kind of error, no word of it, and no renewal fails."""
    broken = """
from opentelemetry import metrics, trace
class Broken:
    def __getattr__(self, name):
        if name == WHAT:
            raise RuntimeError("with a secret in it")
        return lambda *args, **more: Broken()
class Meters(metrics.MeterProvider):
    def get_meter(self, *args, **more):
        return Broken()
class Tracers(trace.TracerProvider):
    def get_tracer(self, *args, **more):
        return Broken()
metrics.set_meter_provider(Meters())
trace.set_tracer_provider(Tracers())
"""
    shown = run(f"WHAT = {what!r}", broken, LIFE)
    assert shown.count("telemetry.broken reason=RuntimeError") == 1
    assert "secret" not in shown


def test_importing_connector_imports_no_more_for_it() -> None:
    """`import connector` brings the list of names, and none of what measures."""
    run("import sys, connector", NOTHING_OF_IT)
