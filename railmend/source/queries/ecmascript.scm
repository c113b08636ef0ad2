; Definitions, calls and imports of JavaScript and TypeScript: their files begin with `inherits`.
; `@handed`: a function that is handed to a call which names it by a string: a route, an event, a job.
(function_declaration name: (_) @name) @function
(generator_function_declaration name: (_) @name) @function
(method_definition name: (_) @name) @function
(class_declaration name: (_) @name) @class
(variable_declarator name: (identifier) @name value: [(arrow_function) (function_expression) (generator_function)]) @function
(variable_declarator name: (identifier) @name
  value: (call_expression arguments: (arguments [(arrow_function) (function_expression) (generator_function)]))) @function
(assignment_expression left: (_) @name right: [(arrow_function) (function_expression) (generator_function)]) @function
(pair key: (_) @name value: [(arrow_function) (function_expression) (generator_function)]) @function
(export_statement "default" @name value: [(arrow_function) (function_expression) (call_expression)]) @function
(export_statement "default" declaration: (function_declaration !name) @function) @name
(call_expression function: (_) @name arguments: (arguments . (string) [(arrow_function) (function_expression) (generator_function)])) @handed
(call_expression function: (_) @callee arguments: (_) @arguments) @call
(new_expression constructor: (_) @callee) @call
(import_statement source: (_) @module) @import
(export_statement source: (_) @module) @import
