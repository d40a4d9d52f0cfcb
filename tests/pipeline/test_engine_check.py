"""What can be known to be wrong with a pipeline without running it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal

import pytest
from pipeline_room import BUILT_IN

from connector import pipeline
from connector.options import coerce, fits, words
from connector.snap import PipelineSpec, Snap, StepSpec
from connector.stepcheck import Known


def step(snap: str, account: str = "", **options: Any) -> StepSpec:
    """One step."""
    return StepSpec(id=snap, snap=snap, account=account, with_=options)


def positional(documents: Any, context: Any, n: int = 1, *, m: int = 2) -> Any:
    """A snap whose first option stands before the ``*``."""
    return documents


class Positional:
    """The same as a class."""

    def __init__(self, n: int = 1) -> None: ...

    def process(self, document: Any, context: Any) -> Any: ...


SNAPS = {**BUILT_IN, **{run.__name__: Snap(name=run.__name__, run=run) for run in (positional, Positional)}}


def check(*steps: StepSpec, **more: Any) -> list[pipeline.Finding]:
    """Check these steps against the built-in snaps and two accounts."""
    spec = PipelineSpec(name="p", steps=steps, **{"account": "purchasing", **more})
    return pipeline.check(spec, SNAPS, Known(["purchasing", "tickets", "bare"], ["bare"]))


@pytest.mark.parametrize(
    ("bad", "pointer", "said"),
    [
        (step("http.raed", path="/x"), "/snap", "did you mean http.read?"),
        (step("http.read", account="purchase", path="/x"), "/account", "did you mean purchasing?"),
        (step("map", account="tickets", expression="@"), "/account", "uses no account"),
        (step("http.read"), "/with", "'path' is missing"),
        (step("http.read", path="/x", pagniate="link"), "/with/pagniate", "did you mean paginate?"),
        (step("http.read", path="/x", paginate="ofset"), "/with/paginate", "did you mean offset?"),
        (step("http.read", path="/x", page_size="50"), "/with/page_size", "expected a whole number"),
        (step("http.read", path="/x", page_size=True), "/with/page_size", "expected a whole number"),
        (step("http.read", path="/x", paginate="link", page_size=0), "/with/page_size", "1 or more"),
        (step("http.read", path=7), "/with/path", "expected a text"),
        (step("http.read", path="/x", records="a["), "/with/records", "not a JMESPath expression"),
        (step("http.read", path="/x", cursor="next"), "/with/cursor", "paginate: cursor"),
        (step("http.read", path="/x", body={"a": 1}), "/with/body", "method: POST"),
        (step("http.read", path="/x", requests_per_second=0), "/with/requests_per_second", "more than 0"),
        (step("http.write", path="/x", concurrency=1000), "/with/concurrency", "1 to 64"),
        (step("http.write", path="/x", _sleep=1), "/with/_sleep", "unknown option"),
        (step("positional", n=1), "/with/n", "write n after a `*` in the signature of the snap"),
        (step("positional", context=1), "/with/context", "the options are: m"),
        (step("Positional", n=1), "/with/n", "options must be keyword-only"),
        (step("map", expression={"a": 1}), "/with/expression/a", "a is a whole number, expected a text"),
        (step("map", expression="lenght(@)"), "/with/expression", "did you mean length?"),
        (step("filter", where=""), "/with/where", "not a JMESPath"),
        (step("python", call="no_colon"), "/with/call", "module:function"),
        (step("file.read", path="data.xml"), "/with/path", "format"),
        (step("file.read", path="x.jsonl", delimiter=";"), "/with/delimiter", "is for csv"),
        (step("file.read", path="x.csv", encoding="utf-99"), "/with/encoding", "no encoding"),
        (step("file.write", path="x.json", append=True), "/with/append", "JSON array"),
        (step("map", expression="${param:nope}"), "/with/expression", "no parameter 'nope'"),
        (step("map", expression="${env:HOME}"), "/with/expression", "secrets belong to accounts"),
    ],
)
def test_findings(bad: StepSpec, pointer: str, said: str) -> None:
    """Each says where it is, what was expected, and what was probably meant."""
    [finding] = check(bad)
    assert (finding.step, finding.pointer) == (0, pointer)
    assert said in f"{finding.message} {finding.hint}"


def test_sound_pipelines_have_none() -> None:
    """What is right passes, parameters without a value included."""
    steps = [
        step("http.read", account="${param:who}", path="/x", paginate="link", page_size="${param:size}"),
        step("map", expression={"a": "b.c"}),
        step("file.write", path="out.csv.gz", columns=["a"]),
    ]
    assert check(*steps, parameters={"who": "tickets", "size": None}) == []


@pytest.mark.parametrize("snap", ["http.read", "http.write"])
def test_relative_paths_need_a_base_url(snap: str) -> None:
    """Without an account, or with one that has no base URL, only a whole URL leads anywhere."""
    [none] = check(step(snap, path="/x"), account="")
    [bare] = check(step(snap, account="bare", path="x/{id}"))
    assert (none.pointer, bare.pointer) == ("/with/path", "/with/path")
    assert "the step has no account" in none.message
    assert "'bare' has no base URL" in bare.message
    for path in ("https://a.test/x", "HTTP://a.test/{id}", "{url}"):
        assert check(step(snap, path=path), account="") == []
        assert check(step(snap, account="bare", path=path)) == []
    assert check(step(snap, account="${param:who}", path="/x"), parameters={"who": None}) == []


def test_two_steps_that_write_one_file() -> None:
    """The second would replace what the first has written; a path is compared by where it leads."""
    steps = [step("file.write", path="out/x.csv"), step("file.write", path="${param:to}")]
    steps[1] = replace(steps[1], id="second")
    [finding] = check(*steps, parameters={"to": "./out/../out/x.csv"})
    assert (finding.step, finding.pointer) == (1, "/with/path")
    assert "'file.write' writes to the same place" in finding.message
    assert check(*steps, parameters={"to": "out/y.csv"}) == check(*steps, parameters={"to": None}) == []


def test_paging_options_of_another_way() -> None:
    """Each that the chosen way does not look at is told; none while the way is not known."""
    odd = {"page_size": 10, "cursor": "a", "total": "b", "offset_param": "q"}
    found = check(step("http.read", path="/x", paginate="none", **odd))
    assert [finding.pointer.rpartition("/")[2] for finding in found] == list(odd)
    assert "offset or page or total" in found[2].message
    [finding] = check(step("http.read", path="/x", paginate="cursor", page_size=10, cursor="a", total="b"))
    assert finding.pointer == "/with/total"
    assert check(step("http.read", path="/x", paginate="${param:way}", **odd), parameters={"way": None}) == []
    [finding] = check(step("http.read", path="/x", paginate="ofset", **odd))
    assert finding.pointer == "/with/paginate"


def test_parameters_that_nothing_uses() -> None:
    """They are told at their place in the pipeline, unless a snap may read them by itself."""
    steps = [step("http.read", account="${param:who}", path="/x", params={"a": ["${param:deep}"]})]
    declared = {"who": "tickets", "deep": None, "le/ast": "1"}
    [finding] = check(*steps, parameters=declared)
    assert (finding.step, finding.pointer) == (None, "/parameters/le~1ast")
    assert "le/ast" in finding.message
    assert check(*steps, step("python", call="m:f"), parameters=declared) == []
    whose = PipelineSpec(
        name="p", account="${param:who}", steps=(step("http.read", path="/x"),), parameters={"who": "a"}
    )
    assert pipeline.check(whose, BUILT_IN) == []


def test_defaults_of_parameters_are_checked() -> None:
    """A parameter whose default does not fit its option is found before anybody runs it."""
    steps = [step("http.read", account="${param:who}", path="/x", page_size="${param:size}")]
    found = check(*steps, parameters={"who": "ticket", "size": "many"})
    assert [finding.pointer for finding in found] == ["/account", "/with/page_size"]


def test_required_account_and_duplicate_ids() -> None:
    """A snap that needs an account says so; two steps of one id are told apart nowhere."""
    snaps = {"s": Snap(name="s", run=lambda documents, context: documents, account="required")}
    spec = PipelineSpec(name="p", steps=(step("s"), step("s", account="a")))
    found = pipeline.check(spec, snaps, ["a"])
    assert [(f.step, f.pointer) for f in found] == [(0, ""), (1, "/id")]


def test_nested_pointers_are_escaped() -> None:
    """A finding deep in `with` has its JSON pointer (RFC 6901)."""
    [finding] = check(step("http.read", path="/x", params={"a/b": ["${param:x}"]}))
    assert finding.pointer == "/with/params/a~1b/0"


@pytest.mark.parametrize(
    ("text", "wanted", "value"),
    [
        ("50", int, 50),
        ("0.5", float, 0.5),
        ("true", bool, True),
        ("x", str, "x"),
        ("7", int | None, 7),
        ("link", Literal["none", "link"], "link"),
        ("2", Literal[1, 2], 2),
    ],
)
def test_coerce(text: str, wanted: Any, value: Any) -> None:
    """A parameter's text becomes what its option wants."""
    assert coerce(text, wanted) == value


def test_annotations_in_words() -> None:
    """Types are told in words, and those not understood fit everything."""
    assert words(dict[str, int] | None) == "a mapping or nothing"
    assert fits({"a": 1}, dict[str, int])
    assert not fits({"a": "1"}, dict[str, int])
    assert fits(object(), bytes)
    assert fits(1, float)
    assert not fits(1, bool)
