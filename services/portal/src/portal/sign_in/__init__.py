"""Coming in and going out: sign-in with identity, sign-out, and keeping a visit."""
