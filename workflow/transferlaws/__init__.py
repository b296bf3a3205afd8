"""Which pretraining data, and how much of it, is worth having for a downstream task?"""

from importlib import import_module

__version__ = "0.2.0"
__all__ = ["LawFit", "__version__", "fit_law"]
_HOME = {"fit_law": "transferlaws.laws.api", "LawFit": "transferlaws.laws.law_fit"}


def __getattr__(name: str) -> object:
    """The interface on demand: numpy and scipy take a second to import, which parsing the workflow need not spend."""
    if name in _HOME:
        return getattr(import_module(_HOME[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
