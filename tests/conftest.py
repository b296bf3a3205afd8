import os
import sys
from pathlib import Path

import hypothesis
import pytest

# A busy machine is no failure.
hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")
sys.path.insert(0, str(Path(__file__).parent))  # tests/support
# Before torch is imported. A process that is forked while torch has threads hangs, and bits may depend on their number.
os.environ["OMP_NUM_THREADS"] = "1"


@pytest.fixture(scope="session")
def finished_tiny(tmp_path_factory):
    """A checkout in which the tiny study has run to the end. To be read or copied, not changed."""
    from support.tiny import checkout, snakemake

    folder = checkout(tmp_path_factory.mktemp("tiny"))
    snakemake(folder)
    return folder


@pytest.fixture(autouse=True)
def denormals_as_they_were():
    """Training flushes denormals for the whole process, and hypothesis minds."""
    yield
    if "torch" in sys.modules:
        sys.modules["torch"].set_flush_denormal(False)
