"""The HTTP API of a server: who may ask for what, and what is answered."""
