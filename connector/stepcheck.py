"""What is wrong with a pipeline and its steps, found without running anything and without network.

Rules of this room: no plugin's code runs but the checks that it brings for its own options.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from connector.options import UNSET, Flaw, UnsetParameter, escape, fill, flaws, near, parameter, references
from connector.snap import PipelineSpec, Snap, SoundOptions, StepSpec


class Finding(NamedTuple):
    """One thing wrong with a pipeline, mostly with one of its steps.

    Attributes:
        step: index of the step, from 0; None: it is about the pipeline.
        pointer: JSON pointer below the step, e.g. ``/with/page_size``; empty: the step as a whole. Below the
            pipeline where there is no step.
        message: what is wrong.
        hint: what to do; may be empty.
    """

    step: int | None
    pointer: str
    message: str
    hint: str = ""


class Known(NamedTuple):
    """What a check knows of the accounts.

    Attributes:
        names: of all that are declared.
        baseless: names of those that have no base URL, as far as that is known.
        whole: False: what was wrong in the pipeline is left out, so that what is missing proves nothing.
        paging: what their endpoints say of ``api.paging``.
    """

    names: Collection[str]
    baseless: Collection[str] = ()
    whole: bool = True
    paging: Mapping[str, Mapping[str, Any]] = MappingProxyType({})


def check(
    spec: PipelineSpec,
    snaps: Mapping[str, Snap],
    accounts: Collection[str] | Known | None = None,
    *,
    folder: Path = Path(),
) -> list[Finding]:
    """Everything wrong with a pipeline's steps, found without running anything and without network.

    Args:
        snaps: the known snaps by name.
        accounts: the declared accounts, or more that is known; None: don't look.
        folder: where relative paths start.
    """
    known = accounts if isinstance(accounts, Known) or accounts is None else Known(accounts)
    found: list[Finding] = []
    ids: set[str] = set()
    for index, step in enumerate(spec.steps):
        if step.id in ids:
            found.append(Finding(index, "/id", f"there are two steps with the id {step.id!r}"))
        ids.add(step.id)
        _, problems = filled(defaulted(step, spec, snaps), snaps, spec.parameters, known)
        found += [Finding(index, *problem) for problem in problems]
    found += _twice(spec, snaps, folder)
    return found if known is not None and not known.whole else [*found, *_unused(spec, snaps)]


def targets(
    spec: PipelineSpec, snaps: Mapping[str, Snap], parameters: Mapping[str, str | None], folder: Path
) -> list[tuple[int, str]]:
    """What the steps of a pipeline write to, as far as their options tell: index of the step, and the path.

    Standard output is ``-``.
    """
    found: list[tuple[int, str]] = []
    for index, step in enumerate(spec.steps):
        snap = snaps.get(step.snap)
        if snap is None or snap.writes is None:
            continue
        options, _ = fill(step.with_, snap.run, parameters)
        path = snap.writes(options)
        if path:
            whole = path if path == "-" else os.path.normpath(folder / Path(path).expanduser())
            found.append((index, whole))
    return found


def _twice(spec: PipelineSpec, snaps: Mapping[str, Snap], folder: Path) -> Iterator[Finding]:
    """Two steps that write one file: only one of them would be there in the end."""
    first: dict[str, int] = {}
    for index, path in targets(spec, snaps, spec.parameters, folder):
        if path in first:
            other = spec.steps[first[path]].id
            yield Finding(index, "/with/path", f"step {other!r} writes to the same place", "name another")
        first.setdefault(path, index)


def _unused(spec: PipelineSpec, snaps: Mapping[str, Snap]) -> Iterator[Finding]:
    """Declared parameters that nothing reads, where no snap can read them in a way that is not seen here."""
    if any(step.snap not in snaps or snaps[step.snap].reads_parameters for step in spec.steps):
        return
    used = references([spec.account, *(value for step in spec.steps for value in (step.account, step.with_))])
    for name in spec.parameters:
        if name not in used:
            hint = f"use it as ${{param:{name}}}, a whole value of a step, or leave it out"
            yield Finding(None, f"/parameters/{escape(name)}", f"no step uses the parameter {name!r}", hint)


def defaulted(step: StepSpec, spec: PipelineSpec, snaps: Mapping[str, Snap]) -> StepSpec:
    """The step with the pipeline's account, where it names none and can use one."""
    uses = step.snap in snaps and snaps[step.snap].account != "none"
    return replace(step, account=spec.account) if spec.account and uses and not step.account else step


