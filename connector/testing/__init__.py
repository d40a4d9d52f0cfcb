"""What endpoint files, token stores and grants must do, as classes of pytest tests: for ours and for others.

    class TestAcme(EndpointContract):
        endpoint = "acme.yaml"

    class TestAcmeStore(TokenStoreContract):
        @pytest.fixture
        def make_store(self, tmp_path):
            return functools.partial(AcmeStore, tmp_path / "tokens")

    class TestAcmeGrant(GrantContract):
        grant = AcmeGrant()

This package does not need pytest itself. To see the values in a failing assert, put
``pytest.register_assert_rewrite("connector.testing")`` into your ``conftest.py``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from connector.testing.grants import GrantContract
from connector.testing.leases import LeaseContract
from connector.testing.records import RecordContract
from connector.testing.together import TogetherContract

if TYPE_CHECKING:
    from connector.testing.contract import EndpointContract

__all__ = ["EndpointContract", "GrantContract", "TokenStoreContract"]


class TokenStoreContract(RecordContract, LeaseContract, TogetherContract):
    """Subclass it as ``Test...`` and give it a fixture ``make_store``.

    The fixture returns a callable without arguments that opens the store, each time anew and on the same
    data, which is empty when a test begins. The tests close what they open. The callable must pickle, since
    other processes open the store too.

    Attributes:
        processes: False: the store is of one process (and its callable gives the same object each time).
        wakes: True: it has the method ``wait`` of `connector.tokenstore.Waking`.
        bound_s: how long any operation may take on a machine under load; what takes many times that, threads
            and processes and a test as a whole, has failed.
        watched_s: how long leases are watched, to see that nobody gets one before its end. One that ends
            early, but later than this, is found only by a longer watch: connector takes leases of 45 s, so
            50 leaves nothing open. Where the store's clock can be moved, override ``pass_time``, and any
            watch is over at once.
    """


def __getattr__(name: str) -> Any:
    # A server and the whole host come with it; other processes that try a store need neither.
    if name == "EndpointContract":
        from connector.testing.contract import EndpointContract

        return EndpointContract
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
