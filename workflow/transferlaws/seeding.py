"""Random generators keyed by name: every random choice is addressable and independent of the order in which others are made."""

import hashlib

import numpy as np


def seed_for(seed: int, *names: object) -> int:
    """A 63-bit seed for the stream `names` of the study's `seed`; stable over machines and Python versions."""
    key = "\x1f".join([str(seed), *map(str, names)]).encode()
    return int.from_bytes(hashlib.blake2b(key, digest_size=8).digest(), "little") >> 1


def generator(seed: int, *names: object) -> np.random.Generator:
    """A numpy generator for the stream `names`."""
    return np.random.Generator(np.random.PCG64(seed_for(seed, *names)))
