(call target: (identifier) @_def (arguments . [
  (identifier) @name (call target: (_) @name)
  (binary_operator left: [(identifier) @name (call target: (_) @name)])])
  (#any-of? @_def "def" "defp" "defmacro")) @function
(call target: (identifier) @_def (arguments (alias) @name) (#eq? @_def "defmodule")) @class
(call target: (_) @callee (arguments) @arguments) @call
(call target: (identifier) @_use (arguments (alias) @module) (#any-of? @_use "alias" "import" "use")) @import
