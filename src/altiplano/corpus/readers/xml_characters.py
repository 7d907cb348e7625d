"""Named characters in XML whose document type is not at hand: ``&nbsp;``, ``&eacute;``."""

import html.entities
import re
from xml.sax.saxutils import escape

ENTITY = re.compile(r"&([A-Za-z][A-Za-z0-9]{1,40};)")
OF_XML = {"amp;", "lt;", "gt;", "quot;", "apos;"}


def written_out(xml: str) -> str:
    """With HTML's named characters, which have those of the ISO sets in them, as themselves."""
    return ENTITY.sub(_character, xml)


def _character(match: re.Match[str]) -> str:
    character = None if match[1] in OF_XML else html.entities.html5.get(match[1])
    return escape(character) if character else match[0]
