"""Which pretraining data, and how much of it, is worth having for a downstream task?"""

__version__ = "0.1.0"
__all__ = ["__version__", "fit_law"]


def __getattr__(name: str) -> object:
    """`fit_law` on demand: numpy and scipy take a second to import, which parsing the workflow need not spend."""
    if name == "fit_law":
        from transferlaws.laws.api import fit_law

        return fit_law
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
