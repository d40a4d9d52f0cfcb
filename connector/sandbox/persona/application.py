"""A persona as an application: each request goes to the room that it fits best."""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from connector.sandbox.persona.places import Misplaced
from connector.sandbox.persona.provider import Persona
from connector.sandbox.persona.rooms import outcomes
from connector.sandbox.persona.seen import Complaint, Seen, read

_METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]


def application(persona: Persona) -> Starlette:
    """Return the application of a persona, for any host that its file names."""

    async def serve(request: Request) -> Response:
        seen = await read(request)
        try:
            return _answer(persona, seen)
        except Misplaced as error:
            return _refuse(persona, [Complaint(steps=("response",), words=str(error))])
        except Exception as error:  # a file may say what nobody thought of; it must not look like an outage
            words = f"this cannot be played ({type(error).__name__})"
            return _refuse(persona, [Complaint(steps=("endpoint",), words=words)])

    return Starlette(routes=[Route("/{path:path}", serve, methods=_METHODS)])


def _answer(persona: Persona, seen: Seen) -> Response:
    found = outcomes(persona, seen)
    if not found:
        persona.foreign.append(seen)
        return JSONResponse({"error": "not_found"}, 404)
    best = min(found, key=lambda each: len(each.complaints))
    if best.complaints:
        return _refuse(persona, best.complaints)
    persona.counts[best.name] += 1
    return best.answer()


def _refuse(persona: Persona, complaints: list[Complaint]) -> Response:
    persona.complaints += complaints
    words = "; ".join(complaint.words for complaint in complaints)
    return JSONResponse({"error": "invalid_request", "error_description": words[:300]}, 400)
