"""Finds the parts of a secret that must not be shown: the whole text, and the password in it."""

import re
from urllib.parse import unquote, urlsplit

_FEWEST_CHARACTERS = 4
"""Shorter texts are not removed, since they would match in every log line."""
_PASSWORDS = re.compile(r"--password: *\"?([^\"\s]+)|://[^:/@\s]*:([^@\s]+)@")


def secret_parts(secret: str) -> set[str]:
    passwords = {part for found in _PASSWORDS.findall(secret) for part in found}
    return {part for part in {secret.strip(), *passwords} if len(part) >= _FEWEST_CHARACTERS}


def password_of(address: str) -> str:
    """Raises ValueError, which does not quote the address."""
    password = urlsplit(address.strip()).password
    if not password:
        raise ValueError("the secret's value is no address with a password")
    return unquote(password)
