"""Renders pages; the last ones are kept."""

import hashlib
from functools import lru_cache

# Rendering is dear on purpose: it stands for templates, images and signatures.
ROUNDS = 2000


@lru_cache(maxsize=150)
def page(number: int) -> bytes:
    digest = str(number).encode()
    for _ in range(ROUNDS):
        digest = hashlib.sha256(digest).digest()
    return digest * 2000
