"""Step 8's masks: what of a value may be seen where it is MASKED. Pure. The number of stars never says how long a value is.

| mask        | shows at most                                           | of a value such as                                        |
| name        | the first letter; two for a compound Chinese surname     | two letters or more (a compound surname: three)           |
| phone       | the first 3 and last 4 digits; the last 2 of 7 to 10     | 7 digits or more                                          |
| resident_id | the first 3 and last 4 of 18, first 3 and last 3 of 15   | GB 11643-1999 length and characters                       |
| bank_card   | the last 4 digits                                       | 12 to 19 digits                                           |
| email       | the first character before `@`, and the domain          | one `@`, three characters or more before it               |
| address     | province, city, district: the beginning, at most half   | a Chinese address that begins with one of their names     |
| date        | the year                                                | a date of ISO 8601                                        |
| free_text, none | nothing                                             |                                                           |
Whatever looks otherwise, is short, or holds control, format, private or unassigned characters shows nothing at all.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping

from gateway.fields.places import steps
from gateway.words.json import Json
from gateway.words.resource import Mask

HIDDEN = "***"

_PAIRS = (
    "欧阳歐陽太史端木上官司马司馬东方東方独孤獨孤南宫南宮万俟萬俟闻人聞人夏侯诸葛諸葛尉迟尉遲赫连赫連澹台澹臺皇甫宗政濮阳濮陽太叔申屠公孙公孫"
    "慕容仲孙仲孫钟离鍾離长孙長孫宇文司徒鲜于鮮于司空闾丘閭丘亓官司寇巫马巫馬公西颛孙壤驷漆雕乐正樂正宰父谷梁拓跋轩辕軒轅令狐段干百里呼延"
    "东郭南门羊舌微生梁丘左丘西门西門第五南荣即墨达奚褚师纳兰納蘭"
)
_COMPOUND = frozenset(_PAIRS[i : i + 2] for i in range(0, len(_PAIRS), 2))
"""Compound surnames, simplified and traditional."""

# Cc control, Cf format (bidirectional controls, joiners), Cs surrogate, Co private, Cn unassigned, Zl and Zp line ends.
_UNSAFE = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_LETTERS = frozenset({"Lu", "Ll", "Lt", "Lo"})
_SEPARATORS = str.maketrans("", "", " -.()（）/\u3000")
_DIGITS = re.compile(r"\+?[0-9]+")
_ID_18 = re.compile(r"[0-9]{17}[0-9Xx]")
_ID_15 = re.compile(r"[0-9]{15}")
_DATE = re.compile(r"([0-9]{4})-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])(T[0-9:.+Zz-]+)?")
_DOMAIN = re.compile(r"(?=.{4,253}\Z)([a-zA-Z0-9](-?[a-zA-Z0-9]){0,62}\.)+[a-zA-Z]{2,63}")
_TOKEN = re.compile(r"tok_[A-Za-z0-9_-]{22}")
_STARS = re.compile(r"[*＊]{2,}|[*＊]$")


def mask(how: Mask, value: Json) -> Json:
    """Gives what may be seen of the value. null stays null; what is not a string shows nothing."""
    if value is None:
        return None
    if not isinstance(value, str):
        return HIDDEN
    # Nothing printable is unsafe; the rest (some blanks are neither) is looked at one by one.
    if not value.isprintable() and any(unicodedata.category(c) in _UNSAFE for c in value):
        return HIDDEN
    return _MASKS[how](value)


def looks_masked(how: Mask, value: Json) -> bool:
    """True where any text in the value is one that such a mask makes, or a token: what a caller was shown somewhere and sends back
    as if it were a value."""
    return any(_masked(how, text.strip()) for text in _texts(value))


def holds_token(value: Json) -> bool:
    """True where any text in the value is a token: no field has one for a value."""
    return any(_TOKEN.fullmatch(text.strip()) for text in _texts(value))


def _texts(value: Json) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _texts(inner)


def _masked(how: Mask, text: str) -> bool:
    if _TOKEN.fullmatch(text):
        return True
    if how in (Mask.FREE_TEXT, Mask.NONE):  # people write `**` in texts; a text of stars alone is ours
        return bool(text) and not text.strip("*＊")
    return _STARS.search(text) is not None


def _nothing(_: str) -> str:
    return HIDDEN


def _name(value: str) -> str:
    text = unicodedata.normalize("NFC", value).strip()
    # Marks, blanks, punctuation and signs are no letters: `张.` is one letter, and no mask for it would be one.
    letters = [c for c in text if unicodedata.category(c) in _LETTERS]
    if len(letters) < 2 or not text[0].isalpha():
        return "*"
    shown = text[:2] if len(letters) > 2 and text[:2] in _COMPOUND else text[0]
    return shown + "*"


def _digits(value: str) -> str | None:
    """Gives the digits of a number as people write it, full-width ones as ASCII; None where there is anything else."""
    text = unicodedata.normalize("NFKC", value).translate(_SEPARATORS)
    return text.removeprefix("+") if _DIGITS.fullmatch(text) else None


def _phone(value: str) -> str:
    digits = _digits(value)
    if digits is None or len(digits) < 7 or len(digits) > 17:
        return "****"
    for code in (
        "0086",
        "86",
    ):  # the country's own code is no secret and would take the place of three digits
        if len(digits) == 11 + len(code) and digits.startswith(code + "1"):
            digits = digits[len(code) :]
            break
    return f"{digits[:3]}****{digits[-4:]}" if len(digits) > 10 else f"****{digits[-2:]}"


def _resident_id(value: str) -> str:
    text = unicodedata.normalize("NFKC", value).strip()
    if _ID_18.fullmatch(text):
        return f"{text[:3]}***********{text[-4:]}"
    if _ID_15.fullmatch(text):
        return f"{text[:3]}*********{text[-3:]}"
    return "****"


def _bank_card(value: str) -> str:
    digits = _digits(value)
    return f"****{digits[-4:]}" if digits is not None and 12 <= len(digits) <= 19 else "****"


def _email(value: str) -> str:
    local, at, domain = value.strip().rpartition("@")
    if not at or not local or "@" in local or not _DOMAIN.fullmatch(domain):
        return HIDDEN
    first = local[0] if len(local) > 2 and local.isascii() and local[0].isalnum() else ""
    return f"{first}***@{domain}"


def _address(value: str) -> str:
    text = unicodedata.normalize("NFC", value).strip()
    most = min(12, len(text) // 2)
    shown = text[: max((end for end in steps(text) if end <= most), default=0)]
    return f"{shown}****"


def _date(value: str) -> str:
    match = _DATE.fullmatch(value)
    return f"{match[1]}-**-**" if match else "****-**-**"


_MASKS: Mapping[Mask, Callable[[str], str]] = {
    Mask.NONE: _nothing,
    Mask.NAME: _name,
    Mask.PHONE: _phone,
    Mask.EMAIL: _email,
    Mask.RESIDENT_ID: _resident_id,
    Mask.BANK_CARD: _bank_card,
    Mask.ADDRESS: _address,
    Mask.DATE: _date,
    Mask.FREE_TEXT: _nothing,
}
