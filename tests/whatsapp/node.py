"""The tree that every stanza is: a tag, attributes, and either children or bytes."""

from dataclasses import dataclass, field

from tests.whatsapp.jid import Jid

Attribute = str | int | Jid | None
"""None stands for an attribute that is not there."""


class Malformed(ValueError):
    """A stanza lacks what its kind must have."""


@dataclass(slots=True)
class Node:
    tag: str
    attributes: dict[str, Attribute] = field(default_factory=dict)
    content: "bytes | list[Node] | None" = None

    @property
    def children(self) -> "list[Node]":
        return self.content if isinstance(self.content, list) else []

    @property
    def data(self) -> bytes:
        if not isinstance(self.content, bytes):
            raise Malformed(f"<{self.tag}> holds no bytes")
        return self.content

    def child(self, *path: str) -> "Node | None":
        """The first descendant along these tags."""
        node = self
        for tag in path:
            for child in node.children:
                if child.tag == tag:
                    node = child
                    break
            else:
                return None
        return node

    def need(self, *path: str) -> "Node":
        """The same, where it must be there."""
        found = self.child(*path)
        if found is None:
            raise Malformed(f"<{self.tag}> lacks <{'><'.join(path)}>")
        return found

    def text(self, name: str) -> str | None:
        value = self.attributes.get(name)
        return None if value is None else str(value)

    def need_text(self, name: str) -> str:
        value = self.text(name)
        if value is None:
            raise Malformed(f"<{self.tag}> lacks {name}")
        return value

    def jid(self, name: str) -> Jid:
        value = self.attributes.get(name)
        if not isinstance(value, Jid):
            raise Malformed(f"{name} of <{self.tag}> is no address")
        return value

    def __str__(self) -> str:
        attributes = "".join(f' {name}="{value}"' for name, value in self.attributes.items() if value is not None)
        if self.content is None:
            return f"<{self.tag}{attributes}/>"
        inner = f"[{len(self.content)} bytes]" if isinstance(self.content, bytes) else "".join(map(str, self.content))
        return f"<{self.tag}{attributes}>{inner}</{self.tag}>"
