"""Triton kernels of the training step on a GPU. Imported only there; each is held to its plain form by a test."""
