"""Triton kernels of the training step on a GPU. Imported only there; each is held to its plain form by a test."""

from transferlaws.model.operations import Operations
from transferlaws.model.positions import Positions


def fused() -> Operations:
    """The Triton forms. Triton is imported here, as machines without a GPU have none."""
    from transferlaws.model.kernels import attention, rows

    class Fused:
        """One kernel for each operation."""

        pads = False
        norm = staticmethod(rows.norm)
        gated_gelu = staticmethod(rows.gated_gelu)
        attention = staticmethod(attention.attention)
        row_gradient = staticmethod(rows.row_gradient)

        def bias(self, positions: Positions, causal: bool) -> Positions:
            """Kernels look the bias up by offset."""
            return positions

    return Fused()
