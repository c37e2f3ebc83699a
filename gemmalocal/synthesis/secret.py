"""A key that must not get into anything that is kept or shown, however a server writes it."""

from __future__ import annotations

import re

from gemmalocal.errors import EndpointError

BLOT = "[key]"
SHORTEST = 4  # letters: a shorter one would blot out ordinary text


class Secret:
    """Blots a key out of texts: as it is, and in the escapes of JSON, of addresses and of web pages."""

    def __init__(self, key: str) -> None:
        """Raises `EndpointError` for a key that no header can carry."""
        self.key = key.strip()
        if not all("!" <= letter <= "~" for letter in self.key):
            raise EndpointError("The key holds spaces or letters that no key may have.", "Was it copied whole?")
        self._pattern = re.compile("".join(map(_escaped, self.key))) if len(self.key) >= SHORTEST else None

    def clean(self, text: str) -> str:
        """The text without the key."""
        return self._pattern.sub(BLOT, text) if self._pattern else text


def _escaped(letter: str) -> str:
    code = ord(letter)
    # As it is; as JSON escapes it (\u0041, or behind a backslash), addresses (%41) and web pages (&#65; and &#x41;).
    forms = (
        re.escape(letter),
        rf"\\+u(?i:{code:04x})",
        rf"\\+{re.escape(letter)}" if letter in "\"\\/'" else "",
        rf"%(?i:{code:02x})",
        rf"&\#0*{code};",
        rf"&\#[xX]0*(?i:{code:x});",
    )
    return f"(?:{'|'.join(form for form in forms if form)})"
