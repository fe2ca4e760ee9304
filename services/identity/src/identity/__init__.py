"""Who is asking: authorization server, agencies, people, key directory."""
