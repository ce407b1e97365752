"""A sweep opened for a notebook shows what the ledger and the storage hold."""
