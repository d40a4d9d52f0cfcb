"""The toolkit under /o/, its metadata where RFC 8414 looks for it, a login page, and two kinds of API."""

from __future__ import annotations

from django.contrib.auth.views import LoginView
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import include, path
from django.views.decorators.csrf import csrf_exempt
from oauth2_provider.decorators import protected_resource
from oauth2_provider.oauth2_backends import OAuthLibCore
from oauth2_provider.oauth2_validators import OAuth2Validator
from oauth2_provider.urls import metadata_urlpatterns
from oauth2_provider.www_authenticate import build_bearer_challenge
from oauthlib.oauth2 import Server


@csrf_exempt
def whoami(request: HttpRequest) -> HttpResponse:
    """Whom a token speaks for; 401 as RFC 6750 wants it."""
    valid, found = OAuthLibCore(Server(OAuth2Validator())).verify_request(request, scopes=[])
    if not valid:
        challenge = build_bearer_challenge(request, oauth2_error=getattr(found, "oauth2_error", None))
        return JsonResponse(
            {"error": "invalid_token"}, status=401, headers={"WWW-Authenticate": f"{challenge}"}
        )
    token = found.access_token
    return JsonResponse(
        {
            "sub": token.user.get_username() if token.user else None,
            "client_id": token.application.client_id,
            "scope": token.scope,
        }
    )


@protected_resource()
def plain(request: HttpRequest) -> HttpResponse:
    """As the toolkit's own decorator does it: a token that ended gets 403, without a word."""
    return JsonResponse({"sub": request.resource_owner and request.resource_owner.get_username()})


urlpatterns = [
    path("login/", LoginView.as_view()),
    path("api/whoami", whoami),
    path("api/plain", plain),
    path("o/", include("oauth2_provider.urls", namespace="oauth2_provider")),
    *metadata_urlpatterns,
]
