"""What every test runs under: numbers that are not set are NaN, and results must not depend on luck."""

import pytest
import torch

import two_hosts


@pytest.fixture(autouse=True)
def strict_torch():
    """``torch.empty`` is NaN, algorithms are deterministic, the generator starts anew."""
    torch.use_deterministic_algorithms(True)  # also fills uninitialised memory
    torch.manual_seed(0)
    yield
    torch.use_deterministic_algorithms(False)


@pytest.fixture
def hosts():
    """Two hosts joined by a cable."""
    with two_hosts.joined() as names:
        yield names
