"""Imports that take long and that help and completion do without: made once something of theirs is used."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

STUBS = "penstock.admin.v1."


class LazyStubs(MetaPathFinder, Loader):
    """Stands in for the generated modules and gRPC, until an attribute of any of them is asked for.

    Then it steps aside, and all are imported in the order in which they import each other: a generated module is not
    complete without those it names.
    """

    def __init__(self) -> None:
        self._names: list[str] = []

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        is_slow = fullname.startswith(STUBS) or fullname == "grpc"
        return ModuleSpec(fullname, self) if is_slow else None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        self._names.append(spec.name)
        return _Later(spec.name, self)

    def exec_module(self, module: ModuleType) -> None:
        """Not now: it is in its place, and will be once something of it is asked for."""
        module.__dict__["_is_placed"] = True

    def imported(self, name: str) -> ModuleType:
        """The real module."""
        if self in sys.meta_path:
            sys.meta_path.remove(self)
            for each in self._names:
                del sys.modules[each]
                package, _, leaf = each.rpartition(".")
                if package:
                    delattr(sys.modules[package], leaf)
        return importlib.import_module(name)


class _Later(ModuleType):
    """In the place of a module that is not imported yet; afterwards it passes on what it is asked."""

    def __init__(self, name: str, stubs: LazyStubs) -> None:
        super().__init__(name)
        self.__dict__["_stubs"] = stubs
        self.__dict__["_is_placed"] = False

    def __getattr__(self, attribute: str) -> Any:
        if not self.__dict__["_is_placed"] or getattr(self.__spec__, "_initializing", False):
            # It is the import that puts it in place which looks at it.
            raise AttributeError(attribute)
        return getattr(self.__dict__["_stubs"].imported(self.__name__), attribute)


def import_stubs_lazily() -> None:
    """From now on, in this process."""
    sys.meta_path.insert(0, LazyStubs())
