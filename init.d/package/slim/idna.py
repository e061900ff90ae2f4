# ruff: noqa: INP001 - a module at the top
"""Takes idna's place: the only host that dmsfw asks is the socket of Docker, whose name is ASCII."""


class IDNAError(UnicodeError):
    """A host's name that is not ASCII."""


def encode(name: str, **_: object) -> bytes:
    """Return the name. Raises: IDNAError for one that is not ASCII."""
    try:
        return name.encode("ascii")
    except UnicodeEncodeError as error:
        raise IDNAError(f"only names in ASCII here, not {name!r}") from error
