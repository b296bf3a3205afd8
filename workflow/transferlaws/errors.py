"""Errors that a user can act on."""

from transferlaws.format import printable


class UserError(Exception):
    """Bad input, config or files.

    The message names the file, key or row, the value found, what was expected and the remedy. The CLI prints it without a
    traceback and exits with status 1. Names that files bring along may hold anything, and must not command the terminal.
    """

    def __init__(self, message: str) -> None:
        super().__init__(printable(message))


class PassingError(UserError):
    """What another attempt may overcome as it stands: a full disk, a server that does not answer, memory that ran out."""


class ChecksumError(UserError):
    """A file is not the one its producer recorded: truncated, altered or half written."""
