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
