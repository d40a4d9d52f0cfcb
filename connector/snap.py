"""What a snap is: documents in, documents out, with a context that gives its account's live client.

A snap is any of
- a function ``(documents, context, *, option=...) -> Iterable[Document]``, usually a generator;
- an async generator function of the same shape (``documents`` is then an async iterator);
- a class, called with its options, with ``process(document, context)`` that returns a document, several or
  None, and, if it likes, ``configure(context)`` before the first document and ``cleanup(context)`` after
  the last.

Its keyword-only parameters (of a class: those of ``__init__``) are what ``with:`` may say in the manifest;
those that begin with an underscore are not (a clock or a sleep that tests inject). Their annotations are
checked before a run. The first step of a pipeline gets one empty document, so each shape can be a source.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Literal, Protocol

import httpx

Document = dict[str, Any]


class Context(Protocol):
    """What a snap may ask of the pipeline it runs in."""

    @property
    def pipeline(self) -> str:
        """Name of the pipeline."""

    @property
    def snap(self) -> str:
        """Id of this step in the pipeline."""

    @property
    def account(self) -> str:
        """Name of the account of this step; empty when it has none."""

    @property
    def parameters(self) -> Mapping[str, str]:
        """The pipeline's parameters with the values of this run."""

    @property
    def folder(self) -> Path:
        """Where relative paths start: the folder of the manifest."""

    @property
    def preview(self) -> bool:
        """Whether this run only shows a few documents: then write nothing, and pass documents on."""

    @property
    def stdout(self) -> BinaryIO:
        """Standard output, for a snap whose data goes there; a `print` may go elsewhere."""

    @property
    def client(self) -> httpx.Client:
        """The account's client: authenticated, base URL set, shared by all documents of this step.

        A step without an account gets a plain client. The pipeline closes it, the snap does not.
        """

    @property
    def async_client(self) -> httpx.AsyncClient:
        """The same for async snaps, living in the event loop the snap runs in."""

    def fail(self, document: Document | None, error: Exception, /) -> None:
        """Send one document to the error view. With ``on_error: stop`` this raises, and the run ends."""


class SoundOptions(dict[str, Any]):
    """The options of a step that have a value of the right kind, as `Snap.check` sees them.

    Attributes:
        unknown: names of the others: they are wrong in themselves, or a parameter that has no value yet.
    """

    def __init__(self, options: Mapping[str, Any], unknown: Iterable[str] = ()) -> None:
        super().__init__(options)
        self.unknown = frozenset(unknown)


@dataclass(frozen=True, slots=True, kw_only=True)
class Snap:
    """A kind of pipeline step, as a plugin contributes it.

    Attributes:
        name: what ``snap:`` says in a manifest, e.g. ``http.read``.
        run: the function or class; see the top of this file.
        account: whether the step needs an account: ``none``, ``optional`` or ``required``.
        summary: one line for people.
        check: what the annotations of the options cannot say: ``check(options)`` yields the name of an
            option and what is wrong with it. Called before a run, without network; `options` are those
            with a sound value, a `SoundOptions` which knows the names of the others.
        needs_base: ``needs_base(options)`` names the option that holds an address relative to the account's
            base URL; an empty text: all addresses are whole.
        writes: ``writes(options)`` tells the file that it writes, relative to the manifest's folder; ``-`` is
            standard output, an empty text nothing.
        factory: `run` is called as ``run(folder, **options)`` and returns the function or class to run.
        paged: whether it takes what the account's endpoint says of ``api.paging`` for options that the step
            does not say itself.
        reads_parameters: whether it may look at ``context.parameters``. Where no step of a pipeline does, a
            declared parameter that no ``${param:name}`` uses is a mistake that a check can find.
    """

    name: str
    run: Callable[..., Any]
    account: Literal["none", "optional", "required"] = "none"
    summary: str = ""
    check: Callable[[Mapping[str, Any]], Iterable[tuple[str, str]]] | None = None
    needs_base: Callable[[Mapping[str, Any]], str] | None = None
    writes: Callable[[Mapping[str, Any]], str] | None = None
    factory: bool = False
    paged: bool = False
    reads_parameters: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class StepSpec:
    """One step of a pipeline as the manifest declares it.

    Attributes:
        id: unique in the pipeline; by default the snap's name, with ``-2``, ``-3`` when it recurs.
        with_: options for the snap; may contain ``${param:name}`` as a whole value.
        account: name of an account, or ``${param:name}``; empty for none.
        on_error: ``stop``, ``skip`` or ``collect``; empty: as the pipeline says.
        line, column: where the manifest says so.
    """

    id: str
    snap: str
    account: str = ""
    with_: Mapping[str, Any] = field(default_factory=dict)
    on_error: str = ""
    line: int = 0
    column: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class PipelineSpec:
    """A pipeline as the manifest declares it.

    Attributes:
        account: for the steps that name none and can use one.
        parameters: name -> default value; None: must be given for each run.
        on_error: ``stop`` (default), ``skip`` or ``collect``.
        errors: path of a JSON Lines file for the error view; empty: kept in the result only.
    """

    name: str
    steps: tuple[StepSpec, ...]
    label: str = ""
    account: str = ""
    parameters: Mapping[str, str | None] = field(default_factory=dict)
    on_error: str = "stop"
    errors: str = ""
    line: int = 0
    column: int = 0
