import pytest

from support import simulated_study

CURVE_LAWS = ("score-log", "cross-entropy-power", "score-from-loss")


@pytest.fixture(scope="session")
def curves(tmp_path_factory):
    """(measurements.csv, fits) of a small study of curves."""
    return simulated_study.write(tmp_path_factory.mktemp("curves"), simulated_study.measurements(), CURVE_LAWS)


@pytest.fixture(scope="session")
def surface(tmp_path_factory):
    """(measurements.csv, fits) of a study with several D_f."""
    return simulated_study.write(tmp_path_factory.mktemp("surface"), simulated_study.surface(), ("transfer-gap",))


@pytest.fixture(scope="session")
def scaling(tmp_path_factory):
    """(measurements.csv, fits) of a study with several model sizes."""
    return simulated_study.write(tmp_path_factory.mktemp("scaling"), simulated_study.scaling(), ("effective-data",))
