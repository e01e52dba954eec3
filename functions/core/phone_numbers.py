"""Phone numbers as people write them, and which written forms are one number.

The numbering plans are those of Google's libphonenumber (`phonenumbers`).
"""

import re

import phonenumbers
from phonenumbers import NumberParseException, PhoneNumberFormat

from core.ids import InvalidId, phone_e164

_LONGEST = 40
_BETWEEN = r"[\s().\-/\u00a0\u2010-\u2015\u202a-\u202e\u2060-\u2069]*"
"""What people put between digits. Copied numbers bring invisible marks of direction."""
_WRITTEN = re.compile(rf"{_BETWEEN}(\+?){_BETWEEN}((?:[0-9]{_BETWEEN})+)")
_COMPLAINT = "a phone number must begin with '+' and the country's code, such as +40 712 345 678"

_SAME_FORMS: tuple[tuple[re.Pattern[str], str], ...] = (
    # Brazil put a 9 before its mobile numbers, which begin with 6 to 9; WhatsApp keeps old accounts without it.
    (re.compile(r"\+55([1-9][0-9])9([6-9][0-9]{7})"), r"+55\1\2"),
    # Mexico had a 1 before its mobile numbers.
    (re.compile(r"\+521([0-9]{10})"), r"+52\1"),
    # Argentina has a 9 before its mobile numbers for callers from abroad.
    (re.compile(r"\+549([0-9]{10})"), r"+54\1"),
)


def read_phone_number(value: object, *, home: str | None = None) -> str:
    """A number in any common form as +E.164: with spaces and brackets, with 00 for the plus sign, with (0) after the country's code.

    `home` is a number (+E.164) of the country whose national form is understood too. Raises InvalidId.
    """
    if not isinstance(value, str) or len(value) > _LONGEST:
        raise InvalidId(_COMPLAINT)
    found = _WRITTEN.fullmatch(value)
    if found is None:
        raise InvalidId(_COMPLAINT)
    plus, digits = found.group(1), re.sub(r"[^0-9]", "", found.group(2))
    if not plus and digits.startswith("00"):
        plus, digits = "+", digits[2:]
    written = plus + digits
    try:
        parsed = phonenumbers.parse(written, _region(home))
    except NumberParseException:
        return phone_e164(written)  # WhatsApp may know a country that the library does not
    formatted = phonenumbers.format_number(parsed, PhoneNumberFormat.E164)
    if formatted != written and not phonenumbers.is_possible_number(parsed):
        raise InvalidId("a phone number has too few or too many digits for its country")
    return phone_e164(formatted)


def is_same_number(known: str | None, paired: str) -> bool:
    """Whether an account that is paired again has its own number. `known` None: it never had one."""
    return known is None or _form(known) == _form(paired)


def _form(number: str) -> str:
    """The form that all written forms of one number have in common."""
    for pattern, form in _SAME_FORMS:
        if pattern.fullmatch(number):
            return pattern.sub(form, number)
    return number


def _region(home: str | None) -> str | None:
    try:
        return None if home is None else phonenumbers.region_code_for_number(phonenumbers.parse(home))
    except NumberParseException:
        return None
