"""Words and rules of the portal: visits, deliveries on a list, safe contact, plain English.
Pure."""
