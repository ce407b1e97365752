"""What each command does: reads its words, calls the rest of the service, shows what came of it."""
