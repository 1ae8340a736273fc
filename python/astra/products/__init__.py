"""Files of the survey: what a product is called, where it lies, and how it is read."""
