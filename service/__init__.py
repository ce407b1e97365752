"""The service: the life of a sweep, from the sweep file to a verdict."""
