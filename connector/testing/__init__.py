"""What token stores and endpoint files must do, as classes of pytest tests: for ours and those of plugins.

    class TestAcme(EndpointContract):
        endpoint = "acme.yaml"

    class TestAcmeStore(TokenStoreContract):
        @pytest.fixture
        def make_store(self, tmp_path):
            return functools.partial(AcmeStore, tmp_path / "tokens")

This package does not need pytest itself. To see the values in a failing assert, put
``pytest.register_assert_rewrite("connector.testing")`` into your ``conftest.py``.
"""

from __future__ import annotations

from connector.testing.contract import EndpointContract
from connector.testing.leases import LeaseContract
from connector.testing.records import RecordContract
from connector.testing.together import TogetherContract

__all__ = ["EndpointContract", "TokenStoreContract"]


class TokenStoreContract(RecordContract, LeaseContract, TogetherContract):
    """Subclass it as ``Test...`` and give it a fixture ``make_store``.

    The fixture returns a callable without arguments that opens the store, each time anew and on the same
    data, which is empty when a test begins. The tests close what they open. The callable must pickle, since
    other processes open the store too.

    Attributes:
        processes: False: the store is of one process (and its callable gives the same object each time).
        wakes: True: it has the method ``wait`` of `connector.tokenstore.Waking`.
        bound_s: how long any operation may take on a machine under load.
    """
