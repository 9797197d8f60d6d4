"""The pages, one module each: what is read for it, and what it is told to show."""
