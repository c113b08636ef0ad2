"""Grammars by file name, and for each the queries by which definitions, calls and imports are found.

C# is missing on purpose: on 50 kB of `a<` its grammar (0.23.5) takes gigabytes, then ends the process.
"""

from collections.abc import Callable, Mapping
from functools import cache
from importlib import import_module
from pathlib import PurePosixPath
from typing import NamedTuple

from tree_sitter import Language, Query

_FUNCTION_VALUE = "[(arrow_function) (function_expression) (generator_function)]"
# A function that is handed to a call which names it by a string: a route, an event, a job.
_HANDED = f"(call_expression function: (_) @name arguments: (arguments . (string) {_FUNCTION_VALUE})) @handed"
_JAVASCRIPT = f"""
(function_declaration name: (_) @name) @function
(generator_function_declaration name: (_) @name) @function
(method_definition name: (_) @name) @function
(class_declaration name: (_) @name) @class
(variable_declarator name: (identifier) @name value: {_FUNCTION_VALUE}) @function
(variable_declarator name: (identifier) @name
  value: (call_expression arguments: (arguments {_FUNCTION_VALUE}))) @function
(assignment_expression left: (_) @name right: {_FUNCTION_VALUE}) @function
(pair key: (_) @name value: {_FUNCTION_VALUE}) @function
(export_statement "default" @name value: [(arrow_function) (function_expression) (call_expression)]) @function
(export_statement "default" declaration: (function_declaration !name) @function) @name
{_HANDED}
(call_expression function: (_) @callee arguments: (_) @arguments) @call
(new_expression constructor: (_) @callee) @call
(import_statement source: (_) @module) @import
(export_statement source: (_) @module) @import
"""

QUERIES: Mapping[str, str] = {
    "python": """
(function_definition name: (_) @name) @function
(class_definition name: (_) @name) @class
(call function: (_) @callee arguments: (_) @arguments) @call
(import_statement name: [(dotted_name) @module (aliased_import name: (_) @module)]) @import
(import_from_statement module_name: (_) @module) @import
""",
    "javascript": f"{_JAVASCRIPT}\n(field_definition property: (_) @name value: {_FUNCTION_VALUE}) @function",
    "typescript": f"""{_JAVASCRIPT}
(public_field_definition name: (_) @name value: {_FUNCTION_VALUE}) @function
(abstract_class_declaration name: (_) @name) @class
""",
    "go": """
(function_declaration name: (_) @name) @function
(method_declaration receiver: (_) @receiver name: (_) @name) @function
(type_declaration (type_spec name: (_) @name)) @class
(call_expression function: (_) @name
  arguments: (argument_list . (interpreted_string_literal) (func_literal))) @handed
(call_expression function: (_) @callee arguments: (_) @arguments) @call
(import_spec path: (_) @module) @import
""",
    "ruby": """
(method name: (_) @name) @function
(singleton_method name: (_) @name) @function
(class name: (_) @name) @class
(module name: (_) @name) @class
(call method: (_) @name arguments: (argument_list . (string)) block: (_)) @handed
(call method: (_) @callee arguments: (_)? @arguments) @call
""",
    "rust": """
(function_item name: (_) @name) @function
(struct_item name: (_) @name) @class
(enum_item name: (_) @name) @class
(trait_item name: (_) @name) @class
(impl_item type: (_) @name) @class
(call_expression function: (_) @callee arguments: (_) @arguments) @call
(macro_invocation macro: (_) @callee) @call
(attribute_item (attribute (_) @callee arguments: (_)? @arguments)) @call
(use_declaration argument: (_) @module) @import
""",
    "java": """
(method_declaration name: (_) @name) @function
(constructor_declaration name: (_) @name) @function
(class_declaration name: (_) @name) @class
(interface_declaration name: (_) @name) @class
(enum_declaration name: (_) @name) @class
(record_declaration name: (_) @name) @class
(method_invocation name: (_) @callee arguments: (_) @arguments) @call
(object_creation_expression type: (_) @callee) @call
(annotation name: (_) @callee arguments: (_) @arguments) @call
(import_declaration (scoped_identifier) @module) @import
""",
    "php": """
(function_definition name: (_) @name) @function
(method_declaration name: (_) @name) @function
(class_declaration name: (_) @name) @class
(trait_declaration name: (_) @name) @class
(interface_declaration name: (_) @name) @class
(function_call_expression function: (_) @callee arguments: (_) @arguments) @call
(member_call_expression name: (_) @callee arguments: (_) @arguments) @call
(scoped_call_expression name: (_) @callee arguments: (_) @arguments) @call
(object_creation_expression (name) @callee) @call
(attribute (_) @callee parameters: (_) @arguments) @call
(namespace_use_clause [(qualified_name) (name)] @module) @import
""",
    "elixir": """
(call target: (identifier) @_def (arguments . [
  (identifier) @name (call target: (_) @name)
  (binary_operator left: [(identifier) @name (call target: (_) @name)])])
  (#any-of? @_def "def" "defp" "defmacro")) @function
(call target: (identifier) @_def (arguments (alias) @name) (#eq? @_def "defmodule")) @class
(call target: (_) @callee (arguments) @arguments) @call
(call target: (identifier) @_use (arguments (alias) @module) (#any-of? @_use "alias" "import" "use")) @import
""",
}


class Grammar(NamedTuple):
    """A grammar with the query for its definitions, calls and imports."""

    language: Language
    query: Query


# Suffixes, the package of the grammar, the function that gives it, and the key of its queries.
_GRAMMARS = (
    ((".py", ".pyi"), "tree_sitter_python", "language", "python"),
    ((".js", ".mjs", ".cjs", ".jsx"), "tree_sitter_javascript", "language", "javascript"),
    (
        (".ts", ".mts", ".cts", ".vue", ".svelte"),
        "tree_sitter_typescript",
        "language_typescript",
        "typescript",
    ),
    ((".tsx",), "tree_sitter_typescript", "language_tsx", "typescript"),
    ((".go",), "tree_sitter_go", "language", "go"),
    ((".rb", ".rake", ".ru"), "tree_sitter_ruby", "language", "ruby"),
    ((".rs",), "tree_sitter_rust", "language", "rust"),
    ((".java",), "tree_sitter_java", "language", "java"),
    ((".php",), "tree_sitter_php", "language_php", "php"),
    ((".ex", ".exs"), "tree_sitter_elixir", "language", "elixir"),
)
_BY_SUFFIX = {suffix: row[1:] for row in _GRAMMARS for suffix in row[0]}


def can_read(path: str) -> bool:
    """Return whether there is a grammar for files of this name."""
    return PurePosixPath(path).suffix.lower() in _BY_SUFFIX


def grammar_of(path: str) -> Grammar | None:
    """Return the grammar for a file of this name, None if there is none."""
    row = _BY_SUFFIX.get(PurePosixPath(path).suffix.lower())
    return _load(*row) if row else None


@cache
def _load(package: str, function: str, key: str) -> Grammar:
    """Load a grammar when the first file of its language is read."""
    make: Callable[[], object] = getattr(import_module(package), function)
    language = Language(make())
    return Grammar(language, Query(language, QUERIES[key]))
