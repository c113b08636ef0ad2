(function_item name: (_) @name) @function
(struct_item name: (_) @name) @class
(enum_item name: (_) @name) @class
(trait_item name: (_) @name) @class
(impl_item type: (_) @name) @class
(call_expression function: (_) @callee arguments: (_) @arguments) @call
(macro_invocation macro: (_) @callee) @call
(attribute_item (attribute [(identifier) (scoped_identifier)] @callee arguments: (_)? @arguments)) @call
(use_declaration argument: (_) @module) @import