def filled(
    step: StepSpec,
    snaps: Mapping[str, Snap],
    parameters: Mapping[str, str | None],
    accounts: Known | None = None,
    paging: Mapping[str, Mapping[str, Any]] = MappingProxyType({}),
) -> tuple[StepSpec, list[Flaw]]:
    """A step with its parameters filled in, and everything wrong with it.

    Args:
        paging: account -> what its endpoint says of ``api.paging``; besides what `accounts` knows.
    """
    snap = snaps.get(step.snap)
    if snap is None:
        hint = near(step.snap, snaps) or "the snaps are: " + ", ".join(sorted(snaps))
        return step, [Flaw("/snap", f"there is no snap {step.snap!r}", hint)]
    found: list[Flaw] = []
    account = parameter(step.account, parameters, "/account", found) if step.account else ""
    found += _account_flaws(step, snap, account, accounts)
    ways = accounts.paging if accounts else paging
    said = _paged(snap, step.with_, ways.get(str(account), {}))
    options, wrong = fill(said, snap.run, parameters)
    if snap.paged and said.get("paginate") == "auto" and isinstance(account, str):
        hint = "write the way of paging, such as `paginate: offset`"
        found.append(Flaw("/with/paginate", "the account's endpoint does not say how it pages", hint))
    found += [*wrong, *flaws(snap.run, options)]
    found += _own_check(snap, options, {flaw.pointer for flaw in found})
    found += _base_flaws(snap, options, account, accounts)
    if not isinstance(account, str):
        account = ""
    return replace(step, account=account, with_=options), found


def _paged(snap: Snap, said: Mapping[str, Any], paging: Mapping[str, Any]) -> Mapping[str, Any]:
    """The options of a step, with those of the endpoint that it does not say itself."""
    own = said.get("paginate", "none")
    if not snap.paged or own not in ("auto", paging.get("paginate")):
        return said  # another way of paging: the endpoint's options mean nothing there
    return {**paging, **{name: value for name, value in said.items() if value != "auto" or not paging}}


def _account_flaws(
    step: StepSpec, snap: Snap, account: str | UnsetParameter, accounts: Known | None
) -> Iterator[Flaw]:
    if snap.account == "required" and not account:
        yield Flaw("", f"{snap.name} needs an account", "add `account:` with the name of one")
    if snap.account == "none" and step.account:
        yield Flaw("/account", f"{snap.name} uses no account", "leave `account:` out")
    elif account and isinstance(account, str) and accounts is not None and account not in accounts.names:
        hint = near(account, accounts.names)
        hint = hint or "the accounts are: " + (", ".join(sorted(accounts.names)) or "none")
        yield Flaw("/account", f"there is no account {account!r}", hint)


def _base_flaws(
    snap: Snap, options: Mapping[str, Any], account: str | UnsetParameter, accounts: Known | None
) -> Iterator[Flaw]:
    """An address relative to a base URL that is not there."""
    name = snap.needs_base(options) if snap.needs_base is not None and accounts is not None else ""
    if not name or accounts is None or not isinstance(account, str):
        return
    hint = "write the whole URL, or name an account that has a base URL"
    if not account:
        if not accounts.whole:
            return
        yield Flaw(f"/with/{escape(name)}", f"{name} is no whole URL, and the step has no account", hint)
    elif account in accounts.baseless:
        said = f"{name} is no whole URL, and the account {account!r} has no base URL"
        yield Flaw(
            f"/with/{escape(name)}", said, "write the whole URL, or give the account api: {base_url: ...}"
        )


def _own_check(snap: Snap, options: Mapping[str, Any], wrong: Collection[str]) -> Iterator[Flaw]:
    if snap.check is None:
        return
    sound = {
        name: value
        for name, value in options.items()
        if not _unset(value) and not any(_is_in(each, f"/with/{escape(name)}") for each in wrong)
    }
    for name, message in snap.check(SoundOptions(sound, options.keys() - sound.keys())):
        yield Flaw(f"/with/{escape(name)}" if name else "/with", message)


def _is_in(pointer: str, option: str) -> bool:
    return pointer == option or pointer.startswith(option + "/")


def _unset(value: Any) -> bool:
    """Whether a value is, or holds, a parameter that has no value yet."""
    if isinstance(value, Mapping):
        return any(_unset(each) for each in value.values())
    if isinstance(value, list):
        return any(_unset(each) for each in value)
    return value is UNSET
