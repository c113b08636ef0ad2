(function_definition name: (_) @name) @function
(class_definition name: (_) @name) @class
(call function: (_) @callee arguments: (_) @arguments) @call
(assert_statement "assert" @callee . (_) @arguments) @call
(import_statement name: [(dotted_name) @module (aliased_import name: (_) @module)]) @import
(import_from_statement module_name: (_) @module) @import
