"""The sections of the report, one module each: what is shown, and what is said of it."""
