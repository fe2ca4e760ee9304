"""Identity over HTTP: the authorization server's endpoints, the sign-in page, agencies and the key
directory."""
