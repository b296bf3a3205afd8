"""Folders that stand on this machine or, at a revision, on the Hugging Face hub."""

from pathlib import Path

from transferlaws.errors import PassingError, UserError


def local_or_hub(place: str, what: str, patterns: list[str]) -> Path:
    """The folder `place`, or a snapshot of `place` = owner/name@revision with the files that `patterns` match.

    `what` names the setting in a `UserError`: where there is no such folder and no revision, or where the hub cannot be had.
    """
    if Path(place).is_dir():
        return Path(place)
    name, at, revision = place.partition("@")
    if not at or name.startswith((".", "/")):
        raise UserError(f"{what} {place}: no such file or folder. A hub id must name a revision: {name}@<commit>.")
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(name, revision=revision, allow_patterns=patterns))
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        raise PassingError(f"{what} {place}: not to be had from the Hugging Face hub ({error}).") from None
