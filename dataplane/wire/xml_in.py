"""XML bodies read: capped before they are parsed, without document types, shallow, and strict about what they hold."""

from dataclasses import dataclass, field
from xml.parsers import expat

from dataplane.wire.refusals import MalformedXml, MaxMessageLengthExceeded, MissingRequestBody
from engine.units import KIB, MIB

DOCUMENT_BYTES_MAX = MIB
DEPTH_MAX = 16
ELEMENT_COUNT_MAX = 50_000
"""Of a document: 10,000 parts with all they may have are 40,001. Each takes thirty times the bytes of an empty tag."""
NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"

_SEPARATOR = " "
_TEXT_BUFFER_BYTES = 64 * KIB


@dataclass(slots=True)
class Element:
    """A parsed element: its local name, its text, its children in order. Attributes are not kept."""

    name: str
    text: str = ""
    children: "list[Element]" = field(default_factory=list)

    def leaves(self, *names: str) -> dict[str, str]:
        """The texts of children that hold text alone; raises MalformedXml for unknown, repeated or nested ones."""
        found: dict[str, str] = {}
        for child in self.children:
            if child.name not in names or child.name in found or child.children:
                raise MalformedXml
            found[child.name] = child.text
        return found


def require_size(size_bytes: int | None, *, max_bytes: int = DOCUMENT_BYTES_MAX) -> None:
    """Refuse a body by its announced size, before a byte of it is read; raises MaxMessageLengthExceeded."""
    if size_bytes is not None and size_bytes > max_bytes:
        raise MaxMessageLengthExceeded("Your request was too big.", MaxMessageLengthBytes=str(max_bytes))


def parse_document(raw: bytes, root_name: str, *, max_bytes: int = DOCUMENT_BYTES_MAX) -> Element:
    """Parse a whole document of one root element.

    Names are taken from S3's namespace or from none, however they are prefixed. Raises MaxMessageLengthExceeded,
    MissingRequestBody for an empty one, MalformedXml for everything that is not well-formed, has a document type,
    lies deeper than `DEPTH_MAX`, has too many elements, comes from another namespace, mixes text with elements, or has
    another root.
    """
    require_size(len(raw), max_bytes=max_bytes)
    if not raw.strip():
        raise MissingRequestBody
    reader = _Reader()
    # In one call: expat before 2.6 takes quadratic time over a large token that arrives in small pieces.
    try:
        reader.parser.Parse(raw, True)
    except (expat.ExpatError, UnicodeError, LookupError, ValueError) as error:
        raise MalformedXml from error
    root = reader.root
    if root is None or root.name != root_name:
        raise MalformedXml
    return root


class _Reader:
    """Builds the tree while expat reads. Refusing the start of a document type leaves no entity to expand."""

    def __init__(self) -> None:
        self.root: Element | None = None
        self._open: list[Element] = []
        self._left_count = ELEMENT_COUNT_MAX
        self.parser = expat.ParserCreate(namespace_separator=_SEPARATOR)
        self.parser.buffer_text = True
        self.parser.buffer_size = _TEXT_BUFFER_BYTES
        self.parser.StartDoctypeDeclHandler = self._refuse
        self.parser.EntityDeclHandler = self._refuse
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._text

    def _start(self, qualified: str, attributes: object) -> None:
        namespace, _, name = qualified.rpartition(_SEPARATOR)
        if namespace not in {"", NAMESPACE} or len(self._open) >= DEPTH_MAX or self._left_count == 0:
            raise MalformedXml
        self._left_count -= 1
        element = Element(name)
        if self._open:
            self._open[-1].children.append(element)
        else:
            self.root = element
        self._open.append(element)

    def _end(self, qualified: str) -> None:
        element = self._open.pop()
        if element.children:
            if element.text.strip():
                raise MalformedXml
            element.text = ""

    def _text(self, text: str) -> None:
        if self._open:
            self._open[-1].text += text

    def _refuse(self, *parts: object) -> None:
        raise MalformedXml
