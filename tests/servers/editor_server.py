"""yaml-language-server, as it was published, asked as an editor asks it: LSP over standard input and output."""

from __future__ import annotations

import json
import re
import subprocess
import threading
from pathlib import Path
from types import TracebackType
from typing import Any

from oidc_server import install, node_program

FOLDER = Path(__file__).parent / "editor"
BOUND_S = 60.0


class Editor:
    """An editor with one language server. Positions are marked in texts with ``|``."""

    def __init__(self, *, log: Path) -> None:
        node = node_program()
        install(FOLDER)
        program = FOLDER / "node_modules" / "yaml-language-server" / "bin" / "yaml-language-server"
        self._log = log.open("wb")
        self._process = subprocess.Popen(
            [node, str(program), "--stdio"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
        )
        self._watch = threading.Timer(BOUND_S, self._process.kill)
        self._watch.start()
        self._last = self._version = 0
        self._told: dict[str, list[dict[str, Any]]] = {}
        self.ask("initialize", processId=None, rootUri=None, capabilities=self._capabilities())
        self.tell("initialized")
        settings = {"yaml": {"schemaStore": {"enable": False}, "completion": True, "hover": True}}
        self.tell("workspace/didChangeConfiguration", settings=settings)

    @staticmethod
    def _capabilities() -> dict[str, Any]:
        item = {"documentationFormat": ["plaintext"], "snippetSupport": True}
        return {
            "textDocument": {
                "completion": {"completionItem": item},
                "hover": {"contentFormat": ["plaintext"]},
                "publishDiagnostics": {"relatedInformation": True},
            },
            "workspace": {"configuration": True},
        }

    # --- what a person does ---

    def problems(self, file: Path, text: str) -> list[tuple[int, str]]:
        """Line (from 1) and words of everything that is underlined."""
        uri = self._open(file, text)
        while uri not in self._told:
            self._read()
        found = [(each["range"]["start"]["line"] + 1, each["message"]) for each in self._told[uri]]
        self._close(uri)
        return sorted(found)

    def completions(self, file: Path, text: str) -> dict[str, str]:
        """What is offered at the mark, each with its explanation."""
        uri, found = self._at("textDocument/completion", file, text)
        self._close(uri)
        items = found["items"] if isinstance(found, dict) else found or []
        return {item["label"]: _plain(item.get("documentation")) for item in items}

    def hover(self, file: Path, text: str) -> str:
        """What is shown for the word at the mark."""
        uri, found = self._at("textDocument/hover", file, text)
        self._close(uri)
        return _plain(found and found["contents"])

    def _at(self, method: str, file: Path, text: str) -> tuple[str, Any]:
        before, mark, after = text.partition("|")
        assert mark, "mark the position with |"
        uri = self._open(file, before + after)
        place = {"line": before.count("\n"), "character": len(before.rpartition("\n")[2])}
        return uri, self.ask(method, textDocument={"uri": uri}, position=place)

    def _open(self, file: Path, text: str) -> str:
        uri = file.as_uri()
        self._version += 1  # a file that is opened again is known by its version
        document = {"uri": uri, "languageId": "yaml", "version": self._version, "text": text}
        self.tell("textDocument/didOpen", textDocument=document)
        return uri

    def _close(self, uri: str) -> None:
        self.tell("textDocument/didClose", textDocument={"uri": uri})
        self.ask("textDocument/documentSymbol", textDocument={"uri": uri})  # all before it has been told
        self._told.pop(uri, None)

    # --- the protocol ---

    def tell(self, method: str, **params: Any) -> None:
        """Send a notification."""
        self._send({"method": method, "params": params})

    def ask(self, method: str, **params: Any) -> Any:
        """Send a request and return its result; what the server asks meanwhile is answered."""
        self._last += 1
        number = self._last
        self._send({"id": number, "method": method, "params": params})
        while (answer := self._read()).get("id") != number or "method" in answer:
            pass
        assert "error" not in answer, answer
        return answer.get("result")

    def _send(self, message: dict[str, Any]) -> None:
        raw = json.dumps({"jsonrpc": "2.0", **message}).encode()
        assert self._process.stdin is not None
        self._process.stdin.write(b"Content-Length: %d\r\n\r\n%s" % (len(raw), raw))
        self._process.stdin.flush()

    def _read(self) -> dict[str, Any]:
        stdout = self._process.stdout
        assert stdout is not None
        length = 0
        while (line := stdout.readline()).strip():
            if found := re.match(rb"(?i)content-length: *([0-9]+)", line):
                length = int(found[1])
        assert length, f"the language server has ended: {Path(self._log.name).read_text('utf-8')[-2000:]}"
        message: dict[str, Any] = json.loads(stdout.read(length))
        if message.get("method") == "textDocument/publishDiagnostics":
            self._told[message["params"]["uri"]] = message["params"]["diagnostics"]
        elif "method" in message and "id" in message:
            configuration = message["method"] == "workspace/configuration"
            result = (
                [self._configuration(each) for each in message["params"]["items"]] if configuration else None
            )
            self._send({"id": message["id"], "result": result})
        return message

    @staticmethod
    def _configuration(item: dict[str, Any]) -> Any:
        yaml = {"schemaStore": {"enable": False}, "completion": True, "hover": True, "validate": True}
        return yaml if item.get("section") == "yaml" else None

    def __enter__(self) -> Editor:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._watch.cancel()
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout, self._log):
            if stream is not None:
                stream.close()


def _plain(said: Any) -> str:
    if isinstance(said, dict):
        return str(said.get("value", ""))
    return "\n".join(map(_plain, said)) if isinstance(said, list) else str(said or "")
