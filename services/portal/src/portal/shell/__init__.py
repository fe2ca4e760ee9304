"""What every screen stands on: the visit, the layout, the static files, and errors as pages."""
