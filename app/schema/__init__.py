"""The chapters of the schema; `models.py` is their table of contents, and what everybody imports."""
