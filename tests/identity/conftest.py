"""The fixtures of the identity tests; helpers that tests import by name stand beside this file."""

from tests.identity.identity_house import each_store, house, store

__all__ = ["each_store", "house", "store"]
