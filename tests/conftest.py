"""What holds for every test: what pytest made of the tests themselves is never looked through for garbage."""

import gc

import pytest


@pytest.hookimpl(trylast=True)
def pytest_collection_finish() -> None:
    """Every look of the collector, and every thread of greenlets that ends, would walk a million objects."""
    gc.collect()
    gc.freeze()
