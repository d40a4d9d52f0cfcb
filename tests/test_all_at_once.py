"""`connector check` tells everything at once, and each mistake once."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from manifest_cases import ALL, CANARY, Bad
from test_bad_manifests import GOOD

from connector.errors import ManifestError, Problem
from connector.opening import open_manifest


def told(file: Path, text: str | bytes) -> list[Problem]:
    """What `connector check` would say."""
    file.write_bytes(text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text)
    try:
        return sorted(set(open_manifest(file).everything_wrong()), key=lambda p: (p.line, p.column))
    except ManifestError as error:
        return list(error.problems)


MANY = """\
version: 1
store: nowhere://x
plugins: [nope.py]
accounts:
  a:
    oauth2_endpoint: coupa
  b:
    client_idd: 3
    oauth2_endpoint: http://x.example/y
    auto_refresh: yes
pipelines:
  p:
    snaps:
      - {snap: nope}
      - {snap: file.read, with: {}, acount: x}
      - {snap: http.read, account: zz, with: {path: 1, paginate: q}}
"""


def test_a_file_full_of_mistakes(tmp_path: Path) -> None:
    """Beside a misspelt key the rest of an account and of a pipeline is checked too."""
    found = told(tmp_path / "manifest.yaml", MANY)
    assert [(p.line, p.pointer) for p in found] == [
        (2, "/store"),
        (3, "/plugins/0"),
        (5, "/accounts/a"),
        (5, "/accounts/a"),
        (5, "/accounts/a"),
        (5, "/accounts/a"),
        (8, "/accounts/b/client_idd"),
        (9, "/accounts/b/oauth2_endpoint"),
        (10, "/accounts/b/auto_refresh"),
        (14, "/pipelines/p/snaps/0/snap"),
        (15, "/pipelines/p/snaps/1/with"),
        (15, "/pipelines/p/snaps/1/acount"),
        (16, "/pipelines/p/snaps/2/account"),
        (16, "/pipelines/p/snaps/2/with/path"),
        (16, "/pipelines/p/snaps/2/with/paginate"),
    ]


@pytest.mark.parametrize("case", [case for case in ALL if isinstance(case.text, str)], ids=lambda c: c.name)
def test_one_mistake_is_told_once(case: Bad, tmp_path: Path) -> None:
    """Looking at the rest of a damaged entry adds nothing that follows from the mistake itself."""
    before, _, after = case.text.partition("§")
    found = told(tmp_path / "manifest.yaml", before + after)
    # Some of these short manifests have a second mistake, which is no matter where only the first is looked at.
    lacks = [problem for problem in found if problem.message.endswith("has no client_id")]
    more = lacks or case.name in ("account name", "on_error", "parameter as list")
    assert more or len(found) == 1, [str(problem) for problem in found]
    assert CANARY not in str(found)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_whatever_is_broken(data: st.DataObject, tmp_path: Path) -> None:
    """Lines taken out, doubled or cut: problems with a place, never another error."""
    lines = GOOD.splitlines(keepends=True)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(lines) - 1))
        cut = data.draw(st.integers(0, len(lines[at])))
        lines[at] = data.draw(st.sampled_from(["", lines[at] * 2, lines[at][:cut] + "\n", "    x: [1]\n"]))
    for problem in told(tmp_path / "manifest.yaml", "".join(lines)):
        assert problem.line >= 1
        assert problem.column >= 1
        assert CANARY not in str(problem)
