"""What may be asked of a server, by its own account and by the commands that ask."""

MOST_PRIORITY = 100
MOST_LOG_LINES = 10_000
