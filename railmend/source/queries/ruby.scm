(method name: (_) @name) @function
(singleton_method name: (_) @name) @function
(class name: (_) @name) @class
(module name: (_) @name) @class
(call method: (_) @name arguments: (argument_list . (string)) block: (_)) @handed
(call method: (_) @callee arguments: (_)? @arguments) @call
