"""Features and returns as pandas hands them over."""
