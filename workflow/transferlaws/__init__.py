"""Which pretraining data, and how much of it, is worth having for a downstream task?"""

__version__ = "0.2.0"
