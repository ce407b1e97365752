"""The paper's batches as ordinary sweeps, and whether its claims held in them."""
