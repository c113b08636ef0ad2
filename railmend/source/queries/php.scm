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
