"""Source `debian`: text inside Debian packages, downloaded with apt where apt exists. Nothing of a package is installed."""

import os
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath

from transferlaws.corpora.items import Document, Pair
from transferlaws.corpora.readers.opening import bomb, most_expansion
from transferlaws.corpora.settings import DebianBitext, DebianCorpus, Package
from transferlaws.corpora.sources import Context, Provenance
from transferlaws.corpora.sources.fasta import windows
from transferlaws.corpora.sources.files import read_documents, read_rows
from transferlaws.errors import ChecksumError, PassingError, UserError
from transferlaws.files import exclusive, sha256


def documents(settings: DebianCorpus, context: Context) -> tuple[Provenance, Iterator[Document]]:
    """Documents of the files that `members` match."""
    provenance, paths = _extract(settings, context)
    if settings.format == "fasta":
        return provenance, (document for path in paths for document in windows(path, settings.window, context))
    return provenance, read_documents(settings, paths, context)


def pairs(settings: DebianBitext, context: Context) -> tuple[Provenance, Iterator[Pair]]:
    """Pairs of the files that `members` match; origin is the file's name unless the config gives one."""
    provenance, paths = _extract(settings, context)
    return provenance, (
        Pair(f"{path.name}:{number}", source, target, origin[0] if origin else settings.origin or path.stem)
        for path in paths
        for number, (source, target, *origin) in read_rows(settings, path, context)
    )


def _extract(settings: DebianCorpus | DebianBitext, context: Context) -> tuple[Provenance, list[Path]]:
    paths, sums = [], {}
    for package in settings.packages:
        deb = _fetch(package, context.cache)
        sums[deb.name] = package.sha256
        found = sorted(_members(deb, settings.members, context.scratch / package.name))
        if not found:
            raise UserError(f"{package.name} {package.version}: no file matches {', '.join(settings.members)}.")
        paths += found
    version = ", ".join(f"{package.name} {package.version}" for package in settings.packages)
    return Provenance(version, "; ".join(dict.fromkeys(package.licence for package in settings.packages)), sums), paths


def _fetch(package: Package, cache: Path) -> Path:
    folder = cache / "debian"
    folder.mkdir(parents=True, exist_ok=True)
    deb = folder / f"{package.name}_{package.sha256}.deb"
    with exclusive(f"{deb}.lock"):
        if deb.is_file() and sha256(deb) == package.sha256:
            return deb
        if not shutil.which("apt-get") or not shutil.which("dpkg-deb"):
            raise UserError(f"{package.name}: apt-get and dpkg-deb are needed for `source: debian`; they are not on this machine.")
        with tempfile.TemporaryDirectory(dir=folder, prefix=".download.") as temporary:
            command = ["apt-get", "download", "--quiet=2", "-o", "APT::Sandbox::User=", f"{package.name}={package.version}"]
            result = subprocess.run(command, cwd=temporary, capture_output=True, text=True, check=False)
            found = list(Path(temporary).glob("*.deb"))
            if result.returncode or len(found) != 1:
                reason = " ".join(result.stderr.split())[-300:]
                raise PassingError(f"{package.name}={package.version}: apt could not download it ({reason}). Try `apt-get update`.")
            if (actual := sha256(found[0])) != package.sha256:
                raise ChecksumError(f"{package.name}={package.version}: SHA-256 is {actual}, the config pins {package.sha256}.")
            os.replace(found[0], deb)
    return deb


def _members(deb: Path, patterns: list[str], folder: Path) -> Iterator[Path]:
    """Extract the regular files that match; yields where they lie below `folder`."""
    command = ["dpkg-deb", "--fsys-tarfile", str(deb)]
    left = most = most_expansion(deb.stat().st_size)
    with (
        subprocess.Popen(command, stdout=subprocess.PIPE) as process,
        tarfile.open(fileobj=process.stdout, mode="r|") as archive,
    ):
        for member in archive:
            name = PurePosixPath(member.name)
            inside = not name.is_absolute() and ".." not in name.parts
            if not member.isfile() or not inside or not any(fnmatchcase(str(name), pattern) for pattern in patterns):
                continue
            left -= member.size
            if left < 0:
                raise bomb(str(deb), most)
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            with open(path, "wb") as file:
                shutil.copyfileobj(archive.extractfile(member), file, 1 << 20)
            yield path
    if process.returncode:
        raise UserError(f"{deb}: dpkg-deb cannot read it (status {process.returncode}).")
