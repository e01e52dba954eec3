"""Random text for secrets."""

import secrets

_BYTES = 32


def random_text() -> str:
    """256 bits, in letters and digits that need no escaping in an address or a YAML file."""
    return secrets.token_hex(_BYTES)
