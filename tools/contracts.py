"""Two import-linter contracts the library does not bring: who alone imports a package, what alone a package imports.

Named in `pyproject.toml`; run by `make check` and by `tests/test_layers.py`. They look at direct imports, type-checking
imports included: a type is a dependency, too. They never import the code they judge.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, cast

from importlinter import Contract, ContractCheck, fields, output

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from grimp import ImportGraph


class ReservedContract(Contract):
    """Kept when the `reserved` packages are imported by the `importers` alone.

    `protected`, which import-linter brings, stops with an error where nobody imports the package, so it could not say
    that nobody may.
    """

    type_name = "reserved"

    reserved = fields.ListField(subfield=fields.StringField())
    importers = fields.ListField(subfield=fields.StringField())

    def check(self, graph: ImportGraph, verbose: bool) -> ContractCheck:  # noqa: ARG002 the library's signature
        """Kept, or broken with one line for each import that is not allowed."""
        reserved, importers = _names(self.reserved), _names(self.importers)
        return _verdict(
            _told(graph, importer, imported)
            for imported in _inside(graph, reserved)
            for importer in graph.find_modules_that_directly_import(imported)
            if not _is_within(importer, importers)
        )

    def render_broken_contract(self, check: ContractCheck) -> None:
        """The offending imports, one on a line."""
        _render(check)


class OnlyContract(Contract):
    """Kept when the `modules` import each other, the standard library and what `may_import` names, nothing else.

    `may_import` covers what lies within a named package; `may_import_exactly` the named module alone.
    """

    type_name = "only"

    modules = fields.ListField(subfield=fields.StringField())
    may_import = fields.ListField(subfield=fields.StringField())
    may_import_exactly = fields.ListField(subfield=fields.StringField(), required=False)

    def check(self, graph: ImportGraph, verbose: bool) -> ContractCheck:  # noqa: ARG002 the library's signature
        """Kept, or broken with one line for each import that is not allowed."""
        modules = _names(self.modules)
        allowed = (*modules, *_names(self.may_import), *sys.stdlib_module_names)
        exactly = _names(self.may_import_exactly)
        return _verdict(
            _told(graph, importer, imported)
            for importer in _inside(graph, modules)
            for imported in graph.find_modules_directly_imported_by(importer)
            if not _is_within(imported, allowed) and imported not in exactly
        )

    def render_broken_contract(self, check: ContractCheck) -> None:
        """The offending imports, one on a line."""
        _render(check)


def _names(field: object) -> tuple[str, ...]:
    # import-linter replaces each field on the instance by its parsed value, or by None, which its types do not tell.
    return tuple(cast("list[str] | None", field) or ())


def _inside(graph: ImportGraph, packages: tuple[str, ...]) -> Iterator[str]:
    return (module for module in sorted(graph.modules) if _is_within(module, packages))


def _is_within(module: str, packages: tuple[str, ...]) -> bool:
    return any(module == package or module.startswith(f"{package}.") for package in packages)


def _told(graph: ImportGraph, importer: str, imported: str) -> str:
    lines = sorted({detail["line_number"] for detail in graph.get_import_details(importer=importer, imported=imported)})
    return f"{importer} imports {imported} (line {', '.join(map(str, lines))})"


def _verdict(broken: Iterable[str]) -> ContractCheck:
    told = sorted(broken)
    return ContractCheck(kept=not told, metadata={"broken": told})


def _render(check: ContractCheck) -> None:
    for line in check.metadata["broken"]:
        output.print_error(f"- {line}", bold=False)
