"""What a base knows of its own tries: a table by form, a chance by family, lessons and whether they held."""
