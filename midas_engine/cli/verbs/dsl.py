"""`midas dsl`: what the expression language knows, and what it makes of an expression."""
