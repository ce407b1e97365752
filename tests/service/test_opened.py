"""A sweep opened for a notebook shows what the ledger and the storage hold."""

import pyarrow as pa
import pytest

from service.errors import UserError
from service.opened import open_sweep
