"""What the server was asked. No token is kept, only fingerprints."""

from __future__ import annotations

import hashlib
import json
import threading
from collections import Counter
from collections.abc import Callable
from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse

LOCK = threading.Lock()
CALLS: Counter[str] = Counter()
REFUSED: Counter[str] = Counter()
ERRORS: Counter[str] = Counter()
AUTH: Counter[str] = Counter()
SHOWN: Counter[str] = Counter()
API: Counter[str] = Counter(calls=0, unauthorized=0)


class Counting:
    def __init__(self, answer: Callable[[HttpRequest], HttpResponse]) -> None:
        self._answer = answer

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.path == "/stats":
            return JsonResponse(stats())
        response = self._answer(request)
        with LOCK:
            if request.path.startswith("/api/"):
                API["calls"] += 1
                API["unauthorized"] += response.status_code == 401
            elif request.path == "/o/token/" and request.method == "POST":
                token_call(request, response)
        return response


def token_call(request: HttpRequest, response: HttpResponse) -> None:
    grant = request.POST.get("grant_type", "none")
    CALLS[grant] += 1
    if response.status_code != 200:
        REFUSED[grant] += 1
        try:
            ERRORS[json.loads(response.content)["error"]] += 1
        except (ValueError, KeyError):
            ERRORS[str(response.status_code)] += 1
    header, field = "authorization" in request.headers, "client_secret" in request.POST
    AUTH["header" if header else "post" if field else "none"] += 1
    if shown := request.POST.get("refresh_token"):
        SHOWN[hashlib.sha256(shown.encode()).hexdigest()[:8]] += 1


def stats() -> dict[str, Any]:
    with LOCK:
        token = {"calls": CALLS, "refused": REFUSED, "errors": ERRORS, "auth": AUTH}
        return json.loads(json.dumps({"token": token, "refresh_tokens": SHOWN, "api": API}))
