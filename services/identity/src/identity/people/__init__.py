"""People: sign-in and who is signed in."""
