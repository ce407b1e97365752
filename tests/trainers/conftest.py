import pytest
import torch


@pytest.fixture(autouse=True, scope="session")
def _one_thread():
    """Products this small are faster on one thread, and bits are compared."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
