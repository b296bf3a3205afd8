"""Renew the lock files from pyproject.toml: `make lock`.

`cpu.txt` leaves torch out, because its builds differ by platform and cannot share a hash: it is installed first, pinned by
version. `cuda.txt` holds torch's CUDA build for Linux and all it needs. `transferlaws.yaml` is the same for conda.
"""

import re
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
PROJECT = HERE.parent / "pyproject.toml"
COMMON = [
    "--extra",
    "test",
    "--extra",
    "cluster",
    "--universal",
    "--python-version",
    "3.11",
    "--generate-hashes",
    "--no-header",
    "--quiet",
]


def compile_lock(output: Path, *arguments: str) -> None:
    """Resolve pyproject.toml to exact versions with hashes."""
    command = [sys.executable, "-m", "uv", "pip", "compile", str(PROJECT), *COMMON, *arguments, "--upgrade", "-o", str(output)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def conda(lock: Path, output: Path) -> None:
    """Write the conda environment: conda's Python, the lock's versions (pip refuses to mix hashed and unhashed lines)."""
    pins = re.findall(r"^([A-Za-z0-9._-]+==[^\s;\\]+(?: ;[^\\\n]+)?)", lock.read_text(), re.MULTILINE)
    lines = [
        "# The environment of every rule, for `snakemake --sdm conda`; written by envs/lock.py.",
        "channels:",
        "  - conda-forge",
        "dependencies:",
        "  - python =3.12",
        "  - pip",
        "  - pip:",
        f'      - "{(HERE / "torch.txt").read_text().strip()}"',
        *(f'      - "{pin.strip()}"'.replace("'", "'") for pin in pins),
    ]
    output.write_text("\n".join(lines) + "\n")


def main() -> None:
    """Write all three."""
    with tempfile.TemporaryDirectory() as folder:
        override = Path(folder) / "no-torch.txt"
        override.write_text('torch ; sys_platform == "never"\n')
        compile_lock(HERE / "cpu.txt", str(HERE / "cpu.in"), "--override", str(override))
    compile_lock(HERE / "cuda.txt", "--constraint", str(HERE / "torch.txt"))
    conda(HERE / "cpu.txt", HERE / "transferlaws.yaml")


if __name__ == "__main__":
    main()
