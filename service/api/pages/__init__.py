"""The server's own pages: a thin layer of views over the API's routes, for people in browsers.

By the path it is decided once what is a page and what is the API: pages are let in by a session's
cookie alone and answer with HTML alone, the API by a token and never with HTML about itself. So no
other site can have a browser call the API in somebody's name.
"""
