# ruff: noqa: INP001 - a module at the top
"""Takes certifi's place: requests asks for a list of certificates as it is imported, and dmsfw speaks to no TLS server.

It lies where OpenWrt's package ca-certificates puts its own.
"""


def where() -> str:
    """Return where a list of certificates would be."""
    return "/etc/ssl/certs/ca-certificates.crt"
