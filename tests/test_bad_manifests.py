"""Bad manifests: every one gets a message with the right place and the right words, and nothing else."""

from __future__ import annotations

import json

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from manifest_cases import ALL, CANARY, Bad
from manifest_world import everything

from connector import yamlfile
from connector.errors import ManifestError
from connector.yamlnode import MAX_BYTES

GOOD = """\
version: 1
store: sqlite:///tokens.db
plugins: [plugins, extra.yaml]
endpoints:
  coupa.eu: {extends: coupa, title: Coupa EU, api: {headers: {Accept-Language: de}}}
accounts:
  purchasing:
    label: Purchasing
    client_id: ${env:COUPA_CLIENT_ID}
    client_secret: ${env:COUPA_CLIENT_SECRET}
    oauth2_endpoint: coupa.eu
    settings: {host: acme.coupahost.com}
    grant: client_credentials
    scopes: [core.invoice.read]
    auto_refresh: true
    token_endpoint_config: [{name: audience, value: x}]
  local:
    client_id: x
    client_secret: hunter2-CANARY-hunter2
    oauth2_token: http://127.0.0.1:8080/token
pipelines:
  invoices:
    parameters: {since: 2026-01-01}
    snaps:
      - {snap: http.read, account: purchasing, with: {path: /api/invoices, since: "${param:since}"}}
      - {snap: file.write, with: {path: out/invoices.jsonl}}
"""


@pytest.mark.parametrize("case", ALL, ids=[case.name for case in ALL])
def test_one_mistake_makes_one_problem_at_its_place(case: Bad) -> None:
    """Each mistake is told once, where it is, in the words that help, without the secret beside it."""
    before, _, after = case.text.partition("§")
    place = (before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1)
    _, problems = everything(before + after)
    told = "\n".join(map(str, problems))
    assert [(p.line, p.column) for p in problems] == [place], told
    for word in case.words:
        assert word in told
    assert CANARY not in told


def test_there_are_enough_of_them() -> None:
    """The table covers the mistakes people make."""
    assert len(ALL) >= 60
    assert len({case.name for case in ALL}) == len(ALL)


def test_the_good_one_is_good() -> None:
    """What the mutations below start from has no problem."""
    accounts, problems = everything(GOOD)
    assert not problems
    assert set(accounts) == {"purchasing", "local"}


def test_all_problems_come_at_once_in_order() -> None:
    """Mistakes in several places are all in one error, sorted as in the file."""
    text = (
        GOOD.replace("auto_refresh", "auto_refesh")
        .replace("on: 1", "on: 2")
        .replace("snap: http", "snp: http")
    )
    _, problems = everything(text)
    assert [p.line for p in problems] == sorted(p.line for p in problems)
    assert len(problems) == 3


def healthy(text: str | bytes) -> None:
    """Whatever comes in: accounts or problems with a place, never another error, never the secret."""
    accounts, problems = everything(text)
    for problem in problems:
        assert problem.line >= 1
        assert problem.column >= 1
        assert problem.message
        assert str(problem).isprintable()
        assert CANARY not in str(problem)
    assert CANARY not in repr(accounts)


LINES = GOOD.splitlines(keepends=True)
FRAGMENTS = st.sampled_from(
    [
        *(
            " ",
            "\n",
            "  ",
            "\t",
            ":",
            ": ",
            "- ",
            "[",
            "]",
            "{",
            "}",
            "&a ",
            "*a ",
            "!!str ",
            "!x ",
            "|",
            ">",
            "'",
            '"',
        ),
        *(
            "#",
            "%",
            "@",
            "`",
            ",",
            "?",
            "? ",
            "<<: ",
            "---\n",
            "...\n",
            "0123",
            "1e999",
            ".nan",
            "~",
            "yes",
            "true",
        ),
        *(
            "${env:X}",
            "${param:x}",
            "${",
            "{x}",
            "https://",
            "http://x",
            "\0",
            "\x85",
            "\u2028",
            "\ud800",
            "\ufeff",
        ),
        *(
            "version: 1\n",
            "accounts:\n",
            "client_secret: ",
            "extends: coupa",
            "settings: ",
            "-" * 200,
            "[" * 200,
        ),
    ]
)


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_mutations_of_a_good_manifest(data: st.DataObject) -> None:
    """Cut, doubled and moved lines and stray fragments never surprise the reader of a manifest."""
    lines = list(LINES)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(lines) - 1))
        how = data.draw(st.sampled_from(["cut", "double", "move", "insert", "replace", "dedent"]))
        if how == "cut" and len(lines) > 1:
            del lines[at]
        elif how == "double":
            lines.insert(at, lines[at])
        elif how == "move":
            lines.insert(data.draw(st.integers(0, len(lines) - 1)), lines.pop(at))
        elif how == "dedent":
            lines[at] = lines[at].lstrip() if data.draw(st.booleans()) else "  " + lines[at]
        else:
            column = data.draw(st.integers(0, len(lines[at])))
            end = column if how == "insert" else data.draw(st.integers(column, len(lines[at])))
            if CANARY not in lines[at]:  # half a secret would not be found again
                lines[at] = lines[at][:column] + data.draw(FRAGMENTS) + lines[at][end:]
    healthy("".join(lines))


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.just(CANARY),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=8,
)
KEYS = st.sampled_from(
    [
        *(
            "version",
            "store",
            "plugins",
            "endpoints",
            "accounts",
            "pipelines",
            "a",
            "client_id",
            "client_secret",
        ),
        *(
            "oauth2_endpoint",
            "oauth2_token",
            "auto_refresh",
            "settings",
            "scopes",
            "grant",
            "api",
            "base_url",
            "hosts",
        ),
        *(
            "headers",
            "token_endpoint_config",
            "extends",
            "token",
            "url",
            "snaps",
            "snap",
            "with",
            "parameters",
            "id",
        ),
    ]
)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(KEYS, st.integers(0, 5), VALUES), max_size=12))
def test_any_value_anywhere(entries: list[tuple[str, int, object]]) -> None:
    """Any kind of value under any key at any depth ends in accounts or in problems."""
    text = "version: 1\naccounts:\n  a:\n"
    text += "".join(f"{'  ' * depth}{key}: {json.dumps(value)}\n" for key, depth, value in entries)
    healthy(text)


@settings(max_examples=300, deadline=None)
@given(st.lists(FRAGMENTS | st.text(max_size=5), max_size=30).map("".join))
@example("a: &a [*a]")
def test_any_text(text: str) -> None:
    """YAML-like noise ends in problems with a place."""
    healthy(text)


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes(noise: bytes) -> None:
    """So do bytes that are no text at all."""
    healthy(noise)


def test_a_bomb_costs_little() -> None:
    """Aliases that would grow to 9**9 values are refused while they are few."""
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 10)]
    with pytest.raises(ManifestError, match="aliases"):
        yamlfile.read_text("\n".join(lines))


def test_a_large_file_is_refused_before_it_is_parsed() -> None:
    """More than the limit is refused by its size alone."""
    with pytest.raises(ManifestError, match="larger than 1024 KiB"):
        yamlfile.read_text(b"[" * (MAX_BYTES + 1))


def test_nobody_reads_a_thousand_problems() -> None:
    """Of a file that is something else altogether the first hundred are told."""
    _, problems = everything("version: 1\n" + "".join(f"a{i}: 0{i}\n" for i in range(1000)))
    assert 100 <= len(problems) <= 200
