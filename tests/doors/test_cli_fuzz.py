"""No arguments and no manifest end in a traceback."""

from __future__ import annotations

from pathlib import Path

from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from connector.cli import cli

WORDS = [
    *("run", "check", "accounts", "token", "adopt", "refresh", "schema", "key", "new", "rotate", "buy"),
    *("-m", "-v", "-vv", "--json", "--preview", "-p", "a=b", "-j", "2", "--", "-q", "--secrets", "--help"),
    *("gone.yaml", ".", "", "\x00", "ü", "\ud800", "invoices", "manifest", "--version", "-h"),
]
QUIET = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def judged(args: list[str]) -> None:
    """The exit code is one of the promised ones, and no exception got out."""
    done = CliRunner().invoke(cli, args, input="")
    assert done.exception is None or isinstance(done.exception, SystemExit), (args, done.exception)
    assert done.exit_code in (0, 1, 2, 4)
    assert "error: unexpected" not in done.stderr, (args, done.stderr)


@given(args=st.lists(st.one_of(st.sampled_from(WORDS), st.text(max_size=8)), max_size=6))
@QUIET
def test_arguments(folder: Path, args: list[str]) -> None:
    """Whatever is typed, it is understood or refused in words."""
    (folder / "manifest.yaml").write_text("version: 1\nstore: 'memory:'\n")
    if "sandbox" not in args:  # it would serve for ever
        judged(args)


@given(data=st.binary(max_size=200), command=st.sampled_from(["check", "accounts", "run"]))
@QUIET
def test_any_bytes_as_manifest(folder: Path, data: bytes, command: str) -> None:
    """Whatever a manifest holds, each command says what is wrong with it."""
    (folder / "manifest.yaml").write_bytes(data)
    judged([command])


LEAVES = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=10))
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.sampled_from(["a", "snaps", "snap", "with", "grant"]), inner, max_size=3),
    ),
    max_leaves=8,
)


@given(
    manifest=st.fixed_dictionaries(
        {"version": st.just(1)},
        optional=dict.fromkeys(("store", "plugins", "endpoints", "accounts", "pipelines"), VALUES),
    )
)
@QUIET
def test_any_shape_of_manifest(folder: Path, manifest: dict[str, object]) -> None:
    """Right keys with values of any shape are told of as well."""
    import yaml

    (folder / "manifest.yaml").write_text(yaml.safe_dump(manifest), "utf-8")
    judged(["check"])
    judged(["run"])
