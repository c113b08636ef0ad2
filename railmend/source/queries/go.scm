(function_declaration name: (_) @name) @function
(method_declaration receiver: (_) @receiver name: (_) @name) @function
(type_declaration (type_spec name: (_) @name)) @class
(call_expression function: (_) @name
  arguments: (argument_list . (interpreted_string_literal) (func_literal))) @handed
(call_expression function: (_) @callee arguments: (_) @arguments) @call
(import_spec path: (_) @module) @import
