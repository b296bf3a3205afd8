"""One SLURM for all tests of this folder."""

from collections.abc import Iterator

import pytest
from cluster import Cluster, why_not


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A running SLURM with nodes n1 and n2, two fake GPUs each; skipped where it cannot be."""
    if reason := why_not():
        pytest.skip(f"needs a SLURM of its own: {reason}")
    cluster = Cluster(tmp_path_factory.mktemp("slurm"))
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()
