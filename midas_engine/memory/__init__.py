"""What a base knows of its own tries: a table by form, chances by family, lessons and whether they held."""
