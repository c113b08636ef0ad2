; inherits: ecmascript
(public_field_definition name: (_) @name value: [(arrow_function) (function_expression) (generator_function)]) @function
(abstract_class_declaration name: (_) @name) @class
