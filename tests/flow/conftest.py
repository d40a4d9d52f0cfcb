"""How many worlds: hundreds as a rule, 20,000 with `make nightly`."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

settings.register_profile(
    "nightly", max_examples=20_000, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
