"""Errors that a user can act on."""


class UserError(Exception):
    """Bad input, config or files.

    The message names the file, key or row, the value found, what was expected and the remedy. The CLI prints it without a
    traceback and exits with status 1.
    """


class ChecksumError(UserError):
    """A file is not the one its producer recorded: truncated, altered or half written."""
