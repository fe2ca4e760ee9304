"""What identity does: sign-in, tokens, agencies. Free of web framework and database."""
