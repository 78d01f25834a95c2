"""Our dialect of Flask-AppBuilder's REST API: a resource is a declaration, as a screen is (`app/api.py`)."""
