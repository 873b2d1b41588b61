"""What a node is: ports, types, `@node`, its context."""
