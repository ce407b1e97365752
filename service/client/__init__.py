"""A server's sweeps from elsewhere: its HTTP API as the commands use it."""

from service.client.access import Access
from service.client.server import Server

__all__ = ["Access", "Server"]
