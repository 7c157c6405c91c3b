"""What a measurement belongs to: a machine and what runs on it."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import ClassVar


@dataclass(frozen=True)
class MachineKey:
    """The parts, strings and whole numbers, are fields of a subclass.

    kinds: of entries that are kept under such a key.
    """

    kinds: ClassVar[tuple[str, ...]]

    @property
    def file_name(self) -> str:
        """A file of its own for each key, readable: its name's parts beside each other, other characters as dashes."""
        parts = "_".join(self.name_parts())
        return "".join(c if c.isalnum() or c in "._" else "-" for c in parts) + ".json"

    def name_parts(self) -> tuple[str, ...]:
        raise NotImplementedError

    @classmethod
    def from_dict(cls, parts: object) -> MachineKey:
        """The key from `dataclasses.asdict` of one. Raises ValueError, saying why, for anything else."""
        types = {field.name: field.type for field in fields(cls)}
        if not isinstance(parts, dict) or set(parts) != set(types):
            raise ValueError(f'its "device" does not have the parts {", ".join(types)}')
        if any(type(value).__name__ != types[name] for name, value in parts.items()):
            raise ValueError('a part of its "device" is of another type')
        return cls(**parts)
