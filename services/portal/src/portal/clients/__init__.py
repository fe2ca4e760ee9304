"""How the portal calls the other services: sign-in with identity, and their APIs on a person's
behalf."""
