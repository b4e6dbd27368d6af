"""Files that hold models: what each format is, and how it is read and written."""
