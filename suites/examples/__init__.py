"""Examples: what the notes have their readers type, as a whole."""
